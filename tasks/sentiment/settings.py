"""The sections of configs/sentiment.yaml."""

from typing import Literal

from pydantic import Field, field_validator

from edge.core.settings import Recipe, Section
from edge.modalities.text.lines import check_encoding
from edge.modalities.text.preparation import TextIntake


class Files(Section):
    """One's own texts."""

    path: str | None
    encoding: str

    @field_validator("encoding")
    @classmethod
    def has_lines(cls, name: str) -> str:
        """An encoding that Python knows and whose lines end with one byte."""
        return check_encoding(name)


class Collect(Section):
    """Where the reviews come from."""

    source: Literal["generated", "rt_polarity", "imdb", "files"]
    generated: int = Field(ge=100, le=20000)
    files: Files


class Preprocess(TextIntake):
    """How reviews become word indices."""


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["words", "dense", "dan", "lstm", "gru"]
    label_smoothing: float = Field(ge=0, lt=1)
    width: int = Field(ge=1, le=1024)
    dropout: float = Field(ge=0, lt=1)
    word_dropout: float = Field(ge=0, lt=1)
