"""Errors are one line that says what, where and what to do."""

import errno
import os
import subprocess
import sys

import pytest

from edge.core import errors
from tests.imports import ROOT


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left in this folder or /scratch: free some"),
        (OSError(errno.ENOSPC, "No space left on device", "source", None, "target"), "no space left in target: free"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found"), "No usable temporary directory found"),
        (FileNotFoundError(errno.ENOENT, "No such file", "flite"), "flite is missing: install it"),
        (PermissionError(errno.EACCES, "Permission denied", "data/raw"), "data/raw: Permission denied"),
    ],
)
def test_an_error_of_the_file_system_is_one_line(monkeypatch, capsys, error, line):
    """A full disk names what was written or where to look, and an error without a file does not name one."""
    monkeypatch.setenv("TMPDIR", "/scratch")

    def main():
        raise error

    with pytest.raises(SystemExit, match="1"):
        errors.run(main)
    said = capsys.readouterr().err
    assert said.startswith(f"error: {line}") and said.count("\n") == 1


def test_a_locale_without_umlauts():
    """A file name that the locale cannot spell is one line that says which locale can."""
    code = "from edge.core import errors; errors.run(lambda: open('gr\\xfcn.png', 'wb'))"
    environment = os.environ | {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.stderr == "error: the locale has no file name for 'gr\\xfcn.png': set LC_ALL=C.UTF-8 and run again\n"
