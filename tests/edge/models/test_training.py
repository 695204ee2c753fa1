"""Training gives the same weights twice and says in one line when it fails."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from edge.core.errors import UserError
from edge.core.settings import Recipe
from edge.data.shards import Spec, Split, Tensor
from edge.heads import Classification
from edge.modalities.audio.augment import SpecAugment, Waveforms
from edge.modalities.audio.frontend import LogMel
from edge.models import training
from edge.models.networks.classifiers import ARCHITECTURES

SAMPLES = 2000
WAVEFORM = Tensor("waveform", (SAMPLES,), scale=1 / 32768)
SPEC = Spec(WAVEFORM, Tensor("scores", (2,)), ("low", "high"), {})
HEAD = Classification()


def recipe(**changes) -> Recipe:
    return Recipe(
        **{
            "epochs": 2, "batch": 8, "learning_rate": 0.003, "warmup": 0.1,
            "weight_decay": 0.01, "patience": 5, "threads": 2,
        } | changes
    )  # fmt: skip


def tones(rows: int) -> Split:
    """Two classes: low and high tones, int16."""
    y = np.arange(rows) % 2
    time = np.arange(SAMPLES) / 8000
    noise = np.random.default_rng(rows).normal(0, 300, (rows, SAMPLES))
    x = 8000 * np.sin(2 * np.pi * np.where(y, 900, 300)[:, None] * time) * (time > 0.1) + noise
    return Split(x.astype(np.int16), y, WAVEFORM)


def trained(cfg: Recipe, architecture: str = "ds_cnn") -> tuple[keras.Model, dict]:
    training.deterministic(3)
    x = keras.Input((SAMPLES,), name="waveform")
    features = LogMel(8000, 240, 160, 256, 20, 20.0, 4000.0, 1e-3)(x)
    features = SpecAugment(0.1, 0.1, 0.2, 0.2, seed=3)(features)
    model = keras.Model(x, ARCHITECTURES[architecture](features, 2, 8))
    waveforms = Waveforms(SimpleNamespace(shift=0.05, speed=0.1, tilt=0.5, snr=(10.0, 40.0)), 8000, SAMPLES, seed=3)
    objective = HEAD.objective(SimpleNamespace(label_smoothing=0.1), SPEC)
    return model, training.fit(model, tones(32), tones(16), cfg, 3, objective, waveforms)


def test_two_trainings_give_the_same_weights():
    """Model, augmentation and order of clips depend on the seed alone: all weights are equal to the byte.

    Two epochs of the default task are compared in test_default_task.
    """
    first, second = trained(recipe(epochs=1))[0], trained(recipe(epochs=1))[0]
    assert [w.numpy().tobytes() for w in first.weights] == [w.numpy().tobytes() for w in second.weights]


def test_training_learns():
    """A model of low and high tones is right on others after a few epochs, and its scores are probabilities."""
    model, history = trained(recipe(epochs=12), "lenet")
    assert len(history["val_score"]) <= 12
    assert max(history["val_score"]) > 0.9
    scores = HEAD.finish(model, None, SPEC)
    assert scores.output_names == ["scores"]
    np.testing.assert_allclose(scores.predict_on_batch(tones(16).inputs(slice(None))).sum(axis=1), 1, rtol=1e-5)


def test_divergence_is_one_line():
    """A loss that is not a number stops training with a UserError."""
    with pytest.raises(UserError, match="learning_rate"):
        trained(recipe(learning_rate=1e38), "dense")


@pytest.mark.parametrize("architecture", ["lenet", "dense"])
def test_images_are_classified_too(architecture):
    """lenet and dense take 8x8 images of one channel."""
    x = keras.Input((8, 8, 1))
    assert ARCHITECTURES[architecture](x, 10).shape == (None, 10)


@pytest.mark.parametrize("architecture", ["lstm", "gru"])
def test_frames_are_classified_by_recurrence(architecture):
    """lstm and gru take frames of features."""
    x = keras.Input((5, 8))
    assert ARCHITECTURES[architecture](x, 10).shape == (None, 10)
