"""Errors that a person can act on: one line, no trace-back."""

import sys
from collections.abc import Callable


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
    except FileNotFoundError as error:
        stop(f"{error.filename} is missing: install it if it is a program; `dvc repro` makes what a stage needs")
    except OSError as error:
        stop(f"{error.filename or 'a file'}: {error.strerror or error}")


def stop(message: str, status: int = 1) -> None:
    """Print one line and exit."""
    print("error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(status)
