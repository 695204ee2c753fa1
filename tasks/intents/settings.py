"""The sections of configs/intents.yaml."""

from typing import Literal

from pydantic import Field

from edge.core.settings import Recipe, Section
from edge.data.splits import Intake


class Collect(Section):
    """Where the patterns come from."""

    source: Literal["shipped", "file"]
    file: str | None
    merge_tags: bool


class Preprocess(Intake):
    """How patterns become word indices."""

    length: int = Field(ge=1, le=1000)
    vocabulary: int = Field(ge=4, le=32767)
    seen: int = Field(ge=1)
    unique: bool
    fold: int = Field(ge=0, le=99)
    variants: int = Field(ge=1, le=1000)


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["dense", "words", "dan"]
    label_smoothing: float = Field(ge=0, lt=1)
    width: int = Field(ge=1, le=1024)
    dropout: float = Field(ge=0, lt=1)
    word_dropout: float = Field(ge=0, lt=1)
    refuse: float = Field(ge=0, le=1)
