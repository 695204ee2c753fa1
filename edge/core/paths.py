"""Every path the pipeline writes, spelled once, relative to the repository."""

from pathlib import Path

CONFIGS = Path("configs")
PARAMS = Path("params.yaml")
DEVICES = Path("devices.yaml")
REQUIREMENTS = Path("requirements.txt")

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
ENROLLED = Path("data/enrolled")  # of each task a folder, in it one for each class that is added to its model

KERAS = Path("models/model.keras")
DECISION = Path("models/decision.json")
ONNX = Path("models/model.onnx")
TFLITE = Path("models/model.tflite")
REFERENCE = Path("models/reference.npz")
EDGE = Path("models/edge.onnx")
SHIPPED = (EDGE, TFLITE)  # what devices measure

METRICS = Path("metrics")
PLOTS = Path("plots")
SAMPLES = PLOTS / "samples"
ANSWERS = PLOTS / "answers"
CURVES = PLOTS / "learning_curve.csv"
CONFUSION = PLOTS / "confusion.csv"
DET = PLOTS / "det.csv"
DEVICE_METRICS = METRICS / "devices"
DEVICE_PLOTS = PLOTS / "devices"
