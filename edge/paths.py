"""Every path the pipeline writes, spelled once, relative to the repository."""

from pathlib import Path

CONFIGS = Path("configs")
PARAMS = Path("params.yaml")
DEVICES = Path("devices.yaml")

RAW = Path("data/raw")
PREPARED = Path("data/prepared")

KERAS = Path("models/model.keras")
ONNX = Path("models/model.onnx")
REFERENCE = Path("models/reference.npz")
EDGE = Path("models/edge.onnx")

METRICS = Path("metrics")
PLOTS = Path("plots")
SAMPLES = PLOTS / "samples"
CURVES = PLOTS / "learning_curve.csv"
CONFUSION = PLOTS / "confusion.csv"
LATENCY = PLOTS / "latency.csv"
