"""Records a finished run in MLflow: after the fact, and never in its way."""

import json
import logging
import os
import sys
from pathlib import Path

from edge import device, files, paths, provenance

DEFAULT_URI = "sqlite:///mlflow.db"


def flat(content: dict, prefix: str = "") -> dict:
    """Nested dicts as one level, keys joined with dots."""
    items = {}
    for key, value in content.items():
        items |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return items


def metrics(folder: Path) -> dict[str, float]:
    """Every number in the metrics files, keyed ``<file>.<metric>``."""
    read = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    return {key: float(value) for key, value in flat(read).items() if isinstance(value, int | float)}


def record(params, config) -> None:
    """Log parameters, metrics, commit, DVC experiment and model hash of the run that just ended.

    The store is ``MLFLOW_TRACKING_URI``, by default a SQLite file beside the pipeline. Whatever goes wrong there
    is a warning on stderr: the run itself is complete.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    try:
        import mlflow

        device.measured(paths.METRICS / "device.json", paths.EDGE)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment(params.task)
        experiment = os.environ.get("DVC_EXP_NAME", "")
        with mlflow.start_run(run_name=experiment or None):
            mlflow.log_params(flat({**params.model_dump(), **config.model_dump()}))
            mlflow.log_metrics(metrics(paths.METRICS))
            mlflow.set_tags(
                {
                    "git_commit": provenance.git("rev-parse", "HEAD"),
                    "dvc_experiment": experiment,
                    "data_sha256": provenance.data_sha256(paths.PREPARED),
                    "model_sha256": files.sha256(paths.EDGE),
                }
            )
    except Exception as error:  # noqa: BLE001 - whatever a tracking store does, the run stands
        print(f"warning: MLflow at {uri} did not take this run: {type(error).__name__}: {error}", file=sys.stderr)
