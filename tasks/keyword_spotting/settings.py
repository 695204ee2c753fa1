"""The sections of configs/keyword_spotting.yaml."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from edge.core.settings import Recipe, Section


class Synthetic(Section):
    """What the source synthetic speaks."""

    per_word: int = Field(ge=2)
    rate: int = Field(ge=8000, le=48000)


class Directory(Section):
    """Where one's own recordings are."""

    path: str | None
    speaker: str | None

    @field_validator("speaker")
    @classmethod
    def finds_speaker(cls, pattern: str | None) -> str | None:
        """A regular expression with a group named speaker."""
        try:
            if pattern is None or "speaker" in re.compile(pattern).groupindex:
                return pattern
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        raise ValueError("the group (?P<speaker>…) is missing")


class Collect(Section):
    """Where the clips come from."""

    source: Literal["synthetic", "fsdd", "speech_commands", "directory"]
    words: list[str] | None
    unknown: int = Field(ge=0)
    silence: int = Field(ge=0)
    silence_seconds: float = Field(gt=0, le=10)
    synthetic: Synthetic
    speech_commands: Literal["full", "mini"]
    directory: Directory

    @field_validator("words")
    @classmethod
    def once(cls, words: list[str] | None) -> list[str] | None:
        """Each word once, and none of the names that other labels have."""
        for word in words or ():
            if not word.strip() or word in ("_unknown_", "_silence_"):
                raise ValueError(f"{word!r} cannot be a word: collect.unknown and collect.silence make those labels")
            if words.count(word) > 1:
                raise ValueError(f"{word!r} is listed twice")
        return words


class Effects(Section):
    """SoX effects after the change to mono and to the sample rate, in this order; null leaves one out."""

    highpass: float | None = Field(gt=0)
    lowpass: float | None = Field(gt=0)
    trim: float | None = Field(gt=0, lt=100)
    gain: float | None = Field(ge=-60, le=60)


class Shares(Section):
    """Shares of the speakers; validation may take clips of the speakers in training where these are few."""

    val: float = Field(ge=0, lt=1)
    val_by: Literal["speaker", "clip"]
    test: float = Field(ge=0, lt=1)


class Preprocess(Section):
    """How clips become examples."""

    rate: int = Field(ge=4000, le=48000)
    seconds: float = Field(gt=0, le=10)
    effects: Effects
    min_seconds: float = Field(ge=0)
    silent: float = Field(le=0)
    clipped: float = Field(ge=0, le=1)
    max_rejected: float = Field(ge=0, le=1)
    split: Shares
    val_speakers: list[str]
    test_speakers: list[str]
    calibration: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def possible(self):
        """What no single value can tell."""
        if self.split.val + self.split.test >= 1:
            raise ValueError("split.val and split.test leave nothing to train on")
        both = set(self.val_speakers) & set(self.test_speakers)
        if both:
            raise ValueError(f"{min(both)} is in val_speakers and in test_speakers")
        if max(self.effects.highpass or 0, self.effects.lowpass or 0) >= self.rate / 2:
            raise ValueError("effects.highpass and effects.lowpass must be below half the rate")
        return self


class FrontEnd(Section):
    """From waveform to features."""

    kind: Literal["log_mel", "mfcc"]
    window: float = Field(gt=0, le=0.2)
    hop: float = Field(gt=0, le=0.2)
    bins: int = Field(ge=4, le=128)
    low: float = Field(ge=0)
    high: float = Field(gt=0)
    floor: float = Field(gt=0)
    coefficients: int = Field(ge=1, le=128)


class Augment(Section):
    """How far training clips are changed; 0 leaves out that change."""

    shift: float = Field(ge=0, le=1)
    speed: float = Field(ge=0, lt=1)
    tilt: float = Field(ge=0, lt=1)
    snr: list[float] = Field(min_length=2, max_length=2)
    warp: float = Field(ge=0, lt=1)
    stretch: float = Field(ge=0, lt=1)
    mask_frames: float = Field(ge=0, lt=1)
    mask_bins: float = Field(ge=0, lt=1)


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["ds_cnn", "dense", "lenet", "lstm", "gru"]
    label_smoothing: float = Field(ge=0, lt=1)
    front_end: FrontEnd
    augment: Augment
