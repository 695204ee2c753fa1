"""The steps that keep their names in every converted model: ``features``, ``logits``, ``scores``."""

from collections.abc import Callable

import tensorflow as tf

from edge.core.errors import UserError
from edge.models.formats.onnx_file import FEATURES, LOGITS, SCORES


def traced(model) -> Callable:
    """A function of a batch of model inputs that gives scores, features and logits of a Keras model by name.

    Raises UserError where the model has no layer ``features`` or ``logits``.
    """
    found = {layer.name: layer.output for layer in model.layers}
    missing = [name for name in (FEATURES, LOGITS) if name not in found]
    if missing:
        raise UserError(
            f"the model has no layer {' and no layer '.join(missing)}: name the layers so in the task's build, that "
            "quantization knows what stays in float"
        )
    whole = tf.keras.Model(model.input, [model.output, found[FEATURES], found[LOGITS]], name="model")

    def steps(x):
        outputs = whole(x, training=False)
        return {name: tf.identity(value) for name, value in zip((SCORES, FEATURES, LOGITS), outputs, strict=True)}

    return steps
