"""The front ends compute what their names say."""

import keras
import numpy as np
import pytest
from scipy.fft import dct

from edge.modalities.audio.frontend import MFCC, LogMel, mel_filters

SETTINGS = {
    "sample_rate": 8000, "window": 240, "hop": 160, "fft": 256, "bins": 40, "low": 20.0, "high": 4000.0, "floor": 1e-3
}  # fmt: skip


def clips(samples: int = 8000) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, samples)).cumsum(axis=1).astype(np.float32) / 100


def reference(waveform: np.ndarray, sample_rate, window, hop, fft, bins, low, high, floor) -> np.ndarray:
    """The same features by numpy's FFT in float64."""
    starts = np.arange(0, waveform.shape[1] - window + 1, hop)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = waveform.astype(float)[:, starts[:, None] + np.arange(window)] * hann
    energy = np.abs(np.fft.rfft(frames, fft)) ** 2 @ mel_filters(sample_rate, fft, bins, low, high)
    features = np.log(energy / energy.mean((1, 2), keepdims=True) + floor)
    features -= features.mean(1, keepdims=True)
    return features / features.std((1, 2), keepdims=True)


@pytest.mark.parametrize(("window", "hop", "samples"), [(240, 160, 8000), (256, 80, 8000), (200, 200, 4321)])
def test_log_mel_is_that_of_an_fft(window, hop, samples):
    """Framing, window, DFT, mel filters and normalisation agree with numpy's FFT, with and without overlap."""
    settings = SETTINGS | {"window": window, "hop": hop}
    expected = reference(clips(samples), **settings)
    features = keras.ops.convert_to_numpy(LogMel(**settings)(clips(samples)))
    assert features.shape == expected.shape == (3, 1 + (samples - window) // hop, 40)
    np.testing.assert_allclose(features, expected, atol=2e-3)


def test_mfcc_is_the_dct_of_log_mel():
    """MFCC are scipy's orthonormal DCT-II of the log-mel frames."""
    expected = dct(keras.ops.convert_to_numpy(LogMel(**SETTINGS)(clips())), norm="ortho")[:, :, :10]
    np.testing.assert_allclose(MFCC(coefficients=10, **SETTINGS)(clips()), expected, atol=1e-4)


def test_loudness_and_silence():
    """A clip ten times as loud has the same features; silence has finite ones."""
    layer = LogMel(**SETTINGS)
    np.testing.assert_allclose(layer(clips() * 10), layer(clips()), atol=1e-3)
    assert not np.asarray(layer(np.zeros((1, 8000), np.float32))).any()


def test_settings_that_cannot_work_are_refused():
    """Mel bins narrower than a DFT bin and odd windows raise ValueError instead of giving dead features."""
    for wrong in ({"bins": 120}, {"window": 241}, {"window": 258}):
        with pytest.raises(ValueError):
            LogMel(**SETTINGS | wrong)


def test_layers_are_saved_with_their_settings(tmp_path):
    """A saved and reloaded model gives the same features, without weights of the front end."""
    x = keras.Input((8000,))
    model = keras.Model(x, MFCC(coefficients=13, **SETTINGS)(x))
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(clips()), model(clips()))
    assert model.count_params() == 0
