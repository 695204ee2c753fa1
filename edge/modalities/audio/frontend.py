"""Front ends: waveform in, log-mel or MFCC frames out, from operations that every runtime has and does fast.

Frames are cut by slice, reshape and concat; the DFT is two matrix products over the bins that a mel filter sees. A
periodic Hann window is symmetric about its middle, so with the phase counted from there the cosine part needs only the
sum of a frame's two halves and the sine part only their difference: half the products. The mel scale and triangles are
those of HTK (Young et al., The HTK Book).
"""

import keras
import numpy as np
from keras import ops


def mel_filters(sample_rate: int, fft: int, bins: int, low: float, high: float) -> np.ndarray:
    """Triangles on the mel scale over the bins of a DFT, float64 [fft // 2 + 1, bins]; ``low`` and ``high`` in Hz."""
    mel = lambda hertz: 2595 * np.log10(1 + np.asarray(hertz) / 700)  # noqa: E731
    edges = np.linspace(mel(low), mel(high), bins + 2)
    position = (mel(np.arange(fft // 2 + 1) * sample_rate / fft)[:, None] - edges[:-2]) / (edges[1] - edges[0])
    filters = np.maximum(0, 1 - np.abs(position - 1))
    if not filters.any(axis=0).all():
        raise ValueError(f"{bins} mel bins from {low} Hz are narrower than a DFT bin of {sample_rate / fft:.1f} Hz")
    return filters


@keras.saving.register_keras_serializable("edge")
class LogMel(keras.layers.Layer):
    """Waveform float32 [batch, samples] -> log-mel energies [batch, frames, bins].

    ``window`` (even) and ``hop`` in samples, ``low`` and ``high`` in Hz. ``floor`` is added to the energies relative to
    the clip's mean energy, so that loudness cancels. The mean over time of each bin is then taken off, and with it most
    of what a voice, microphone or room adds to every frame (cepstral mean subtraction: Atal 1974); the whole clip is
    brought to standard deviation 1.
    """

    def __init__(self, sample_rate, window, hop, fft, bins, low, high, floor, **kwargs):
        super().__init__(**kwargs)
        self.settings = {
            "sample_rate": sample_rate, "window": window, "hop": hop, "fft": fft,
            "bins": bins, "low": low, "high": high, "floor": floor,
        }  # fmt: skip
        if window % 2 or window > fft:
            raise ValueError(f"window = {window} must be even and not longer than fft = {fft}")
        self.window, self.hop, self.floor = window, hop, floor
        filters = mel_filters(sample_rate, fft, bins, low, high)
        heard = np.flatnonzero(filters.any(axis=1))
        self.filters = filters[heard].astype(np.float32)
        step = np.arange(window // 2)[:, None]
        weight = 0.5 + 0.5 * np.cos(2 * np.pi * step / window)
        angle = 2 * np.pi * step * heard / fft
        cosine = weight * np.cos(angle)
        cosine[0] /= 2  # the middle sample is in both halves
        self.cosine = cosine.astype(np.float32)
        self.sine = (weight * np.sin(angle)).astype(np.float32)

    def get_config(self):
        return super().get_config() | self.settings

    def frames(self, samples: int) -> int:
        """How many whole windows fit into ``samples``."""
        return 1 + (samples - self.window) // self.hop

    def cut(self, waveform):
        """[batch, samples] -> overlapping frames [batch, frames, window]."""
        samples = waveform.shape[1]
        frames = self.frames(samples)
        pieces = -(-self.window // self.hop)
        missing = (frames + pieces - 1) * self.hop - samples
        if missing > 0:
            waveform = ops.pad(waveform, [[0, 0], [0, missing]])
        shifted = []
        for start in range(0, pieces * self.hop, self.hop):
            piece = ops.reshape(waveform[:, start : start + frames * self.hop], (-1, frames, self.hop))
            shifted.append(piece[:, :, : self.window - start])
        return ops.concatenate(shifted, axis=2)

    def call(self, waveform):
        frames = self.cut(waveform)
        count, half, bins = frames.shape[1], self.window // 2, self.filters.shape[1]
        frames = ops.reshape(frames, (-1, self.window))
        right = frames[:, half:]
        left = frames[:, half:0:-1]
        real = ops.matmul(right + left, self.cosine)
        imaginary = ops.matmul(right - left, self.sine)
        energy = ops.matmul(real * real + imaginary * imaginary, self.filters)
        energy = ops.reshape(energy, (-1, count, bins))
        loudness = ops.mean(energy, axis=(1, 2), keepdims=True) + 1e-10
        logarithm = ops.log(energy / loudness + self.floor)
        centred = logarithm - ops.mean(logarithm, axis=1, keepdims=True)
        return centred / ops.sqrt(ops.mean(centred * centred, axis=(1, 2), keepdims=True) + 1e-6)


@keras.saving.register_keras_serializable("edge")
class MFCC(LogMel):
    """Waveform float32 [batch, samples] -> the first ``coefficients`` of the orthonormal DCT-II of LogMel."""

    def __init__(self, coefficients, **kwargs):
        super().__init__(**kwargs)
        self.settings["coefficients"] = coefficients
        bins = self.settings["bins"]
        angle = np.pi / bins * (np.arange(bins)[:, None] + 0.5) * np.arange(coefficients)
        basis = np.sqrt(2 / bins) * np.cos(angle)
        basis[:, 0] /= np.sqrt(2)
        self.basis = basis.astype(np.float32)

    def call(self, waveform):
        return ops.matmul(super().call(waveform), self.basis)
