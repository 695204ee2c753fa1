"""The threshold that goes into a model's metadata, from prepared shards."""

from types import SimpleNamespace

import numpy as np
import pytest

from edge.data.decision import DET
from edge.data.shards import Spec, Tensor
from edge.modalities.audio import decision, stream

RATE = 1000
CONFIG = {"hop": 0.1, "smoothing": 0.2, "refractory": 1.0, "false_accepts": 30.0, "minutes": 1.0}


def prepared(folder):
    """Shards of val and test: ``yes`` is twice as fast a tone as other words; silence is quiet noise."""
    rng = np.random.default_rng(1)
    ends = Tensor("waveform", (RATE,), scale=1 / 32768), Tensor("scores", (3,))
    spec = Spec(*ends, ("yes", "_unknown_", "_silence_"), {"sample_rate": RATE})
    spec.save(folder)
    y = np.repeat([0, 1, 2], 10)
    tones = np.sin(np.arange(RATE) * np.array([1.0, 0.5, 0.0])[y][:, None]) * 8000
    for split in ("val", "test"):
        np.save(folder / f"{split}.x.npy", (tones + rng.normal(0, 20, (30, RATE))).round().astype(np.int16))
        np.save(folder / f"{split}.y.npy", y)
    return spec


def predict(x: np.ndarray) -> np.ndarray:
    """Scores by the share of the power that is near the tone of ``yes``."""
    power = np.abs(np.fft.rfft(x)) ** 2
    share = power[:, 150:170].sum(axis=1) / power.sum(axis=1)
    return np.stack([share, 1 - share, np.zeros(len(x))], axis=1)


def test_metadata_metrics_and_curve(tmp_path):
    """A detector that tells the tones apart gets a threshold without false accepts or misses, the same each time."""
    spec = prepared(tmp_path)
    metadata, metrics, table = decision.decide(predict, tmp_path, SimpleNamespace(**CONFIG), spec, 1)
    assert set(metadata) == {"threshold", "hop", "smoothing", "refractory"}
    assert metrics["false_accepts_per_hour"] <= 60 and metrics["miss_rate"] < 0.2
    assert metrics["hours"] == pytest.approx(1 / 60)
    assert list(table.columns) == DET and metadata["threshold"] in table.threshold.array
    assert decision.decide(predict, tmp_path, SimpleNamespace(**CONFIG), spec, 1)[2].equals(table)


def test_without_other_words_nothing_is_reported(tmp_path, capsys):
    """Data without the label of other words have no false accepts, and a line says so."""
    spec = Spec(Tensor("waveform", (RATE,)), Tensor("scores", (2,)), ("yes", "no"), {"sample_rate": RATE})
    metadata, metrics, table = decision.decide(predict, tmp_path, SimpleNamespace(**CONFIG), spec, 1)
    assert metadata == metrics == {} and table.empty and "not measured" in capsys.readouterr().out


def test_no_threshold_is_good_enough(tmp_path, capsys):
    """A model that is always sure of a keyword gets no threshold, a warning that names the setting, and its curve."""
    spec = prepared(tmp_path)
    sure = lambda x: np.tile([1.0, 0.0, 0.0], (len(x), 1))  # noqa: E731
    metadata, metrics, table = decision.decide(sure, tmp_path, SimpleNamespace(**CONFIG), spec, 1)
    assert metadata == metrics == {} and len(table) == len(stream.THRESHOLDS)
    assert "warning: train.stream.false_accepts: no threshold has at most 30" in capsys.readouterr().err
