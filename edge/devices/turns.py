"""Which devices are evaluated at the same time, and which take turns."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from edge.core.errors import UserError
from edge.devices import entries


def run(names: list[str], evaluate: Callable[[str], UserError | None]) -> list[UserError]:
    """Call ``evaluate`` with each name, boards at the same time; returns what went wrong.

    Entries of the same board take turns. So do those of this machine, after the boards: what they measure is not to be
    disturbed.
    """
    boards: dict[tuple[str, str | None], list[str]] = {}
    here = []
    for name in names:
        board = entries.load(name)
        turns = boards.setdefault((board.host, board.ssh_config), []) if isinstance(board, entries.Ssh) else here
        turns.append(name)
    with ThreadPoolExecutor(max(len(boards), 1)) as pool:
        done = pool.map(lambda turns: [evaluate(name) for name in turns], boards.values())
        failures = [failure for group in done for failure in group]
    failures += [evaluate(name) for name in here]
    return list(filter(None, failures))
