"""Which version of a task's model is the champion: promote, roll back, show. Every move leaves a line on the server.

The champion is an alias, and one request sets it. The line is a tag of the registered model under a key of its own, so
that lines of moves at the same time stand beside each other. It is written as ``started`` before the move and turned
into ``done`` after it: a process that dies in between leaves a line that says so, and no move is without a line.
"""

import getpass
import json
import os
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from edge.core import files, paths
from edge.core.errors import UserError
from edge.records import git, mlflow_store
from edge.records.lineage import printable

CHAMPION = "champion"
FAILURES = (MlflowException, ImportError)  # what a store raises; the latter: its driver is not installed
AUDIT = "audit."
LINE = ("at", "who", "action", "from", "to", "reason", "commit", "state")  # what a line of the audit has
NOTHING = 3  # exit status where there is nothing to promote: the champion already, or not the model at hand


def promote(task: str, reason: str, gate: Callable[[], object]) -> str:
    """Make the candidate of ``task`` the champion; returns the audit line.

    ``gate`` checks models/edge.onnx and raises UserError where it may not ship. UserError too where the candidate, as
    tagged and as stored on the server, is not that file, before and after the gate; where there is no candidate, or
    it is the champion already. MlflowException where the server fails.
    """
    client = mlflow_store.connect().MlflowClient()
    model = client.get_registered_model(task)
    candidate = alias(model, mlflow_store.CANDIDATE)
    if candidate is None:
        raise UserError(f"{task} at {mlflow_store.place()} has no {mlflow_store.CANDIDATE}: record a run of it")
    if candidate == alias(model, CHAMPION):
        raise UserError(f"{task} at {mlflow_store.place()}: version {candidate} is the {CHAMPION} already", NOTHING)
    version = client.get_model_version(task, candidate)
    before = digest()
    gate()
    if {before, digest(), stored_sha256(version)} != {version.tags.get("model_sha256")}:
        raise UserError(
            f"{task} at {mlflow_store.place()}: version {candidate} is not {paths.EDGE}, which the gate checked: "
            "record a run of this model, or check out the one of that version",
            NOTHING,
        )
    return move(task, "promote", candidate, reason)


def rollback(task: str, reason: str) -> str:
    """Make the champion before this one the champion again; returns the audit line.

    That is the version from which the champion was promoted last, so a second rollback goes one further back; versions
    that were deleted are passed over. UserError where there is none; MlflowException where the server fails. A line
    from a version to itself, of two promotions of it at once, does not count.
    """
    client = mlflow_store.connect().MlflowClient()
    model = client.get_registered_model(task)
    there = {str(version.version) for version in client.search_model_versions(f"name = '{task}'")}
    champion = to = alias(model, CHAMPION)
    seen = {None}
    while to not in seen and (to == champion or to not in there):
        seen.add(to)
        came = [line for line in audit(model) if line["action"] == "promote" and line["from"] != line["to"] == to]
        to = max(came, key=lambda line: (line["state"] == "done", line["at"]), default={"from": None})["from"]
    if to in seen:
        raise UserError(
            f"{task} at {mlflow_store.place()}: the {CHAMPION}, version {champion or 'none'}, replaced no other that "
            "is still there: nothing to go back to"
        )
    return move(task, "rollback", to, reason)


def show(task: str) -> str:
    """Champion, candidate, versions with their tags, and the audit, as text. MlflowException where the server fails."""
    client = mlflow_store.connect().MlflowClient()
    model = client.get_registered_model(task)
    lines = [f"{task} at {mlflow_store.place()}"]
    lines += [f"{name}: version {alias(model, name) or 'none'}" for name in (CHAMPION, mlflow_store.CANDIDATE)]
    for version in sorted(client.search_model_versions(f"name = '{task}'"), key=lambda one: int(one.version)):
        created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        lines.append(f"version {version.version}, {created:%Y-%m-%dT%H:%M:%SZ}, run {version.run_id}")
        lines += [printable(f"  {key} {value}") for key, value in sorted(version.tags.items())]
    return "\n".join(lines + [text(line) for line in audit(model)])


def digest() -> str:
    """The sha256 of the model in the workspace; raises UserError where there is none."""
    if not paths.EDGE.is_file():
        raise UserError(f"{paths.EDGE} is missing: run dvc repro or dvc checkout")
    return files.sha256(paths.EDGE)


def stored_sha256(version: ModelVersion) -> str:
    """The sha256 of the model file that the server holds for a version; raises UserError where it has none."""
    mlflow = mlflow_store.connect()
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        uri = f"models:/{version.name}/{version.version}"
        try:
            return files.sha256(Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder), "model.onnx"))
        except OSError:
            raise UserError(f"{uri} at {mlflow_store.place()} has no model.onnx any more: record a run of it") from None


def alias(model: RegisteredModel, name: str) -> str | None:
    """The number of the version that an alias names; None where there is no such alias."""
    return str(model.aliases[name]) if name in model.aliases else None


def move(task: str, action: str, to: str, reason: str) -> str:
    """Set the alias champion to the version ``to``, between the two states of an audit line; returns the line."""
    client, now = mlflow_store.connect().MlflowClient(), datetime.now(UTC)
    line = {
        "at": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
        "who": who(),
        "action": action,
        "from": alias(client.get_registered_model(task), CHAMPION),
        "to": to,
        "reason": reason,
        "commit": git.output("rev-parse", "HEAD") or "none",
    }
    key = f"{AUDIT}{now:%Y%m%dT%H%M%S.%f}.{uuid.uuid4().hex}"
    client.set_registered_model_tag(task, key, json.dumps(line | {"state": "started"}))
    client.set_registered_model_alias(task, CHAMPION, to)
    client.set_registered_model_tag(task, key, json.dumps(line | {"state": "done"}))
    return text(line | {"state": "done"})


def audit(model: RegisteredModel) -> list[dict]:
    """The audit lines of a registered model, oldest first; what somebody else set under such a key is no line."""
    lines = []
    for key in sorted(model.tags):
        if key.startswith(AUDIT):
            with suppress(ValueError):
                lines.append(json.loads(model.tags[key]))
    return [line for line in lines if isinstance(line, dict) and line.keys() == set(LINE)]


def text(line: dict) -> str:
    """An audit line as a person reads it."""
    reason = " ".join(line["reason"].split())
    moved = f"{line['action']} {line['from'] or 'none'} -> {line['to']} {line['state']}"
    return printable(f"{line['at']} {moved} by {line['who']} at {line['commit']}: {reason}")


def who() -> str:
    """The person: as GitLab or GitHub names them in CI, else as git, else as the system does."""
    names = (os.environ.get("GITLAB_USER_LOGIN"), os.environ.get("GITHUB_ACTOR"), git.output("config", "user.name"))
    return next(filter(None, names), None) or getpass.getuser()
