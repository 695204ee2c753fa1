"""Counts the instructions of some work on the emulated board, with QEMU's plugin edge/boards/count_instructions.c.

Travels to the board: standard library only. The plugin shares the process with the program that it watches: it sees the
marker's system call, and writes into the pipe that the call names.
"""

import gc
import os
import statistics
from array import array
from collections.abc import Callable

MARKER = 1_939_091_341  # no process has this number: Linux ends at 2**22
WARM_UP = 10  # calls before it counts
CALLS = 50  # calls that it counts


def mark(pipe: int) -> None:
    """Have the plugin write the number of instructions so far; without the plugin a system call that fails."""
    try:
        os.getpriority(pipe, MARKER)
    except OSError:
        return


def per_call(work: Callable[[], object], calls: int = CALLS) -> float:
    """Guest instructions of one ``work()``, those of a mark included: the median of ``calls`` after a warm-up.

    The median, because the plugin counts all threads: what another one does at times falls into few calls. Raises
    OSError where no plugin counts.
    """
    for _ in range(WARM_UP):
        work()
    there, here = os.pipe()
    gc.collect()
    gc.disable()
    for _ in range(calls):
        mark(here)
        work()
    mark(here)
    gc.enable()
    os.close(here)
    with open(there, "rb") as pipe:
        counts = array("Q", pipe.read())
    if not counts:
        raise OSError("nothing counts instructions here: that is done by the emulated board")
    return statistics.median(after - before for before, after in zip(counts, counts[1:], strict=False))
