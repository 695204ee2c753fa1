"""Writes every number of the metrics files into metrics.txt, in the text format of OpenMetrics 1.0.

    python -m platforms.gitlab.openmetrics

GitLab compares such a file with that of the target branch and shows in the merge request what changed.
"""

import re
from pathlib import Path

from edge.core import errors, files, paths
from edge.records import metrics

TARGET = Path("metrics.txt")


def text(metrics: dict[str, float], devices: list[str]) -> str:
    """``metrics`` as ``tracking.metrics`` names them, a gauge a line; each of ``devices`` becomes a label."""
    return "\n".join([*sorted(line(name, value, devices) for name, value in metrics.items()), "# EOF", ""])


def line(name: str, value: float, devices: list[str]) -> str:
    """One sample: name, label, value. The name of a device may hold dots."""
    found = max((device for device in devices if name.startswith(f"devices.{device}.")), key=len, default="")
    label = f'{{device="{found}"}}' if found else ""
    short = name.replace(f"devices.{found}.", "devices.", 1) if found else name
    return f"edge_{re.sub('[^a-zA-Z0-9_]', '_', short)}{label} {value!r}"


def main() -> None:
    devices = [path.stem for path in paths.DEVICE_METRICS.glob("*.json")]
    with files.atomic(TARGET) as temporary:
        temporary.write_text(text(metrics.metrics(paths.METRICS), devices), encoding="utf-8")


if __name__ == "__main__":
    errors.run(main)
