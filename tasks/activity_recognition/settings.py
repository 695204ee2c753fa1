"""The sections of configs/activity_recognition.yaml."""

import itertools
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from edge.core.errors import UserError
from edge.core.settings import Recipe, Section
from edge.data import own
from edge.data.splits import Intake


class Generated(Section):
    """What the source generated makes."""

    subjects: int = Field(ge=4, le=100)
    recordings: int = Field(ge=1)
    seconds: float = Field(ge=2)


class Csv(Section):
    """Where one's own csv files are, and what their columns mean."""

    path: str = Field(min_length=1)
    time: str | None
    seconds: float = Field(gt=0)
    sensors: list[list[str]] = Field(min_length=1)
    label: str

    @field_validator("sensors")
    @classmethod
    def once(cls, sensors: list[list[str]]) -> list[list[str]]:
        """Each column once, and no sensor without columns."""
        columns = list(itertools.chain.from_iterable(sensors))
        if not all(sensors) or len(set(columns)) < len(columns):
            raise ValueError("a sensor has no column, or a column is listed twice")
        return sensors


class Poses(Section):
    """Where the csv of coordinates is."""

    path: str = Field(min_length=1)


class Collect(Section):
    """Where the recordings come from."""

    source: Literal["generated", "smartphone_activity", "csv", "poses"]
    generated: Generated
    csv: Csv
    poses: Poses
    limits: own.Limits


class Preprocess(Intake):
    """How recordings become windows, and who is in which split."""

    rate: float = Field(ge=1, le=1000)
    window: float = Field(gt=0, le=60)
    hop: float = Field(gt=0, le=60)
    purity: float = Field(ge=0, le=1)
    max_gap: float = Field(gt=0)
    val_subjects: list[str]
    test_subjects: list[str]

    @model_validator(mode="after")
    def possible(self):
        """What no single value can tell."""
        if both := set(self.val_subjects) & set(self.test_subjects):
            raise ValueError(f"{min(both)} is in val_subjects and in test_subjects")
        if min(self.window, self.hop) * self.rate < 1:
            raise ValueError(f"window and hop must be at least 1 / rate = {1 / self.rate:.3g} seconds")
        return self


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["cnn", "lstm", "dense"]
    width: int = Field(ge=2, le=1024)
    dropout: float = Field(ge=0, lt=1)
    label_smoothing: float = Field(ge=0, lt=1)
    orientations: bool


def check(config: Any) -> None:
    """Raise UserError where no sensor could be turned although ``train.orientations`` asks for it."""
    collect = config.collect
    if collect.source == "csv" and config.train.orientations and all(len(axes) != 3 for axes in collect.csv.sensors):
        raise UserError(
            "train.orientations = true turns sensors of three axes, and collect.csv.sensors has none: group the three "
            "columns of a sensor, or write false"
        )
