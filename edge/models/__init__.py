"""Networks, how they are trained, and the file formats they are converted to."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notices would bury a one-line error
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the pipeline is sized for a CPU and reproducible on one
for pool in ("INTRA", "INTER"):  # the threads of TensorFlow where train.threads does not set them: bytes depend on them
    os.environ[f"TF_NUM_{pool}OP_THREADS"] = "1"
