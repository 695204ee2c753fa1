"""Detectors: logits for every anchor, whatever the picture's size and whatever the network below."""

import keras
import numpy as np
import pytest

from edge.core.errors import UserError
from edge.core.files import sha256
from edge.data.shards import Tensor
from edge.models.networks import classifiers, ssd
from edge.models.networks.pretrained import Transfer

SIZES = [[[0.1, 0.1]], [[0.2, 0.2], [0.3, 0.2]], [[0.5, 0.5]]]


def levels(height: int, width: int) -> list[dict]:
    return [
        {"rows": -(-height // stride), "columns": -(-width // stride), "sizes": sizes}
        for stride, sizes in zip((8, 16, 32), SIZES, strict=True)
    ]


def anchors(height: int, width: int) -> int:
    return sum(level["rows"] * level["columns"] * len(level["sizes"]) for level in levels(height, width))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The file of one of our own classifiers of pictures of 64 x 64 pixels, and its weights by layer."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((64, 64, 3))
    features = keras.layers.Rescaling(1 / 127.5, -1, name="features")(pixels)
    model = keras.Model(pixels, classifiers.ARCHITECTURES["cnn"](features, 10, 8))
    path = tmp_path_factory.mktemp("base") / "own.keras"
    model.save(path)
    return path, model


@pytest.mark.parametrize(("height", "width"), [(64, 96), (120, 160), (50, 70)])
def test_a_logit_for_every_anchor(height, width):
    """Four offsets and a logit a class for each anchor, also where the sides are no multiples of 32."""
    model = ssd.cnn(Tensor("pixels", (height, width, 3)), levels(height, width), 3, 8)
    outputs = model(np.zeros((2, height, width, 3), np.float32)).numpy()
    assert outputs.shape == (2, anchors(height, width), 7)
    assert [layer.name for layer in model.layers if layer.name in ("features", "logits")] == ["features", "logits"]


def test_things_are_rare_before_training():
    """An untrained detector says about one percent everywhere, so that the first steps are not all about background."""
    keras.utils.set_random_seed(1)
    model = ssd.cnn(Tensor("pixels", (64, 64, 3)), levels(64, 64), 3, 8)
    outputs = model(np.full((1, 64, 64, 3), 100, np.float32)).numpy()
    assert 0.001 < (1 / (1 + np.exp(-outputs[..., 4:]))).mean() < 0.05


def test_a_detector_on_a_classifier_of_ours(classifier, capsys):
    """It takes larger pictures than its base, has the base's weights, keeps its averages, and says what it is of."""
    path, base = classifier
    transfer = Transfer(str(path), None, sha256(path))
    model = ssd.transfer(Tensor("pixels", (96, 128, 3)), levels(96, 128), 3, 8, transfer)
    assert model.output.shape == (None, anchors(96, 128), 7)
    assert f"the base is {path}" in capsys.readouterr().out
    for layer in (layer for layer in base.layers if isinstance(layer, keras.layers.Conv2D)):
        np.testing.assert_array_equal(model.get_layer(f"base_{layer.name}").kernel, layer.kernel)
    frozen = [layer for layer in model.layers if not layer.trainable]
    assert frozen
    assert all(isinstance(layer, keras.layers.BatchNormalization) for layer in frozen)
    assert model.get_layer("features") and model.get_layer("logits")


def test_a_base_that_does_not_fit(classifier, tmp_path):
    """Another file than its sha256 says, no model at all, and other channels are errors of one line."""
    path, _ = classifier
    pixels = Tensor("pixels", (64, 64, 3))
    with pytest.raises(UserError, match="sha256"):
        ssd.transfer(pixels, levels(64, 64), 3, 8, Transfer(str(path), None, "0" * 64))
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"no model")
    with pytest.raises(UserError, match="no classifier of pictures"):
        ssd.transfer(pixels, levels(64, 64), 3, 8, Transfer(str(broken), None, sha256(broken)))
    with pytest.raises(UserError, match="no classifier of pictures"):
        ssd.transfer(Tensor("pixels", (64, 64, 1)), levels(64, 64), 3, 8, Transfer(str(path), None, sha256(path)))
