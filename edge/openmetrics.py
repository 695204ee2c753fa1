"""Writes every number of the metrics files into metrics.txt, in the text format of OpenMetrics 1.0.

    python -m edge.openmetrics

GitLab compares such a file with that of the target branch and shows in the merge request what changed.
"""

import re
from pathlib import Path

from edge import errors, files, paths, tracking

TARGET = Path("metrics.txt")


def text(metrics: dict[str, float]) -> str:
    """``metrics`` as ``tracking.metrics`` names them, a gauge a line; the device becomes a label."""
    lines = sorted(line(*name.split("."), value=value) for name, value in metrics.items())
    return "\n".join([*lines, "# EOF", ""])


def line(first: str, *rest: str, value: float) -> str:
    """One sample: name, label, value."""
    label = ""
    if first == "devices":
        label, rest = f'{{device="{rest[0]}"}}', rest[1:]
    return f"{re.sub('[^a-zA-Z0-9_]', '_', '_'.join(['edge', first, *rest]))}{label} {value!r}"


def main() -> None:
    with files.atomic(TARGET) as temporary:
        temporary.write_text(text(tracking.metrics(paths.METRICS)))


if __name__ == "__main__":
    errors.run(main)
