"""The sections of configs/image_classification.yaml."""

from typing import Literal

from pydantic import Field

from edge.core.settings import Recipe, Section


class Collect(Section):
    """Where the pictures come from."""

    source: Literal["digits"]


class Preprocess(Section):
    """How the pictures are split."""

    val: float = Field(gt=0, lt=0.5)
    test: float = Field(gt=0, lt=0.5)
    calibration: float = Field(gt=0, lt=0.5)


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["lenet", "dense"]
    label_smoothing: float = Field(ge=0, lt=1)
    width: int = Field(ge=1, le=1024)
