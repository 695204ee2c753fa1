"""Errors that a person can act on: one line, no trace-back."""

import errno
import os
import sys
from collections.abc import Callable

FULL = (errno.ENOSPC, errno.EDQUOT)  # the disk is full, or the person's share of it


class UserError(Exception):
    """What went wrong, where, and what to do, in one line; and the exit status of a program that ends with it."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def run(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; a UserError or an error of the file system becomes one line on stderr and a status."""
    try:
        main()
    except UserError as error:
        stop(str(error), error.status)
    except KeyboardInterrupt:
        stop("interrupted: nothing is half written, run the same command again", 130)
    except OSError as error:
        stop(explained(error))
    except UnicodeEncodeError as error:
        if sys.getfilesystemencoding() == "utf-8":
            raise
        stop(f"the locale has no file name for {error.object!r}: set LC_ALL=C.UTF-8 and run again")


def explained(error: OSError) -> str:
    """An error of the file system in one line: which file, what happened to it, what to do."""
    if error.errno in FULL:
        written = error.filename2 or error.filename or f"this folder or {os.environ.get('TMPDIR', '/tmp')}"  # noqa: S108
        return f"no space left in {written}: free some and run again"
    if error.filename is None:
        return error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is missing: install it if it is a program; `dvc repro` makes what a stage needs"
    return f"{error.filename}: {error.strerror or error}"


def stop(message: str, status: int = 1) -> None:
    """Print one line and exit."""
    print("error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(status)
