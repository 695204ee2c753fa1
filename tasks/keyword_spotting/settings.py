"""The sections of configs/keyword_spotting.yaml."""

import unicodedata
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from edge.core.errors import UserError
from edge.core.settings import Recipe, Section
from edge.data import labels, own


class Synthetic(Section):
    """What the source synthetic speaks."""

    per_word: int = Field(ge=2)
    rate: int = Field(ge=8000, le=48000)


class Directory(Section):
    """Where one's own recordings are."""

    path: own.Place
    speaker: own.named("speaker")


class Collect(Section):
    """Where the clips come from."""

    source: Literal["synthetic", "fsdd", "speech_commands", "directory"]
    words: list[str] | None
    unknown: int = Field(ge=0)
    silence: int = Field(ge=0)
    silence_seconds: float = Field(gt=0, le=10)
    limits: own.Limits
    synthetic: Synthetic
    speech_commands: Literal["full", "mini"]
    directory: Directory

    @field_validator("words")
    @classmethod
    def once(cls, words: list[str] | None) -> list[str] | None:
        """Each word once, in any case, fit to name a file, and none of the names that other labels have."""
        if words is None:
            return None
        for word in words:
            if word.casefold() in ("_unknown_", "_silence_"):
                raise ValueError(f"{word!r} cannot be a word: collect.unknown and collect.silence make those labels")
        words = labels.distinct(words)
        for word in words:
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

    @field_validator("val_speakers", "test_speakers")
    @classmethod
    def composed(cls, speakers: list[str]) -> list[str]:
        """The names in Unicode's composed form, as collect writes them."""
        return [unicodedata.normalize("NFC", speaker) for speaker in speakers]

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


class Stream(Section):
    """How a stream of windows becomes events, and how often it may wake wrongly."""

    hop: float = Field(gt=0, le=1)
    smoothing: float = Field(ge=0, le=5)
    refractory: float = Field(ge=0, le=10)
    false_accepts: float = Field(ge=0)
    minutes: float = Field(gt=0, le=600)


class Train(Recipe):
    """The model and how it is trained."""

    architecture: Literal["ds_cnn", "dense", "lenet", "lstm", "gru"]
    label_smoothing: float = Field(ge=0, lt=1)
    front_end: FrontEnd
    augment: Augment
    stream: Stream


def frame_sizes(front_end: FrontEnd, rate: int) -> tuple[int, int]:
    """(window, hop) in samples at ``rate`` Hz; the window is even."""
    return 2 * round(front_end.window * rate / 2), round(front_end.hop * rate)


def check(config: Any) -> None:
    """Raise UserError, naming keys and values, where sections that are right in themselves do not fit each other.

    ``config`` has the validated sections ``preprocess`` and ``train``.
    """
    preprocess, front_end = config.preprocess, config.train.front_end
    rate, samples = preprocess.rate, round(preprocess.seconds * preprocess.rate)
    window, hop = frame_sizes(front_end, rate)
    shortest = f"one sample, {1 / rate:.2g} s at preprocess.rate = {rate}"
    if window < 2:
        raise UserError(f"train.front_end.window = {front_end.window:g} is too short: allowed is above {shortest}")
    if hop < 1:
        raise UserError(f"train.front_end.hop = {front_end.hop:g} is too short: allowed is at least {shortest}")
    if samples < window:
        raise UserError(
            f"preprocess.seconds = {preprocess.seconds:g} is shorter than train.front_end.window = "
            f"{front_end.window:g}: raise the first or lower the second"
        )
    if front_end.kind == "mfcc" and front_end.coefficients > front_end.bins:
        raise UserError(
            f"train.front_end.coefficients = {front_end.coefficients}: allowed are at most as many as "
            f"train.front_end.bins = {front_end.bins}"
        )
    if not front_end.low < front_end.high <= rate / 2:
        raise UserError(
            f"train.front_end.high = {front_end.high:g}: allowed is above low ({front_end.low:g}) and up to half of "
            f"preprocess.rate ({rate / 2:g} Hz)"
        )
