"""What a device measured: typed figures, and the only reader and writer of metrics/devices and plots/devices.

A figure comes from a board, or from a file that somebody may have edited. So its type and its range are checked when an
object is made, and with it at every write and every read.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from edge.core import files, paths, settings
from edge.core.errors import UserError

CHECKED = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
LEAST_MS = 1e-4  # the call of a runtime alone takes more than 0.1 µs: a shorter latency was not measured

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Cost = Annotated[float, Field(gt=0)]  # nothing costs nothing
Milliseconds = Annotated[float, Field(ge=LEAST_MS)]
Percent = Annotated[float, Field(gt=-100)]  # a change of what is above 0
Celsius = Annotated[float, Field(ge=-100, le=200)]
Count = Annotated[int, Field(ge=1, le=10**15)]
Megahertz = Annotated[int, Field(ge=1)]
Threads = Annotated[int, Field(ge=1, le=64)]
ThreadsKey = Annotated[str, Field(pattern=r"^threads_([1-9]|[1-5][0-9]|6[0-4])$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Pair:
    """A cost of the model that ships, and of the fp32 model of the same run."""

    candidate: Cost
    baseline: Cost


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Instructions(Pair):
    """Guest instructions of an inference on an emulated board."""

    change_percent: Percent


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Verdict:
    """How much the candidate's latency differs from the baseline's, with its 95 % interval; and that in words."""

    change_percent: Percent
    low_percent: Percent
    high_percent: Percent
    verdict: Literal["faster", "slower", "undecided"]
    says: Text

    @model_validator(mode="after")
    def check_interval(self) -> "Verdict":
        if not self.low_percent <= self.change_percent <= self.high_percent:
            raise ValueError("low_percent, change_percent and high_percent should be in this order")
        return self


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Timing:
    """Inferences of one model, milliseconds; ``outliers`` is a share. A percentile of too few inferences is None."""

    mean: Milliseconds
    p50: Milliseconds
    p90: Milliseconds | None = None
    p95: Milliseconds | None = None
    p99: Milliseconds | None = None
    outliers: Share
    load: Milliseconds
    first_inference: Milliseconds

    @model_validator(mode="after")
    def check_order(self) -> "Timing":
        known = [value for value in (self.p50, self.p90, self.p95, self.p99) if value is not None]
        if known != sorted(known):
            raise ValueError("p50, p90, p95 and p99 should be in this order")
        return self


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Latency(Verdict):
    """Both models at one number of threads, measured in turns."""

    candidate_ms: Timing
    baseline_ms: Timing


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class State:
    """The board while it measured, None where it does not say; device/health.py explains each."""

    temperature_start: Celsius | None = None
    temperature_max: Celsius | None = None
    clock_mhz_min: Megahertz | None = None
    clock_mhz_max: Megahertz | None = None
    others_max: Amount | None = None
    free_mb_min: Annotated[int, Field(ge=0)] | None = None
    load1_max: Amount | None = None
    throttled: Annotated[int, Field(ge=0, lt=2**20)] | None = None


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Soak:
    """Minutes under load: the verdicts of the first and of the last tenth, where there are blocks enough for both."""

    blocks: Annotated[int, Field(ge=0)]
    state: State
    start: Verdict | None = None
    end: Verdict | None = None


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Parity:
    """Largest difference between board and this machine at each step; ``agreement`` is the share of equal answers."""

    samples: Amount
    features: Amount | None = None
    logits: Amount | None = None
    scores: Amount
    agreement: Share


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Board:
    """What the board says that it is, None where it does not say."""

    machine: Text
    soc_revision: Text | None = None
    kernel: Text | None = None
    os: Text | None = None
    python: Text | None = None
    cores: Count | None = None
    memory_mb: Count | None = None
    governor: Text | None = None
    firmware: Text | None = None


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Measurement:
    """All that one evaluation on a device found; docs/devices.md explains each figure.

    An emulated board has ``instructions``. Any other has ``latency`` by number of threads (``threads_1``, …),
    ``peak_memory_mb``, ``state``, ``steady`` (share of warm-ups that settled), ``attempts``, and ``soak`` where asked.
    ``scores`` are the task's, on ``examples`` of the test split.
    """

    device: Text
    transport: Literal["local", "ssh", "emulated"]
    model: Text
    model_sha256: Sha256
    model_bytes: Count
    baseline_sha256: Sha256
    quantization: Text
    runtime: Text
    wheels_sha256: Sha256 | None = None
    board: Board
    examples: Count
    scores: Annotated[dict[Text, float], Field(min_length=1)]
    parity: Parity
    instructions: Instructions | None = None
    latency: Annotated[dict[ThreadsKey, Latency], Field(min_length=1)] | None = None
    peak_memory_mb: Pair | None = None
    state: State | None = None
    steady: Share | None = None
    attempts: Count | None = None
    soak: Soak | None = None

    @model_validator(mode="after")
    def check_kind(self) -> "Measurement":
        timed = [figure is not None for figure in (self.latency, self.peak_memory_mb, self.state, self.attempts)]
        timed.append(self.steady is not None)
        counted = self.instructions is not None
        if self.transport == "emulated" and (any(timed) or self.soak or not counted):
            raise ValueError("an emulated board should have instructions, and no latency")
        if self.transport != "emulated" and (not all(timed) or counted):
            raise ValueError("a board should have latency, peak_memory_mb, state, steady and attempts")
        return self


FORM = TypeAdapter(Measurement)


def file(name: str) -> Path:
    """The metrics file of the device ``name``."""
    return paths.DEVICE_METRICS / f"{name}.json"


def plot(name: str) -> Path:
    """The plot file of the device ``name``."""
    return paths.DEVICE_PLOTS / f"{name}.csv"


def names() -> list[str]:
    """The devices that have a metrics file."""
    return sorted(path.stem for path in paths.DEVICE_METRICS.glob("*.json"))


def read(name: str) -> Measurement:
    """What the device ``name`` measured of the model at hand; raises UserError where that is not known."""
    path = file(name)
    try:
        return parse(path.read_bytes(), name, files.sha256)
    except FileNotFoundError as error:
        raise UserError(f"{path} cannot be used: {error.filename} is missing: run dvc repro") from None
    except OSError as error:
        raise UserError(f"{path} cannot be used: {error.strerror}: run dvc repro") from None


def parse(content: bytes, name: str, sha256: Callable[[Path], str | None]) -> Measurement:
    """The measurement in the content of the metrics file of the device ``name``.

    ``sha256`` gives the hash of a model that ships, None where it is not known. Raises UserError where the content is
    of another form (of an older version, say), device or model.
    """
    path = file(name)
    try:
        found = FORM.validate_json(content)
    except ValidationError as error:
        reason = settings.first_error(error)
        raise UserError(f"{path} is not as this version writes it ({reason}): run dvc repro") from None
    if found.device != name:
        raise UserError(f"{path} is of the device {found.device!r}: run dvc repro")
    shipped = {str(model): model for model in paths.SHIPPED}
    if found.model not in shipped:
        raise UserError(f"{path} measured {found.model!r}, which does not ship: run dvc repro")
    if sha256(shipped[found.model]) not in (None, found.model_sha256):
        raise UserError(f"{path} measured another model: run dvc repro")
    return found


def content(measurement: Measurement, without: str = "") -> dict:
    """The measurement as nested dicts of numbers and texts, what is None left out, and the field ``without``."""
    return FORM.dump_python(measurement, mode="json", exclude_none=True, exclude={without})


def write(measurement: Measurement, series: dict[str, np.ndarray]) -> None:
    """Write a device's plot, where the columns ``series`` hold any, then its metrics."""
    target = plot(measurement.device)
    if series:
        with files.atomic(target) as temporary:
            rows = (",".join(row) for row in zip(*series.values(), strict=True))
            temporary.write_text("\n".join((",".join(series), *rows, "")), encoding="utf-8")
    else:
        files.remove(target)
    files.write_json(file(measurement.device), content(measurement))


def remove(name: str) -> None:
    """Remove the files of the device ``name``."""
    files.remove(file(name))
    files.remove(plot(name))


def keep_only(names: list[str]) -> None:
    """Remove the files of every device that is not among ``names``."""
    for folder in (paths.DEVICE_METRICS, paths.DEVICE_PLOTS):
        for path in folder.glob("*"):
            if path.stem not in names:
                files.remove(path)
