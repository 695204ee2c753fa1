"""The metadata that travel inside every ONNX file: where it comes from and what it means."""

import json

import onnx


def write(model: onnx.ModelProto, entries: dict) -> None:
    """Add ``entries`` to the model's metadata_props, in place; what is not a string is stored as JSON."""
    merged = read(model) | {key: v if isinstance(v, str) else json.dumps(v) for key, v in entries.items()}
    onnx.helper.set_model_props(model, dict(sorted(merged.items())))


def read(model: onnx.ModelProto) -> dict[str, str]:
    """The model's metadata_props as a dict."""
    return {entry.key: entry.value for entry in model.metadata_props}
