"""The sections of configs/object_detection.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from edge.core.settings import Recipe, Section
from edge.data import labels, own
from edge.data.splits import Intake

Sides = Annotated[list[Annotated[float, Field(gt=0, le=2)]], Field(min_length=2, max_length=2)]


class Scenes(Section):
    """What the source scenes draws."""

    pictures: int = Field(ge=20)
    most: int = Field(ge=1, le=50)


class Voc(Section):
    """Where one's own pictures are."""

    path: own.Place


class Collect(Section):
    """Where the pictures come from."""

    source: Literal["scenes", "bccd", "voc"]
    limits: own.Limits
    scenes: Scenes
    voc: Voc


class Preprocess(Intake):
    """How pictures are resized and split, which labels there are, and where anchors lie."""

    size: list[Annotated[int, Field(ge=32, le=2048)]] = Field(min_length=2, max_length=2)
    keep_aspect: bool
    labels: list[str] | None = Field(min_length=1)
    lists: bool
    anchors: list[Annotated[list[Sides], Field(min_length=1)]] = Field(min_length=3, max_length=3)

    @field_validator("labels")
    @classmethod
    def once(cls, names: list[str] | None) -> list[str] | None:
        """Each label once, in any case."""
        if names is None:
            return None
        names = labels.distinct(names)
        if len(set(names)) < len(names):
            raise ValueError("a label is listed twice")
        return names


class Augment(Section):
    """What changes a picture, and the boxes with it, each time that it is seen in training."""

    zoom: float = Field(ge=0, lt=1)
    mirror: bool
    colour: float = Field(ge=0, le=1)


class Transfer(Section):
    """A network that was trained on other pictures."""

    base: str = Field(pattern=r"^(efficientnet_lite0|mobilenet_v2|.+\.keras)$")
    weights: str | None
    sha256: str | None


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["cnn", "transfer"]
    width: int = Field(ge=4, le=128)
    augment: Augment
    transfer: Transfer
