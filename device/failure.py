"""What stops a measurement: a line for a person, and an exit status."""

import os
import sys
from collections.abc import Callable

USAGE, BUNDLE, RUNTIME, MODEL, STORAGE, STATE = 2, 10, 11, 12, 13, 14


class Failure(Exception):
    """A message of one line and the exit status that it ends in."""

    def __init__(self, status: int, message: object) -> None:
        super().__init__(" ".join(str(message).split()))
        self.status = status


def say(text: object) -> None:
    """Print a line on stderr; a run goes on, to an exit status of 0, where nobody reads it any more."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # the rest of the buffer is written at the end


def guarded(work: Callable[[], None]) -> int:
    """Run ``work``; its exit status, after one ``error:`` line on stderr where it failed."""
    try:
        work()
        return 0
    except Failure as failure:
        say(f"error: {failure}")
        return failure.status
    except OSError as error:
        say(f"error: cannot read or write, is the disk full? {error}")
        return STORAGE
