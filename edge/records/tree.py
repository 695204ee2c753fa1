"""The files of a run, in the workspace or at any revision, wherever they are: git, DVC's cache, DVC's remote."""

import shutil
from pathlib import Path

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.scm import RevError

from edge.core.errors import UserError
from edge.records import git

WORKSPACE = "workspace"


class Tree:
    """Files by path; ``commit`` holds them, or is what the workspace is based on.

    Raises UserError where ``name`` is neither WORKSPACE nor a commit, branch, tag or DVC experiment.
    """

    def __init__(self, name: str):
        try:
            self.files = None if name == WORKSPACE else DVCFileSystem(rev=name or "''")
            self.commit = self.files.repo.get_rev() if self.files else git.output("rev-parse", "HEAD")
        except (RevError, DvcException, AttributeError):  # the last one: a tree or a file in git
            raise UserError(f"{name!r} is no commit, branch or DVC experiment: see git log and dvc exp show") from None

    def copy(self, path: Path, target: Path) -> None:
        """Copy a file to ``target``; raises what git, DVC or its storage raise where they do not give it."""
        if self.files is None:
            shutil.copy(path, target)
        else:
            self.files.get_file(str(path), str(target))
