"""Errors are one line that says what, where and what to do."""

import errno

import pytest

from edge.core import errors


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
