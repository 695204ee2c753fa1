"""Classifiers: features [frames, bins] or an image [height, width, channels] in, logits [classes] out.

The layer ``embedding`` gives what ``logits`` takes: classes are added to a trained model by its values.
"""

from keras import layers


def _image(features):
    """Features [frames, bins] as an image of one channel; images as they are."""
    return features if len(features.shape) == 4 else layers.Reshape((*features.shape[1:], 1))(features)


def _normalised(x):
    """Batch normalisation and ReLU6: bounded activations lose little when quantized to 8 bits."""
    return layers.ReLU(max_value=6)(layers.BatchNormalization(momentum=0.95)(x))


def ds_cnn(features, classes: int, channels: int = 96, blocks: int = 4, dropout: float = 0.2):
    """Depthwise separable CNN (Zhang et al. 2017, Hello Edge, arXiv:1711.07128).

    One wide convolution with half the ``channels``, then ``blocks`` depthwise and pointwise pairs, of which the first
    halves the resolution.
    """
    x = layers.Conv2D(channels // 2, (10, 4), strides=2, padding="same", use_bias=False)(_image(features))
    x = _normalised(x)
    for block in range(blocks):
        x = _normalised(layers.DepthwiseConv2D(3, 1 if block else 2, padding="same", use_bias=False)(x))
        x = _normalised(layers.Conv2D(channels, 1, use_bias=False)(x))
    x = layers.Dropout(dropout, name="embedding")(layers.GlobalAveragePooling2D()(x))
    return layers.Dense(classes, name="logits")(x)


def dense(features, classes: int, units: int = 32, dropout: float = 0.2):
    """Two hidden layers over all values at once."""
    x = layers.Flatten()(features)
    for name in (None, "embedding"):
        x = layers.Dropout(dropout, name=name)(_normalised(layers.Dense(units, use_bias=False)(x)))
    return layers.Dense(classes, name="logits")(x)


def lenet(features, classes: int, channels: int = 16, dropout: float = 0.2):
    """Two convolutions with pooling and a hidden layer (LeCun et al. 1998), with today's normalisation and ReLU6."""
    x = _image(features)
    for width in (channels, 2 * channels):
        x = _normalised(layers.Conv2D(width, 3, padding="same", use_bias=False)(x))
        x = layers.MaxPooling2D(2, padding="same")(x)
    x = _normalised(layers.Dense(2 * channels, use_bias=False)(layers.Flatten()(x)))
    return layers.Dense(classes, name="logits")(layers.Dropout(dropout, name="embedding")(x))


def cnn(features, classes: int, channels: int = 32, dropout: float = 0.3):
    """Four convolutions with pooling, from ``channels`` to four times as many, a fifth, and their mean ``embedding``.

    Dropout takes whole channels before the mean, which is the same as taking values of the mean, so that ``embedding``
    is what ``logits`` takes.
    """
    x = _image(features)
    for times in range(1, 5):
        x = _normalised(layers.Conv2D(times * channels, 3, padding="same", use_bias=False)(x))
        x = layers.MaxPooling2D(2, padding="same")(x)
    x = _normalised(layers.Conv2D(4 * channels, 3, padding="same", use_bias=False)(x))
    x = layers.GlobalAveragePooling2D(name="embedding")(layers.SpatialDropout2D(dropout)(x))
    return layers.Dense(classes, name="logits")(x)


def lstm(features, classes: int, units: int = 64, dropout: float = 0.2):
    """One LSTM over the frames (Hochreiter and Schmidhuber 1997); the mean of its outputs is classified."""
    x = layers.LSTM(units, return_sequences=True)(features)
    x = layers.Dropout(dropout, name="embedding")(layers.GlobalAveragePooling1D()(x))
    return layers.Dense(classes, name="logits")(x)


def gru(features, classes: int, units: int = 64, dropout: float = 0.2):
    """One GRU over the frames (Cho et al. 2014); the mean of its outputs is classified."""
    x = layers.GRU(units, return_sequences=True)(features)
    x = layers.Dropout(dropout, name="embedding")(layers.GlobalAveragePooling1D()(x))
    return layers.Dense(classes, name="logits")(x)


ARCHITECTURES = {function.__name__: function for function in (ds_cnn, cnn, dense, lenet, lstm, gru)}
