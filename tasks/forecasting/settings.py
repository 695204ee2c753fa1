"""The sections of configs/forecasting.yaml."""

from typing import Literal

from pydantic import Field, model_validator

from edge.core.settings import Recipe, Section
from edge.data.splits import Intake


class Generated(Section):
    """What the source generated makes."""

    rows: int = Field(ge=1000, le=1000000)


class Csv(Section):
    """Where one's own csv file is, and what its columns mean."""

    path: str = Field(min_length=1)
    time: str | None
    seconds: float = Field(gt=0)
    column: str = Field(min_length=1)


class Collect(Section):
    """Where the series comes from."""

    source: Literal["generated", "csv"]
    generated: Generated
    csv: Csv
    file_mb: float = Field(gt=0, le=2000)


class Preprocess(Intake):
    """How a series becomes examples."""

    step: float | None = Field(gt=0)
    max_gap: float = Field(ge=1)
    past: int = Field(ge=2, le=10000)
    horizon: int = Field(ge=1, le=1000)
    period: int | None = Field(ge=2)

    @model_validator(mode="after")
    def possible(self):
        """What no single value can tell."""
        if self.val + self.test >= 1:
            raise ValueError("val and test leave nothing to train on")
        if self.period and self.period > self.past:
            raise ValueError(
                f"period = {self.period}: the seasonal naive forecast needs that many values, past = {self.past} are "
                "known: raise past, or write null"
            )
        return self


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["dense", "lstm", "gru"]
    width: int = Field(ge=1, le=1024)
