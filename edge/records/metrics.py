"""The metrics files of a run, read as flat numbers."""

import json
from pathlib import Path


def flat(content: dict, prefix: str = "") -> dict:
    """Nested dicts as one level, keys joined with dots."""
    items = {}
    for key, value in content.items():
        items |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return items


def metrics(folder: Path) -> dict[str, float]:
    """Every number in the metrics files: ``<file>.<metric>``, and ``devices.<device>.<metric>`` of each device."""
    read = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    read["devices"] = {path.stem: json.loads(path.read_text()) for path in sorted((folder / "devices").glob("*.json"))}
    return {key: float(value) for key, value in flat(read).items() if isinstance(value, int | float)}
