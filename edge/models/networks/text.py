"""Text classifiers: word indices [length], int32, 0 for padding, in; logits [classes] out.

``rows`` is the number of indices. A sum over rows of an embedding is a multi-hot vector times a matrix, without the
vector: each index has to be there once then.
"""

import keras
import numpy as np
from keras import layers, ops

from edge.data.shards import Spec
from edge.models.networks import classifiers

UNITS = 48  # of a recurrent layer


@keras.saving.register_keras_serializable("edge")
class Indices(layers.Layer):
    """Word indices as they are stored, float32, to int32: what is quantized or halved as a float is another word."""

    def call(self, inputs):
        return ops.cast(inputs, "int32")


def _embedded(features, embedding: layers.Embedding):
    """(rows of the embedding, zero for padding [batch, length, width]; the number of words [batch, 1])."""
    mask = ops.expand_dims(ops.cast(ops.not_equal(features, 0), "float32"), -1)
    return embedding(features) * mask, ops.sum(mask, axis=1)


def _normalised(x):
    """Batch normalisation and ReLU6: bounded activations lose little when quantized to 8 bits."""
    return layers.ReLU(max_value=6)(layers.BatchNormalization(momentum=0.95)(x))


def words(features, classes: int, log_ratio: np.ndarray):
    """A weight a word and label, which starts as naive Bayes has it (Wang and Manning 2012, "Baselines and Bigrams").

    ``log_ratio`` [rows, classes], or [rows, 1] for the second of two classes.
    """
    rows, width = log_ratio.shape
    embedding = layers.Embedding(rows, width, name="weights")
    head = layers.Dense(classes, name="logits")
    logits = head(ops.sum(_embedded(features, embedding)[0], axis=1))
    embedding.set_weights([log_ratio])
    head.set_weights([np.eye(classes) if width == classes else np.array([[-0.5, 0.5]]), np.zeros(classes)])
    return logits


def dense(features, classes: int, rows: int, width: int = 128, dropout: float = 0.5):
    """Two hidden layers, of ``width`` and half as many units, over the multi-hot vector: the classic chatbot."""
    x = ops.sum(_embedded(features, layers.Embedding(rows, width))[0], axis=1)
    x = layers.Dropout(dropout)(_normalised(x))
    x = layers.Dense(max(1, width // 2), use_bias=False)(x)
    return layers.Dense(classes, name="logits")(layers.Dropout(dropout)(_normalised(x)))


def dan(features, classes: int, rows: int, width: int = 100, dropout: float = 0.6):
    """Deep averaging network without hidden layer: the mean of the words' embeddings (Iyyer et al. 2015)."""
    embedded, count = _embedded(features, layers.Embedding(rows, width))
    mean = ops.sum(embedded, axis=1) / ops.maximum(count, 1.0)
    return layers.Dense(classes, name="logits")(layers.Dropout(dropout)(mean))


def lstm(features, classes: int, rows: int, width: int = 64, dropout: float = 0.5):
    """``classifiers.lstm`` over the words' embeddings."""
    embedded, _ = _embedded(features, layers.Embedding(rows, width))
    return classifiers.lstm(layers.Dropout(dropout)(embedded), classes, UNITS, dropout)


def gru(features, classes: int, rows: int, width: int = 64, dropout: float = 0.5):
    """``classifiers.gru`` over the words' embeddings."""
    embedded, _ = _embedded(features, layers.Embedding(rows, width))
    return classifiers.gru(layers.Dropout(dropout)(embedded), classes, UNITS, dropout)


ARCHITECTURES = {function.__name__: function for function in (words, dense, dan, lstm, gru)}


def model(config, spec: Spec, start: np.ndarray) -> keras.Model:
    """The network ``config.architecture`` of ``config.width`` and ``config.dropout``: indices as stored -> logits.

    ``start`` [rows, …] has a row an index, with which `words` starts.
    """
    indices = keras.Input(spec.input.shape, name=spec.input.name)
    features, classes = Indices(name="features")(indices), len(spec.labels)
    if config.architecture == "words":
        return keras.Model(indices, words(features, classes, start))
    network = ARCHITECTURES[config.architecture]
    return keras.Model(indices, network(features, classes, len(start), config.width, config.dropout))
