"""Errors that a person can act on: one line, no trace-back."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """What went wrong, where, and what to do, in one line."""


def run(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; a UserError or a missing file becomes one line on stderr and exit status 1."""
    try:
        main()
    except UserError as error:
        stop(str(error))
    except FileNotFoundError as error:
        stop(f"{error.filename} is missing: `dvc repro` runs the stages that make it")


def stop(message: str) -> None:
    """Print one line and exit with status 1."""
    print("error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(1)
