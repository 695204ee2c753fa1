"""What differs in the workspace from the last run, as `dvc status` says it."""

from dvc.exceptions import DvcException
from dvc.repo import Repo

from edge.core.errors import UserError
from edge.records import metrics


def changes(*stages: str) -> dict[str, dict[str, str]]:
    """State by path of ``changed deps`` and ``changed outs`` of ``stages``, or of all; raises UserError."""
    try:
        status = Repo().status(stages or None)
    except DvcException as error:
        raise UserError(f"workspace: {error}") from None
    found: dict[str, dict[str, str]] = {"changed deps": {}, "changed outs": {}}
    for lines in status.values():
        for kind, states in (item for line in lines if isinstance(line, dict) for item in line.items()):
            found[kind] |= metrics.flat(states)
    return found
