"""Errors that a person can act on: one line, no trace-back."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """What went wrong, where, and what to do, in one line."""


def run(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; a UserError becomes one line on stderr and exit status 1."""
    try:
        main()
    except UserError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(1)
