"""LSTM and GRU layers in converted models: one node of ONNX each, and in TFLite steps in a row.

Keras computes a recurrent layer as a loop over the steps. A loop in a file costs more than its work, and quantization
does not look into it. So copies of the model are made for the conversion, with the same weights and other layers.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

MARK = "CudnnRNNV3"  # TensorFlow traces this operator without a GPU; nothing here ever runs it
MOST_STEPS = 64  # of a layer that TFLite gets unrolled: the file grows by about 2 KB a step
GATES = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2)}  # of Keras (i f c o; z r h) in the order of ONNX (i o f c; z r h)


def marked(model: keras.Model) -> keras.Model:
    """A copy of ``model`` to be traced only: LSTM and GRU layers are an operator that ``HANDLERS`` makes a node of.

    A layer that the node cannot express stays as it is: other activations than the default ones, no bias, a state that
    is handed in or kept, a GRU that resets before it multiplies.
    """
    return _copy(model, lambda layer: MARKED[type(layer)] if type(layer) in MARKED and _standard(layer) else None)


def unrolled(model: keras.Model) -> keras.Model:
    """A copy of ``model`` with its LSTM and GRU layers unrolled; not those of more than MOST_STEPS or unknown steps."""

    def short(layer) -> bool:
        sequences = keras.tree.flatten(layer.input)[0]  # a masked layer has the mask as a second input
        return sequences.shape[1] is not None and sequences.shape[1] <= MOST_STEPS

    return _copy(model, lambda layer: type(layer) if type(layer) in MARKED and short(layer) else None, unroll=True)


def _copy(model: keras.Model, replacement: Callable, **changes) -> keras.Model:
    """``model`` with the layers for which ``replacement`` gives a class made anew by it, with ``changes``.

    A model without such a layer is given back itself.
    """
    if not any(replacement(layer) for layer in model.layers):
        return model

    def copied(layer):
        made = replacement(layer)
        return made.from_config(layer.get_config() | changes) if made else type(layer).from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy


def _standard(layer) -> bool:
    """Whether the layer computes what the node of ONNX does."""
    activations = layer.activation, layer.recurrent_activation
    return (
        activations == (keras.activations.tanh, keras.activations.sigmoid)
        and layer.use_bias
        and not layer.stateful
        and getattr(layer, "reset_after", True)
    )


def _run(layer, sequences, mask, mode: str):
    """What an LSTM or GRU layer gives for ``sequences`` [batch, steps, features], by the operator MARK.

    Keras skips masked steps wherever they are, the node only those at the end. So the steps that count are moved to
    the front, and each output is that of the last step that counted.
    """
    if layer.go_backwards:
        sequences, mask = (None if x is None else tf.reverse(x, [1]) for x in (sequences, mask))
    batch, steps = tf.shape(sequences)[0], tf.shape(sequences)[1]
    lengths = tf.zeros([0], tf.int32)
    if mask is not None:
        counts = tf.cast(mask, tf.int32)  # whole numbers, so that quantization leaves the order alone
        counted = tf.cumsum(counts, axis=1)
        lengths = counted[:, -1]
        order = tf.math.top_k(counts * steps - tf.range(steps), steps).indices
        sequences = tf.gather(sequences, order, batch_dims=1)
    state = tf.zeros([1, batch, layer.units])
    kernel, recurrent = (_by_gate(w, mode) for w in (layer.cell.kernel, layer.cell.recurrent_kernel))
    bias = tf.reshape(layer.cell.bias, [-1, 1, len(GATES[mode]) * layer.units])
    biases = [_by_gate(row, mode) for row in tf.unstack(bias)]
    biases += [tf.zeros_like(biases[0])] * (2 - len(biases))  # an LSTM of Keras has no bias of its own for the state
    outputs, last, cell, *_ = tf.raw_ops.CudnnRNNV3(
        input=tf.transpose(sequences, [1, 0, 2]),
        input_h=state,
        input_c=state,
        params=tf.concat([tf.reshape(part, [-1]) for part in (kernel, recurrent, *biases)], 0),
        sequence_lengths=lengths,
        rnn_mode=mode,
        is_training=False,
    )
    outputs = tf.transpose(outputs, [1, 0, 2])
    if mask is not None and layer.return_sequences:
        outputs = tf.gather(outputs, tf.maximum(counted - 1, 0), batch_dims=1)
        there = mask if layer.zero_output_for_mask else counted > 0
        outputs = outputs * tf.cast(there, outputs.dtype)[..., None]
    found = outputs if layer.return_sequences else last[0]
    states = [last[0], cell[0]] if mode == "lstm" else [last[0]]
    return (found, *states) if layer.return_state else found


def _by_gate(weights, mode: str):
    """Keras' weights [..., gates * units] as rows in ONNX's order of gates: [gates * units, ...]."""
    gates = tf.split(tf.convert_to_tensor(weights), len(GATES[mode]), axis=-1)
    return tf.concat([tf.transpose(gates[gate]) for gate in GATES[mode]], 0)


class _LSTM(keras.layers.LSTM):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        if initial_state is not None:
            return super().call(sequences, initial_state, mask, training)
        return _run(self, sequences, mask, "lstm")


class _GRU(keras.layers.GRU):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        if initial_state is not None:
            return super().call(sequences, initial_state, mask, training)
        return _run(self, sequences, mask, "gru")


MARKED = {keras.layers.LSTM: _LSTM, keras.layers.GRU: _GRU}


def _node(ctx, node, name: str, args) -> None:
    """Put an LSTM or GRU of ONNX in the place of the operator MARK; called by tf2onnx."""
    x, state, _, parameters, lengths = node.input
    mode, units, features = node.get_attr_str("rnn_mode"), ctx.get_shape(state)[2], ctx.get_shape(x)[2]
    rows = len(GATES[mode]) * units
    shapes = [1, rows, features], [1, rows, units], [1, 2 * rows]
    sizes = ctx.make_const(f"{name}/sizes", np.array([np.prod(shape) for shape in shapes])).output[0]
    weights = []
    for number, part in enumerate(ctx.make_node("Split", [parameters, sizes], {"axis": 0}, 3).output):
        shape = ctx.make_const(f"{name}/shape_{number}", np.array(shapes[number])).output[0]
        weights.append(ctx.make_node("Reshape", [part, shape]).output[0])
    count = 3 if mode == "lstm" else 2
    outputs, types = node.output[:count], [ctx.get_dtype(output) for output in node.output[:count]]
    forms = [ctx.get_shape(output) for output in outputs]
    ctx.remove_node(node.name)
    made = ctx.make_node(
        mode.upper(),
        [x, *weights] + ([] if ctx.get_shape(lengths) == [0] else [lengths]),
        {"hidden_size": units} | ({"linear_before_reset": 1} if mode == "gru" else {}),
        outputs=[f"{name}/outputs", *outputs[1:]],  # the first has a dimension of directions
        name=name,
        shapes=[[forms[0][0], 1, *forms[0][1:]], *forms[1:]],
        dtypes=types,
    )
    axes = ctx.make_const(f"{name}/directions", np.array([1])).output[0]
    ctx.make_node("Squeeze", [made.output[0], axes], outputs=outputs[:1], shapes=forms[:1], dtypes=types[:1])


HANDLERS = {MARK: (_node, [])}
