"""The sections of configs/image_classification.yaml."""

from typing import Literal

from pydantic import Field

from edge.core.settings import Recipe, Section
from edge.data.splits import Intake


class Collect(Section):
    """Where the pictures come from."""

    source: Literal["digits"]


class Preprocess(Intake):
    """How the pictures are split."""


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["lenet", "dense"]
    label_smoothing: float = Field(ge=0, lt=1)
    width: int = Field(ge=1, le=1024)
