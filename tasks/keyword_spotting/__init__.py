"""Keyword spotting: which word of a short list is said in a second of sound, if any."""

import wave
from pathlib import Path

import numpy as np

from edge import heads
from edge.core.errors import UserError
from edge.data.decision import Decision
from edge.data.shards import Spec
from tasks import Task
from tasks.keyword_spotting.settings import Collect, FrontEnd, Preprocess, Train, check, frame_sizes


def front_end(config: FrontEnd, rate: int):
    """The layer ``features``; raises UserError where the settings do not fit the sample rate."""
    from edge.modalities.audio import frontend

    window, hop = frame_sizes(config, rate)
    arguments = {
        "sample_rate": rate,
        "window": window,
        "hop": hop,
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


class KeywordSpotting(Task):
    """Which word of a short list is said in a second of sound, if any: int16 sound [samples] to labels."""

    head = heads.Classification()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def check(self, config) -> None:
        """Refuse sections that do not fit each other, such as a clip that is shorter than a window."""
        check(config)

    def sources(self) -> dict:
        """Sources by name: callables (config, folder, seed) that fill the folder."""
        from edge.modalities.audio import collection

        return collection.SOURCES

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        """Write shards of int16 [n, samples], spec.json and the report; returns the counts. Nothing in it is random."""
        from edge.modalities.audio import preparation

        return preparation.prepare(raw, out, config)

    def build(self, config: Train, spec: Spec, seed: int):
        """A Keras model: waveform in -1…1, float32 [batch, samples] -> logits [batch, labels]."""
        import keras

        from edge.modalities.audio.augment import SpecAugment
        from edge.models.networks.classifiers import ARCHITECTURES

        waveform = keras.Input(spec.input.shape, name=spec.input.name)
        features = front_end(config.front_end, spec.metadata["sample_rate"])(waveform)
        change = config.augment
        features = SpecAugment(change.warp, change.stretch, change.mask_frames, change.mask_bins, seed)(features)
        return keras.Model(waveform, ARCHITECTURES[config.architecture](features, len(spec.labels)))

    def augment(self, config: Train, spec: Spec, seed: int):
        """Callable (x, y, seed) on a batch inside tf.data."""
        from edge.modalities.audio.augment import Waveforms

        return Waveforms(config.augment, spec.metadata["sample_rate"], spec.input.shape[0], seed)

    def decide(self, predict, prepared: Path, config: Train, spec: Spec, seed: int) -> Decision:
        """How the model does in continuous audio: threshold by false accepts an hour, misses at that threshold.

        Empty where the data have no label ``_unknown_``: without other words nobody can count false accepts.
        """
        from edge.modalities.audio import decision

        return decision.decide(predict, prepared, config.stream, spec, seed)

    def layers(self) -> dict:
        """The front ends and the augmentation of features."""
        from edge.modalities.audio import augment, frontend

        return {"edge>LogMel": frontend.LogMel, "edge>MFCC": frontend.MFCC, "edge>SpecAugment": augment.SpecAugment}

    def read_example(self, path: Path, spec: Spec, config: Preprocess) -> np.ndarray:
        """A recording, int16 [samples], through SoX; raises UserError where preprocess would reject it."""
        from edge.modalities.audio import preparation

        return preparation.read_file(path, config)

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """Files that show one stored clip, int16 [samples], to a person: the sound and its spectrogram."""
        from edge.modalities.audio import sox

        rate = spec.metadata["sample_rate"]
        with wave.open(str(out / "sound.wav"), "wb") as file:
            file.setparams((1, 2, rate, len(row), "NONE", ""))
            file.writeframes(row.astype("<i2").tobytes())
        sox.spectrogram(row, rate, out / "spectrogram.png")


TASK = KeywordSpotting()
