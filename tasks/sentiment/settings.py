"""The sections of configs/sentiment.yaml."""

from typing import Literal

from pydantic import Field, field_validator

from edge.core.settings import Recipe, Section
from edge.data.splits import Intake


class Files(Section):
    """One's own texts."""

    path: str | None
    encoding: str

    @field_validator("encoding")
    @classmethod
    def has_lines(cls, name: str) -> str:
        """An encoding that Python knows and whose lines end with one byte."""
        try:
            if "a\n".encode(name) == b"a\n":
                return name
        except (LookupError, UnicodeError):
            raise ValueError("Python has no such encoding: write utf-8, latin-1, cp1252 or another") from None
        raise ValueError("its lines cannot be told apart by bytes: save the files as utf-8")


class Collect(Section):
    """Where the reviews come from."""

    source: Literal["generated", "rt_polarity", "imdb", "files"]
    generated: int = Field(ge=100, le=20000)
    files: Files


class Preprocess(Intake):
    """How reviews become word indices."""

    length: int = Field(ge=1, le=1000)
    vocabulary: int = Field(ge=4, le=32767)
    seen: int = Field(ge=1)
    unique: bool
    fold: int = Field(ge=0, le=99)


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["words", "dense", "dan", "lstm", "gru"]
    label_smoothing: float = Field(ge=0, lt=1)
    width: int = Field(ge=1, le=1024)
    dropout: float = Field(ge=0, lt=1)
    word_dropout: float = Field(ge=0, lt=1)
