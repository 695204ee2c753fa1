"""The sections of configs/image_classification.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from edge.core.settings import Recipe, Section
from edge.data import own
from edge.data.splits import Intake


class Directory(Section):
    """Where one's own pictures are."""

    path: own.Place
    group: own.named("group")


class Collect(Section):
    """Where the pictures come from."""

    source: Literal["digits", "sign_language_digits", "directory"]
    directory: Directory
    limits: own.Limits


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
