"""Keyword spotting: which word of a short list is said in a second of sound, if any."""

import wave
from pathlib import Path

import numpy as np

from edge.core.errors import UserError
from edge.data.shards import Spec
from tasks.keyword_spotting.settings import Collect, FrontEnd, Preprocess, Train  # noqa: F401

LABEL = "accuracy"


def sources() -> dict:
    """Sources by name: callables (config, folder, seed) that fill the folder."""
    from edge.modalities.audio import collection

    return collection.SOURCES


def prepare(raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
    """Write shards of int16 [n, samples], spec.json and the report; returns the counts. Nothing in it is random."""
    from edge.modalities.audio import preparation

    return preparation.prepare(raw, out, config)


def build(config: Train, spec: Spec, seed: int):
    """A Keras model: waveform in -1…1, float32 [batch, samples] -> logits [batch, labels]."""
    import keras

    from edge.modalities.audio.augment import SpecAugment
    from edge.models.networks.classifiers import ARCHITECTURES

    waveform = keras.Input(spec.shape, name=spec.input)
    features = front_end(config.front_end, spec.metadata["sample_rate"])(waveform)
    change = config.augment
    features = SpecAugment(change.warp, change.stretch, change.mask_frames, change.mask_bins, seed)(features)
    return keras.Model(waveform, ARCHITECTURES[config.architecture](features, len(spec.labels)))


def front_end(config: FrontEnd, rate: int):
    """The layer ``features``; raises UserError where the settings do not fit the sample rate."""
    from edge.modalities.audio import frontend

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
    from edge.modalities.audio.augment import Waveforms

    return Waveforms(config.augment, spec.metadata["sample_rate"], spec.shape[0], seed)


def score(labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Top-1 accuracy and macro-F1 of scores [n, labels] against label indices [n]."""
    from edge.heads.scores import classification

    return classification(labels, outputs)


def figures(prepared: Path, out: Path) -> None:
    """One spectrogram a label: the first training example."""
    from edge.data import shards
    from edge.modalities.audio import sox

    split, spec = shards.load(prepared, "train"), shards.load_spec(prepared)
    for index, label in enumerate(spec.labels):
        sox.spectrogram(split.x[int(np.argmax(split.y == index))], spec.metadata["sample_rate"], out / f"{label}.png")


def example(x: np.ndarray, spec: Spec, out: Path) -> None:
    """Files that show one stored clip, int16 [samples], to a person: the sound and its spectrogram."""
    from edge.modalities.audio import sox

    rate = spec.metadata["sample_rate"]
    with wave.open(str(out / "sound.wav"), "wb") as file:
        file.setparams((1, 2, rate, len(x), "NONE", ""))
        file.writeframes(x.astype("<i2").tobytes())
    sox.spectrogram(x, rate, out / "spectrogram.png")
