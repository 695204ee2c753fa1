"""What the stages share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notices would bury a one-line error
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the pipeline is sized for a CPU and reproducible on one
