"""Measurements as a device's metrics file holds them, to be changed by a test."""

import copy
import json

from edge.records import measurement
from edge.records.measurement import Measurement

TIMING = {"mean": 5.0, "p50": 4.0, "p90": 4.5, "p95": 5.0, "outliers": 0.0, "load": 3.0, "first_inference": 9.0}
BASELINE = {"mean": 1.0, "p50": 1.0, "outliers": 0.0, "load": 1.0, "first_inference": 1.0}
COMPARED = {"low_percent": -1.0, "change_percent": 0.0, "high_percent": 1.0, "verdict": "undecided", "says": "equal"}
COMMON = {
    "model": "models/edge.onnx",
    "model_sha256": "b" * 64,
    "model_bytes": 1000,
    "baseline_sha256": "a" * 64,
    "quantization": "int8",
    "runtime": "onnxruntime 1.31.1",
    "board": {"machine": "Raspberry Pi 4"},
    "examples": 70,
    "scores": {"accuracy": 0.9, "macro_f1": 0.8},
    "parity": {"samples": 0.0, "scores": 1e-6, "agreement": 1.0},
}
TIMED = {
    "latency": {"threads_1": {"candidate_ms": TIMING, "baseline_ms": BASELINE} | COMPARED},
    "peak_memory_mb": {"candidate": 60.0, "baseline": 50.0},
    "state": {"clock_mhz_min": 1500, "others_max": 0.1},
    "steady": 1.0,
    "attempts": 1,
}
COUNTED = {"instructions": {"candidate": 1000, "baseline": 2000, "change_percent": -50.0}}


def content(name: str = "pi4", transport: str = "ssh", **changes) -> dict:
    """The content of the metrics file of the device ``name``; ``changes`` replace its fields."""
    figures = COUNTED if transport == "emulated" else TIMED
    return copy.deepcopy({"device": name, "transport": transport} | COMMON | figures | changes)


def made(name: str = "pi4", transport: str = "ssh", **changes) -> Measurement:
    """The same as an object."""
    return measurement.FORM.validate_json(json.dumps(content(name, transport, **changes)))
