"""What a board sends back, read as if it were hostile: sizes, types and ranges are checked before anything is used."""

import csv
import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import numpy as np
import pydantic.dataclasses
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from device.failure import Failure
from device.measure import runner
from edge.core import settings
from edge.core.errors import UserError
from edge.records.measurement import CHECKED, Board, Count, Milliseconds, Pair, Sha256, State, Text, Threads

REPORT, OUTPUTS, STEPS, SERIES, SOAK = "results.json", "outputs.npy", "steps.npz", "series.csv", "soak.csv"
NAMES = (REPORT, OUTPUTS, STEPS, SERIES, SOAK, runner.MANIFEST, runner.COMPLETE)
REQUIRED = {"samples.npy", "scores.npy"}
ALLOWED = REQUIRED | {"features.npy", "logits.npy"}
MOST_MB = 64  # MiB of each file
MOST_ROWS = 1_000_000  # of each table

NUMBER = r"\d{1,12}(\.\d{1,9})?"
TEMPERATURE = r"(-?\d{1,3}(\.\d{1,9})?)?"
SERIES_COLUMNS = {
    "model": "candidate|baseline",
    "threads": r"[1-9]|[1-5]\d|6[0-4]",
    "repeat": r"\d{1,6}",
    "seconds": NUMBER,
    "ms": NUMBER,
    "temperature_c": TEMPERATURE,
}
SOAK_COLUMNS = {"seconds": NUMBER, "candidate_ms": NUMBER, "baseline_ms": NUMBER, "temperature_c": TEMPERATURE}


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=CHECKED)
class Start:
    """What the start of a model cost in one process, and whether its warm-up settled."""

    load_ms: Milliseconds
    first_inference_ms: Milliseconds
    warmup_runs: Count
    steady: bool


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=CHECKED)
class Starts:
    """The start of both models."""

    candidate: Start
    baseline: Start


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=CHECKED)
class Pass:
    """One process, which measured both models in turns."""

    threads: Threads
    models: Starts


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=CHECKED)
class Report:
    """The runner's results.json: ``instructions`` of an emulated board, of any other the rest; ``soak`` if asked."""

    run_id: Text
    bundle: Sha256
    model_sha256: Sha256
    board: Board
    runtime: Text
    instructions: Pair | None = None
    peak_memory_mb: Pair | None = None
    attempts: Count | None = None
    rejected: list[str] = Field(default_factory=list)
    passes: Annotated[list[Pass], Field(min_length=1)] | None = None
    state: State | None = None
    soak: State | None = None

    @model_validator(mode="after")
    def check_kind(self) -> "Report":
        timed = [figure is not None for figure in (self.peak_memory_mb, self.attempts, self.passes, self.state)]
        if any(timed) == (self.instructions is not None) or any(timed) != all(timed):
            raise ValueError("it should have instructions, or all of peak_memory_mb, attempts, passes and state")
        return self


@dataclass(frozen=True)
class Results:
    """A checked run: the runner's report, scores [n, ...], the first rows' steps by name, and tables of columns.

    ``series`` has a row for each measured inference (model, threads, repeat, seconds, ms, temperature_c), ``soak`` one
    for each A B B A of a soak; both are empty where nothing was measured.
    """

    report: Report
    outputs: np.ndarray
    steps: dict[str, np.ndarray]
    series: dict[str, np.ndarray]
    soak: dict[str, np.ndarray]


def read(folder: Path, board: str, run_id: str, bundle: str, model_sha256: str) -> Results:
    """The results of a run in ``folder``; ``board`` is the name for a person.

    Raises UserError where they are too large, not whole, not of this run, bundle and model, or no results at all.
    """
    try:
        check_sizes(folder)
        complete = (folder / runner.COMPLETE).read_text(encoding="utf-8").strip()
        whole = complete == runner.check_manifest(folder)
    except (OSError, ValueError, Failure) as error:
        raise UserError(f"{board}: the results are damaged: {error}") from None
    if not whole:
        raise UserError(f"{board}: the results are damaged: their manifest is not the one that was written")
    try:
        report = read_report(folder / REPORT)
        for key, sent in {"run_id": run_id, "model_sha256": model_sha256, "bundle": bundle}.items():
            there = getattr(report, key)
            if there != sent:
                raise UserError(f"the results are of another {key.split('_')[0]}: {there}, sent was {sent}")
        return Results(
            report,
            read_array(folder / OUTPUTS),
            read_steps(folder / STEPS),
            read_table(folder / SERIES, SERIES_COLUMNS),
            read_table(folder / SOAK, SOAK_COLUMNS),
        )
    except UserError as error:
        raise UserError(f"{board}: {error}") from None
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, csv.Error) as error:
        raise UserError(f"{board}: the results cannot be read: {type(error).__name__}: {error}") from None


def check_sizes(folder: Path) -> None:
    """Raise UserError where a file is none of a run's, or too large."""
    for path in folder.iterdir():
        if path.name not in NAMES:
            raise ValueError(f"{path.name!r} is no file of a run")
        if path.stat().st_size > MOST_MB * 2**20:
            raise ValueError(f"{path.name} has more than {MOST_MB} MiB")


def read_report(path: Path) -> Report:
    """The runner's report; raises UserError that names the first field that is not as it should be."""
    try:
        return TypeAdapter(Report).validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(f"{path.name}: {settings.first_error(error)}") from None


def read_array(path: Path) -> np.ndarray:
    """An array of numbers in an .npy file; raises UserError for any other."""
    with open(path, "rb") as file:
        return read_npy(file, path.stat().st_size, path.name)


def read_npy(file: IO[bytes], size: int, name: str) -> np.ndarray:
    """An array of numbers out of ``size`` bytes; raises UserError where the header promises another kind or more."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise UserError(f"{name}: it is not of version 1.0 of its format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "fiu" or math.prod(shape) * dtype.itemsize > size:
        raise UserError(f"{name}: its header, {dtype} {shape}, is not of numbers that fit into {size} bytes")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def read_steps(path: Path) -> dict[str, np.ndarray]:
    """The first rows' steps by name; raises UserError for any other content."""
    steps = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if len(set(names)) < len(names) or not REQUIRED <= set(names) <= ALLOWED:
            raise UserError(f"{path.name} does not hold the steps of a model: {', '.join(sorted(ALLOWED))}")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > path.stat().st_size:
                raise UserError(f"{path.name}: {member.filename} is packed, or larger than the file itself")
            with archive.open(member) as file:
                steps[member.filename.removesuffix(".npy")] = read_npy(file, member.file_size, member.filename)
    return steps


def read_table(path: Path, columns: dict[str, str]) -> dict[str, np.ndarray]:
    """The columns of a CSV file by name, as text; no columns where there is no such file.

    ``columns`` are the names and the regular expression of their cells. Raises UserError that names row and column
    where a cell does not match.
    """
    if not path.exists():
        return {}
    patterns = {name: re.compile(pattern, re.ASCII) for name, pattern in columns.items()}
    found: dict[str, list[str]] = {name: [] for name in columns}
    with open(path, encoding="ascii", newline="") as file:
        rows = csv.reader(file)
        if next(rows, None) != list(columns):
            raise UserError(f"{path.name}: its columns are not {', '.join(columns)}")
        for number, row in enumerate(rows, 1):
            if number > MOST_ROWS or len(row) != len(columns):
                raise UserError(f"{path.name}: row {number}: more than {MOST_ROWS} rows, or another number of cells")
            for (name, pattern), cell in zip(patterns.items(), row, strict=True):
                if not pattern.fullmatch(cell):
                    raise UserError(f"{path.name}: row {number}: {name} = {cell[:40]!r} cannot be")
                found[name].append(cell)
    return {name: np.array(cells) for name, cells in found.items()}
