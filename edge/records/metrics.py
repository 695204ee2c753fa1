"""The metrics files of a run, read as flat numbers."""

import json
from pathlib import Path

from edge.core import files, paths
from edge.core.errors import UserError
from edge.records import measurement

QUANTIZE = paths.METRICS / "quantize.json"


def flat(content: dict, prefix: str = "") -> dict:
    """Nested dicts as one level, keys joined with dots."""
    items = {}
    for key, value in content.items():
        items |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return items


def metrics(folder: Path) -> dict[str, float]:
    """Every number in the metrics files: ``<file>.<metric>``, and ``devices.<device>.<metric>`` of each device.

    Raises UserError where the figures of a device are not of the model at hand.
    """
    read = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    read["devices"] = {name: measurement.content(measurement.read(name)) for name in measurement.names()}
    return {key: float(value) for key, value in flat(read).items() if isinstance(value, int | float)}


def quantized() -> dict:
    """What quantize says of the model at hand; raises UserError where that is not known."""
    try:
        content = json.loads(QUANTIZE.read_bytes())
        if content["model_sha256"] == files.sha256(paths.EDGE):
            return content
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise UserError(f"{QUANTIZE} is missing, damaged or of another model: run dvc repro")


def quantization_drop() -> float:
    """What quantization lost of the headline, a gain is negative; raises UserError where it is not known."""
    drop = quantized().get("drop")
    if type(drop) not in (int, float) or not abs(drop) < float("inf"):
        raise UserError(f"{QUANTIZE}: drop = {drop!r}: it should be a number: run dvc repro")
    return drop
