"""Single-shot detectors (Liu et al. 2016, arXiv:1512.02325): pictures in, logits [anchors, 4 + classes] out.

Maps of three resolutions are merged from coarse to fine (Lin et al. 2017, arXiv:1612.03144), and each predicts, for
every anchor, four offsets and a logit for each class.
"""

import math

import keras
from keras import layers

from edge.core.errors import UserError
from edge.data.shards import Tensor
from edge.models.networks import pretrained

RARE = 0.01  # share of anchors that hold a thing, before training


def _block(x, channels: int, strides: int = 1, size: int = 3):
    """Convolution, batch normalisation and ReLU6: bounded activations lose little when quantized to 8 bits."""
    x = layers.Conv2D(channels, size, strides, padding="same", use_bias=False)(x)
    return layers.ReLU(max_value=6)(layers.BatchNormalization(momentum=0.95)(x))


def cnn(pixels: Tensor, levels: list[dict], classes: int, width: int = 16):
    """A detector on a small network of our own: ``width`` channels in its first layer, six times as many in its last.

    ``pixels`` is the input, values 0…255; ``levels`` are the grids of anchors as the head has them.
    """
    inputs = keras.Input(pixels.shape, name=pixels.name)
    x = layers.Rescaling(1 / 127.5, -1, name="features")(inputs)
    x = _block(x, width, 2)
    x = _block(_block(x, 2 * width, 2), 2 * width)
    maps = []
    for times in (3, 4, 6):
        x = _block(_block(x, times * width, 2), times * width)
        maps.append(x)
    return keras.Model(inputs, heads(maps, levels, classes, 4 * width))


def transfer(pixels: Tensor, levels: list[dict], classes: int, width: int, base: pretrained.Transfer):
    """A detector on a network that was trained on other pictures; its batch normalisation keeps its averages.

    Of each resolution the last layer is taken; where the base has none as coarse as a level, a convolution of ours
    makes it. Raises UserError where the base cannot be had, takes other channels, or is too coarse.
    """
    inputs = keras.Input(pixels.shape, name=pixels.name)
    if base.base.endswith(".keras"):
        body, origin = _own(inputs, base)
    else:
        output, origin = pretrained.BASES[base.base](inputs, base)
        body = keras.Model(inputs, output)
    finest = {}
    for layer in body.layers:
        if len(layer.output.shape) == 4:
            finest[layer.output.shape[1:3]] = layer.output  # in the order of the graph: the last stays
    maps = []
    for level in levels:
        shape = level["rows"], level["columns"]
        if shape not in finest and not maps:
            raise UserError(
                f"train.transfer.base = {base.base} has no map of {shape[0]} x {shape[1]} values for pictures of "
                f"{pixels.shape[0]} x {pixels.shape[1]}: take sides in preprocess.size that 32 divides, or another base"
            )
        maps.append(finest[shape] if shape in finest else _block(maps[-1], 6 * width, 2))
    pretrained.thaw(body)
    print(f"transfer: the base is {base.base}, {origin}: {body.count_params():,} parameters", flush=True)
    return keras.Model(inputs, heads(maps, levels, classes, 4 * width))


def _own(inputs: keras.KerasTensor, base: pretrained.Transfer) -> tuple[keras.Model, str]:
    """One of our own classifiers of pictures up to its last map, for pictures of another size, and what it is."""
    path = pretrained.file_of(base.base, "base", base.sha256)
    try:
        model = keras.saving.load_model(path, compile=False)
        maps = [layer.output for layer in model.layers if len(layer.output.shape) == 4]
        source = keras.Model(model.input, maps[-1])
        body = keras.models.clone_model(source, inputs, clone_function=_renamed)
        body.set_weights(source.get_weights())
    except (ValueError, OSError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"train.transfer.base = {path} is no classifier of pictures like these: {error}") from None
    return body, f"a model of this pipeline, sha256 {base.sha256[:12]}"


def _renamed(layer: layers.Layer) -> layers.Layer:
    """A copy of a layer whose name no layer of ours has; ``features`` keeps its name."""
    config = layer.get_config()
    name = config["name"] if config["name"] == "features" else f"base_{config['name']}"
    return layer.__class__.from_config(config | {"name": name})


def heads(maps: list, levels: list[dict], classes: int, channels: int):
    """``logits`` of three maps [height, width, channels], the finest first."""
    merged, coarse = [], None
    for one in reversed(maps):
        x = _block(one, channels, size=1)
        if coarse is not None:
            larger = layers.UpSampling2D(2)(coarse)
            spare = [(0, larger.shape[axis] - x.shape[axis]) for axis in (1, 2)]
            x = layers.Add()([x, layers.Cropping2D(spare)(larger) if any(map(any, spare)) else larger])
        coarse = _block(x, channels)
        merged.insert(0, coarse)
    found = []
    for x, level in zip(merged, levels, strict=True):
        places = level["rows"] * level["columns"] * len(level["sizes"])
        rare = keras.initializers.Constant(-math.log(1 / RARE - 1))
        offsets = layers.Conv2D(len(level["sizes"]) * 4, 3, padding="same")(x)
        scores = layers.Conv2D(len(level["sizes"]) * classes, 3, padding="same", bias_initializer=rare)(x)
        parts = [layers.Reshape((places, 4))(offsets), layers.Reshape((places, classes))(scores)]
        found.append(layers.Concatenate(axis=2)(parts))
    return layers.Concatenate(axis=1, name="logits")(found)
