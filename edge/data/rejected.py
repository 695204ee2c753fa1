"""What preprocess leaves out: every fault of a data set in one report, and an error where too much is faulty."""

import csv
from collections import Counter
from pathlib import Path

from edge.core.errors import UserError

DUPLICATE, CONTRADICTION = "duplicate", "contradiction"


class Table:
    """A csv file, written row by row: ``with Table(path, "id", "label") as table: table.add("1", "yes")``."""

    def __init__(self, path: Path, *columns: str):
        self.path, self.columns = path, columns

    def __enter__(self):
        self.file = open(self.path, "w", newline="", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        self.rows = csv.writer(self.file, lineterminator="\n")
        self.add(*self.columns)
        return self

    def __exit__(self, *_):
        self.file.close()

    def add(self, *values) -> None:
        """Write one row, a value for each column."""
        self.rows.writerow(values)


class Rejected(Table):
    """rejected.csv: a row (file, line, reason, detail) for each example that is left out; ``counts`` by reason.

    ``reason`` is one of a few, such as "not a number"; ``detail`` says what was found there. ``line`` is empty where a
    file is one example. Duplicates are no fault and do not count against the limit.
    """

    def __init__(self, out: Path):
        super().__init__(out / "rejected.csv", "file", "line", "reason", "detail")
        self.counts: Counter[str] = Counter()

    def reject(self, file: str, line: int | str, reason: str, detail: str = "") -> None:
        """Leave one example out."""
        self.counts[reason] += 1
        self.add(file, line, reason, detail)

    def check(self, kept: int, most: float, what: str) -> None:
        """Raise UserError where more than the share ``most`` of all is faulty; ``what`` names the examples.

        ``kept`` is the number of examples that are good. Example: ``rejected.check(kept, config.max_rejected,
        "pictures")``.
        """
        faults = Counter({reason: count for reason, count in self.counts.items() if reason != DUPLICATE})
        total = self.counts.total() + kept
        if faults.total() > most * total:
            reason, count = max(faults.items(), key=lambda item: item[1])
            raise UserError(
                f"{faults.total()} of {total} {what} are rejected, {count} of them as {reason}, and "
                f"preprocess.max_rejected allows {most:.0%}: mend or remove them, or change the limit that rejects them"
            )
        if not kept:
            raise UserError(f"no {what} are left: collect some, or change collect.source in the config")
