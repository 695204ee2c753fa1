"""Keyword spotting: which word of a short list is said in a second of sound, if any."""

import re
import wave
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from edge.errors import UserError
from edge.settings import Recipe, Section
from edge.shards import Spec

LABEL = "accuracy"


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
    front_end: FrontEnd
    augment: Augment


def sources() -> dict:
    """Sources by name: callables (config, folder, seed) that fill the folder."""
    from edge.audio import collection

    return collection.SOURCES


def prepare(raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
    """Write shards of int16 [n, samples], spec.json and the report; returns the counts. Nothing in it is random."""
    from edge.audio import preparation

    return preparation.prepare(raw, out, config)


def build(config: Train, spec: Spec, seed: int):
    """A Keras model: waveform in -1…1, float32 [batch, samples] -> logits [batch, labels]."""
    import keras

    from edge.audio.augment import SpecAugment
    from edge.models.architectures import ARCHITECTURES

    waveform = keras.Input(spec.shape, name=spec.input)
    features = front_end(config.front_end, spec.metadata["sample_rate"])(waveform)
    change = config.augment
    features = SpecAugment(change.warp, change.stretch, change.mask_frames, change.mask_bins, seed)(features)
    return keras.Model(waveform, ARCHITECTURES[config.architecture](features, len(spec.labels)))


def front_end(config: FrontEnd, rate: int):
    """The layer ``features``; raises UserError where the settings do not fit the sample rate."""
    from edge.audio import frontend

    window = 2 * round(config.window * rate / 2)
    arguments = {
        "sample_rate": rate,
        "window": window,
        "hop": round(config.hop * rate),
        "fft": 2 ** (window - 1).bit_length(),
        "bins": config.bins,
        "low": config.low,
        "high": config.high,
        "floor": config.floor,
        "name": "features",
    }
    if not config.low < config.high <= rate / 2:
        raise UserError(
            f"train.front_end.high = {config.high:g}: allowed is above low ({config.low:g}) and up to half the sample "
            f"rate ({rate / 2:g} Hz)"
        )
    try:
        if config.kind == "mfcc":
            return frontend.MFCC(config.coefficients, **arguments)
        return frontend.LogMel(**arguments)
    except ValueError as error:
        raise UserError(f"train.front_end: {error}") from None


def augment(config: Train, spec: Spec, seed: int):
    """Callable (x, y, seed) on a batch inside tf.data."""
    from edge.audio.augment import Waveforms

    return Waveforms(config.augment, spec.metadata["sample_rate"], spec.shape[0], seed)


def score(labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Top-1 accuracy and macro-F1 of scores [n, labels] against label indices [n]."""
    from edge.models.scores import classification

    return classification(labels, outputs)


def figures(prepared: Path, out: Path) -> None:
    """One spectrogram a label: the first training example."""
    from edge import shards
    from edge.audio import sox

    split, spec = shards.load(prepared, "train"), shards.load_spec(prepared)
    for index, label in enumerate(spec.labels):
        sox.spectrogram(split.x[int(np.argmax(split.y == index))], spec.metadata["sample_rate"], out / f"{label}.png")


def example(x: np.ndarray, spec: Spec, out: Path) -> None:
    """Files that show one stored clip, int16 [samples], to a person: the sound and its spectrogram."""
    from edge.audio import sox

    rate = spec.metadata["sample_rate"]
    with wave.open(str(out / "sound.wav"), "wb") as file:
        file.setparams((1, 2, rate, len(x), "NONE", ""))
        file.writeframes(x.astype("<i2").tobytes())
    sox.spectrogram(x, rate, out / "spectrogram.png")
