"""Networks for series: features [rows, columns] in; logits [classes] out, or the next values."""

from keras import layers


def _normalised(x):
    """Batch normalisation and ReLU6: bounded activations lose little when quantized to 8 bits."""
    return layers.ReLU(max_value=6)(layers.BatchNormalization(momentum=0.95)(x))


def _conv(x, channels: int, strides: int = 1):
    """A convolution of five rows."""
    return _normalised(layers.Conv1D(channels, 5, strides, padding="same", use_bias=False)(x))


def dense(features, classes: int, width: int, dropout: float):
    """One hidden layer over all values at once: a baseline."""
    x = _normalised(layers.Dense(width, use_bias=False)(layers.Flatten()(features)))
    return layers.Dense(classes, name="logits")(layers.Dropout(dropout)(x))


def cnn(features, classes: int, width: int, dropout: float):
    """Five convolutions along time, two of them halving it, and the mean over time (after Wang et al. 2017, FCN)."""
    x = features
    for channels, strides in ((width, 1), (width, 2), (2 * width, 1), (2 * width, 2), (2 * width, 1)):
        x = _conv(x, channels, strides)
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling1D(name="embedding")(x))
    return layers.Dense(classes, name="logits")(x)


def lstm(features, classes: int, width: int, dropout: float):
    """A convolution that halves time, and an LSTM over it (after Ordóñez and Roggen 2016, DeepConvLSTM)."""
    x = layers.LSTM(width)(_conv(features, width // 2, 2))
    return layers.Dense(classes, name="logits")(layers.Dropout(dropout)(x))


CLASSIFIERS = {function.__name__: function for function in (dense, cnn, lstm)}


def forecast_dense(values, width: int):
    """Two hidden layers over the last values [rows, 1]."""
    x = layers.Flatten()(values)
    for _ in range(2):
        x = layers.Dense(width, activation="relu")(x)
    return x


def forecast_lstm(values, width: int):
    """One LSTM over the last values [rows, 1] (Hochreiter and Schmidhuber 1997)."""
    return layers.LSTM(width)(values)


def forecast_gru(values, width: int):
    """One GRU over the last values [rows, 1] (Cho et al. 2014)."""
    return layers.GRU(width)(values)


FORECASTERS = {"dense": forecast_dense, "lstm": forecast_lstm, "gru": forecast_gru}


def forecast(features, steps: int, architecture: str, width: int):
    """The next values [steps] from the last ones, ``features`` [rows]: learned is the difference to the last one."""
    values = layers.Reshape((features.shape[1], 1))(features)
    last = layers.Flatten()(layers.Cropping1D((features.shape[1] - 1, 0))(values))
    return layers.Add(name="logits")([layers.Dense(steps)(FORECASTERS[architecture](values, width)), last])
