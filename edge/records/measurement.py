"""What a device measured: the metrics files, and the guard that they are of the model at hand."""

import json
from pathlib import Path

from edge.core import files, paths
from edge.core.errors import UserError


def measured(metrics: Path) -> dict:
    """The content of a device's metrics; raises UserError where they are absent, or not of the model at hand."""
    try:
        content = json.loads(metrics.read_text())
        digest = files.sha256(next(path for path in paths.SHIPPED if str(path) == content["model"]))
    except FileNotFoundError as error:
        raise UserError(f"{metrics} cannot be used, run dvc repro: {error.filename} is missing") from None
    except (OSError, ValueError, TypeError, KeyError, StopIteration) as error:
        raise UserError(f"{metrics} cannot be used, run dvc repro: {error!r}") from None
    if content.get("model_sha256") != digest:
        raise UserError(f"{metrics} measured another model: run dvc repro")
    return content
