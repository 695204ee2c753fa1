"""Series from csv files that people made: every wrong row is rejected with its line and column, and reading goes on."""

import csv
import itertools
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from edge.core import settings
from edge.core.errors import UserError
from edge.data import labels
from edge.data.rejected import Rejected

NUMBER, FIELDS, LABEL, UNREADABLE = "not a number", "wrong number of fields", "unusable label", "unreadable"
LARGEST = 1e30  # of a number: float32 holds it, and stamps in nanoseconds are below it
SHOWN = 40  # characters of a wrong value that rejected.csv shows


class Layout(settings.Section):
    """Which columns of a csv file mean what; collect writes it beside the files, preprocess reads it.

    ``sensors`` are groups of columns that share a unit, such as the three axes of an accelerometer. ``time`` None: the
    rows are equally far apart; ``seconds`` is the length of one unit of time. ``group`` names a column whose value says
    to which group, such as a person, a row belongs.
    """

    time: str | None
    seconds: float = Field(gt=0)
    sensors: list[list[str]]
    label: str | None
    group: str | None

    @property
    def values(self) -> list[str]:
        """The columns of numbers, in order."""
        return list(itertools.chain.from_iterable(self.sensors))

    def save(self, raw: Path) -> None:
        """Write layout.json."""
        (raw / "layout.json").write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_layout(raw: Path) -> Layout:
    """Read layout.json; raises UserError where it is damaged."""
    path = raw / "layout.json"
    return settings.validate(Layout, settings.read(path), path)


class Recording(NamedTuple):
    """Rows of a file that belong together, as they came.

    ``stamps`` are seconds, float64 [n]; ``values`` float32 [n, columns]; ``labels`` has a label a row, an empty one
    where the layout has none; ``group`` is empty where the layout has none.
    """

    group: str
    stamps: np.ndarray
    values: np.ndarray
    labels: list[str]


def read(path: Path, file: str, layout: Layout, step: float, rejected: Rejected) -> Iterator[Recording]:
    """Yield the recordings of a csv file: one, or one for each run of rows of the same group and label.

    The separator is a comma or a semicolon; with a semicolon numbers may have a decimal comma. A byte order mark is
    skipped. A row with a fault is rejected under the name ``file``. Without a column of time, rows are ``step`` seconds
    apart, and a rejected row leaves a gap. Raises UserError where a column is missing.
    """
    with open(path, encoding="utf-8-sig", newline="") as stream:
        try:
            yield from _recordings(stream, file, layout, step, rejected)
        except (csv.Error, UnicodeDecodeError) as error:
            rejected.reject(file, "", UNREADABLE, str(error)[:200])


def _recordings(stream, file: str, layout: Layout, step: float, rejected: Rejected) -> Iterator[Recording]:
    """The recordings of an open file."""
    first = stream.readline()
    separator = ";" if first.count(";") > first.count(",") else ","
    header = [name.strip() for name in next(csv.reader([first], delimiter=separator), [])]
    wanted = [name for name in (layout.time, *layout.values, layout.label, layout.group) if name is not None]
    for name in wanted:
        if header.count(name) != 1:
            found = ", ".join(header)[: settings.SHOWN] or "none"
            said = "has no column" if name not in header else "has more than one column"
            raise UserError(
                f"{file} {said} {name}: its columns are {found}; correct the file, or the names in the config"
            )
    numbers = [(name, header.index(name)) for name in ([layout.time] if layout.time else []) + layout.values]
    label_at, group_at = (header.index(name) if name else None for name in (layout.label, layout.group))
    usable: dict[str, str] = {}  # a label as it is written: the label in composed form, once it was checked
    key, run, position = None, _Run(), 0
    rows = csv.reader(stream, delimiter=separator, strict=True)
    for row in rows:
        line = rows.line_num + 1
        if not row:
            continue
        position += 1
        if len(row) != len(header):
            rejected.reject(file, line, FIELDS, f"{len(row)} where the header has {len(header)}")
            continue
        values = _numbers(row, numbers, separator, file, line, rejected)
        if values is None:
            continue
        label = row[label_at].strip() if label_at is not None else ""
        if label_at is not None and label not in usable:
            try:
                usable[label] = labels.checked(label)
            except ValueError as error:
                rejected.reject(file, line, LABEL, str(error))
                continue
        group = row[group_at].strip() if group_at is not None else ""
        if group_at is not None and (group, label) != key:
            if run.labels:
                yield run.recording(key[0], len(layout.values))
            key, run = (group, label), _Run()
        run.stamps.append(values[0] * layout.seconds if layout.time else position * step)
        run.values.extend(values[1:] if layout.time else values)
        run.labels.append(usable.get(label, ""))
    if run.labels:
        yield run.recording(key[0] if key else "", len(layout.values))


class _Run:
    """Rows that are being read."""

    def __init__(self):
        self.stamps, self.values = array("d"), array("f")
        self.labels: list[str] = []

    def recording(self, group: str, columns: int) -> Recording:
        """All rows so far."""
        values = np.array(self.values, np.float32).reshape(-1, columns)
        return Recording(group, np.array(self.stamps, np.float64), values, self.labels)


def _numbers(
    row: list[str], columns: list[tuple[str, int]], separator: str, file: str, line: int, rejected: Rejected
) -> list[float] | None:
    """The numbers of a row; None where one is none, which is rejected."""
    values = []
    for name, index in columns:
        text = row[index]
        try:
            value = float(text.replace(",", ".") if separator == ";" else text)
        except ValueError:
            value = float("nan")
        if not abs(value) < LARGEST:
            rejected.reject(file, line, NUMBER, f"column {name}: {text[:SHOWN]!r}")
            return None
        values.append(value)
    return values
