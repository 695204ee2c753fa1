"""Records a finished run and its model in MLflow: after the fact, and never in its way."""

import logging
import os
import sys
from importlib.metadata import version
from types import ModuleType
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

import numpy as np
import onnx

from edge.core import files, paths
from edge.core.errors import UserError
from edge.models.formats import metadata
from edge.records import git, measurement, metrics

DEFAULT_URI = "sqlite:///mlflow.db"
CANDIDATE = "candidate"


def uri() -> str:
    """Where runs and models are recorded: ``MLFLOW_TRACKING_URI``, by default a SQLite file beside the pipeline."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def place() -> str:
    """The store for a person: scheme, host and port of a server, or scheme and path of a file; no user, no secret."""
    parts = split_uri()
    if parts is None:
        return "the address in MLFLOW_TRACKING_URI, which cannot be read"
    if not parts.hostname:
        return f"{parts.scheme}://{parts.path}" if parts.scheme else parts.path
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def split_uri() -> SplitResult | None:
    """The parts of ``uri()``; None where it cannot be told which of them are secret.

    An @ after the host is the end of a user or of a password that holds a / or a # or a ?.
    """
    try:
        parts = urlsplit(uri())
        _ = parts.port  # raises ValueError where it is no number: the start of a password, say
    except ValueError:
        return None
    return None if "@" in parts.path + parts.query + parts.fragment else parts


def hidden(text: str) -> str:
    """A text about the store without what its address holds of users and secrets; all of it where that is not known."""
    parts = split_uri()
    if parts is None:
        return "it is not said why: the reason may hold a password of an address that cannot be read"
    values = [value for pairs in parse_qs(parts.query).values() for value in pairs]
    secrets = [parts.netloc.rpartition("@")[0], parts.username, parts.password, parts.query, parts.fragment, *values]
    spelled = {form for secret in secrets if secret for form in (secret, unquote(secret), quote(secret, safe=""))}
    for secret in sorted(spelled, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def connect() -> ModuleType:
    """The module ``mlflow``, set to the store at ``uri()``, brief, and quick to give up where nothing answers."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow.onnx

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(uri())
    mlflow.set_registry_uri(uri())
    return mlflow


def lineage(experiment: str) -> dict[str, str]:
    """Tags that lead from a run or a model version back to code, DVC experiment, data and model; no empty ones.

    ``git_commit`` is the commit that was checked out, ``code_commit`` what the model's own metadata name.
    """
    tags = {
        "git_commit": git.output("rev-parse", "HEAD"),
        "code_commit": metadata.read(onnx.load(paths.EDGE)).get("git_commit"),
        "dvc_experiment": experiment,
        "data_sha256": git.data_sha256(paths.PREPARED),
        "model_sha256": files.sha256(paths.EDGE),
    }
    return {key: value for key, value in tags.items() if value}


def add_version(mlflow: ModuleType, task: str, tags: dict[str, str]) -> None:
    """Log the model that ships to the active run and make it the candidate of the registered model ``task``.

    The stored model.onnx has the bytes of models/edge.onnx. The files beside it are YAML, JSON and text; nothing is
    pickled. The requirements are given, since MLflow would find them by loading the model in another process.
    """
    example = dict(np.load(paths.REFERENCE, allow_pickle=False))
    scores = example.pop("scores")
    example = {name: np.zeros_like(row) for name, row in example.items()}  # the reference may be somebody's voice
    logged = mlflow.onnx.log_model(
        onnx.load(paths.EDGE),
        name="edge",
        signature=mlflow.models.infer_signature(example, {"scores": scores}),
        input_example=example,
        pip_requirements=[f"{package}=={version(package)}" for package in ("onnx", "onnxruntime", "numpy")],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    registered = mlflow.register_model(logged.model_uri, task, tags=tags)
    mlflow.MlflowClient().set_registered_model_alias(task, CANDIDATE, registered.version)


def record(params, config) -> None:
    """Log parameters, metrics, lineage and the model of the run that just ended; it becomes the task's candidate.

    Whatever goes wrong is a warning on stderr: the run itself is complete. A run with metrics of another model is not
    recorded.
    """
    try:
        for name in measurement.names():
            measurement.read(name)
        if metrics.QUANTIZE.exists():
            metrics.quantized()
    except UserError as error:
        print(f"warning: this run is not recorded in MLflow: {error}", file=sys.stderr)
        return
    try:
        mlflow = connect()
        mlflow.set_experiment(params.task)
        experiment = os.environ.get("DVC_EXP_NAME", "")
        with mlflow.start_run(run_name=experiment or None):
            mlflow.log_params(metrics.flat({**params.model_dump(), **config.model_dump()}))
            mlflow.log_metrics(metrics.metrics(paths.METRICS))
            tags = lineage(experiment)
            mlflow.set_tags(tags)
            add_version(mlflow, params.task, tags)
    except Exception as error:  # noqa: BLE001 - whatever a tracking store does, the run stands
        reason = " ".join(hidden(str(error)).split())
        text = f"warning: MLflow at {place()} did not take this run: {type(error).__name__}: {reason}"
        print(text, file=sys.stderr)
