"""The sections of configs/image_classification.yaml."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from edge.core.settings import Recipe, Section
from edge.data.splits import Intake


class Directory(Section):
    """Where one's own pictures are."""

    path: str | None
    group: str | None

    @field_validator("path")
    @classmethod
    def names_something(cls, path: str | None) -> str | None:
        """An empty path would be the folder of the pipeline itself."""
        if path is not None and (not path.strip() or "\0" in path):
            raise ValueError("name a folder or an archive, or write null")
        return path

    @field_validator("group")
    @classmethod
    def finds_group(cls, pattern: str | None) -> str | None:
        """A regular expression with a group named group."""
        try:
            if pattern is None or "group" in re.compile(pattern).groupindex:
                return pattern
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        raise ValueError("the group (?P<group>…) is missing")


class Limits(Section):
    """What pictures may have unpacked."""

    picture_mb: float = Field(gt=0, le=2000)
    archive_gb: float = Field(gt=0)


class Collect(Section):
    """Where the pictures come from."""

    source: Literal["digits", "sign_language_digits", "directory"]
    directory: Directory
    limits: Limits


class Preprocess(Intake):
    """How files become pictures of one size."""

    size: Annotated[list[Annotated[int, Field(ge=4, le=1024)]], Field(min_length=2, max_length=2)] | None
    channels: Literal[1, 3] | None
    keep_aspect: bool


class Augment(Section):
    """How far training pictures are changed; 0 leaves out that change."""

    rotation: float = Field(ge=0, le=3.2)
    zoom: float = Field(ge=0, lt=1)
    shift: float = Field(ge=0, lt=1)
    mirror: bool
    gain: float = Field(ge=0, lt=1)
    offset: float = Field(ge=0, le=255)


class Transfer(Section):
    """A network that was trained on other pictures, and how it is trained on."""

    base: str = Field(pattern=r"^(efficientnet_lite0|mobilenet_v2|.+\.keras)$")
    weights: str | None
    sha256: str | None
    fine_tune_epochs: int = Field(ge=0)
    fine_tune_rate: float = Field(gt=0)


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["cnn", "lenet", "dense", "transfer"]
    width: int = Field(ge=1, le=1024)
    dropout: float = Field(ge=0, lt=1)
    label_smoothing: float = Field(ge=0, lt=1)
    augment: Augment
    transfer: Transfer
