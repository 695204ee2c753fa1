"""Measurements: nothing that no device can have measured is written or read, and nothing of another model is read."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from edge.core import files, paths
from edge.core.errors import UserError
from edge.records import measurement
from tests.edge.records import measurements

TIMING = ("latency", "threads_1", "candidate_ms")
NO_FIGURE = (None, float("nan"), float("inf"), -1.0, "0.5", True, [0.5], 10**400)


@pytest.fixture
def digest(tmp_path, monkeypatch) -> str:
    """A folder with a model; its sha256."""
    monkeypatch.chdir(tmp_path)
    paths.EDGE.parent.mkdir()
    paths.EDGE.write_bytes(b"a model")
    return files.sha256(paths.EDGE)


def edited(*keys: str, value, transport: str = "ssh") -> bytes:
    """The content of a metrics file in which one value is another."""
    content = place = measurements.content(transport=transport)
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return json.dumps(content).encode()


def parse(content: bytes) -> measurement.Measurement:
    """Parse where the model at hand is not known."""
    return measurement.parse(content, "pi4", lambda model: None)


@pytest.mark.parametrize("transport", ["ssh", "local", "emulated"])
def test_what_is_written_is_read(digest, transport):
    """A measurement comes back as it was; the file holds numbers that `dvc metrics show` prints, and no null."""
    found = measurements.made("pi4", transport, model_sha256=digest)
    measurement.write(found, {"model": np.array(["candidate"]), "ms": np.array(["1.5"])})
    assert measurement.read("pi4") == found
    assert json.loads(measurement.file("pi4").read_text()) == measurements.content(
        "pi4", transport, model_sha256=digest
    )
    assert measurement.plot("pi4").read_text() == "model,ms\ncandidate,1.5\n"
    assert measurement.names() == ["pi4"]
    measurement.write(found, {})
    assert not measurement.plot("pi4").exists()
    measurement.keep_only(["pi5"])
    assert measurement.names() == []


@pytest.mark.parametrize("value", NO_FIGURE, ids=lambda value: str(value)[:9])
@pytest.mark.parametrize(
    "keys",
    [
        (*TIMING, "p50"),
        (*TIMING, "load"),
        (*TIMING, "outliers"),
        ("latency", "threads_1"),
        ("latency",),
        ("peak_memory_mb", "candidate"),
        ("peak_memory_mb",),
        ("scores",),
        ("steady",),
        ("attempts",),
        ("examples",),
        ("parity", "scores"),
        ("parity", "agreement"),
        ("model_bytes",),
    ],
    ids="-".join,
)
def test_what_is_no_figure_is_refused(keys, value):
    """Null, NaN, infinite, negative, text, true, a list, or beyond a float: one line that names file and field."""
    with pytest.raises(UserError, match=r"^metrics/devices/pi4.json is not as this version writes it \(") as caught:
        parse(edited(*keys, value=value))
    assert "\n" not in str(caught.value) and str(caught.value).endswith("run dvc repro")


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        ((*TIMING, "p50"), 1e-6, r"latency.threads_1.candidate_ms.p50 = 1e-06: .*greater than or equal to 0.0001"),
        ((*TIMING, "p95"), 3.9, "p50, p90, p95 and p99 should be in this order"),
        (("latency", "threads_1", "low_percent"), 0.5, "low_percent, change_percent and high_percent should be"),
        (("latency",), {}, "latency.*at least 1"),
        (("latency",), {"threads_-7": measurements.TIMED["latency"]["threads_1"]}, "threads_-7"),
        (("latency",), {"threads_65": measurements.TIMED["latency"]["threads_1"]}, "threads_65"),
        (("scores", "accuracy"), "0.9", "scores.accuracy = '0.9'"),
        (("scores", "accuracy"), float("nan"), "scores.accuracy = nan"),
        (("scores",), {}, "scores"),
        (("parity", "agreement"), 1.1, "parity.agreement = 1.1"),
        (("peak_memory_mb", "candidate"), 0, "peak_memory_mb.candidate = 0"),
        (("board", "machine"), "\x1b[2J", "board.machine"),
        (("instructions",), measurements.COUNTED["instructions"], "should have latency"),
        (("transport",), "emulated", "should have instructions"),
        (("accuracy",), 0.9, "accuracy = 0.9: Unexpected keyword argument"),
        (("model_sha256",), "0", "model_sha256 = '0'"),
    ],
)
def test_what_cannot_be_is_refused(keys, value, words):
    """Ranges and orders; and a field that is none, as files of older versions have."""
    with pytest.raises(UserError, match=words):
        parse(edited(*keys, value=value))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"7", b"\xff", b"[" * 100_000])
def test_what_is_no_json_mapping_is_refused(content):
    """Whatever is in the file, it is one line."""
    with pytest.raises(UserError, match="is not as this version writes it"):
        parse(content)


def test_what_cannot_be_is_not_written():
    """No object holds what would be refused when it is read."""
    found = measurements.made()
    with pytest.raises(ValidationError):
        dataclasses.replace(found, steady=2.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.steady = 0.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"model_sha256": "0" * 64}, "measured another model: run dvc repro"),
        ({"model": "/etc/passwd"}, "measured '/etc/passwd', which does not ship: run dvc repro"),
        ({"model": "models/model.tflite"}, "models/model.tflite is missing: run dvc repro"),
        ({"device": "pi5"}, "is of the device 'pi5': run dvc repro"),
    ],
)
def test_read_guards_device_and_model(digest, changes, words):
    """Figures are returned for the device and the model at hand, and for no other."""
    files.write_json(measurement.file("pi4"), measurements.content(model_sha256=digest) | changes)
    if words is None:
        assert measurement.read("pi4").model_sha256 == digest
        return
    with pytest.raises(UserError, match=words):
        measurement.read("pi4")


def test_what_is_absent_is_named(digest):
    """Without the file, or with a folder in its place, the error names it and what makes it."""
    with pytest.raises(UserError, match="^metrics/devices/pi4.json cannot be used: .* is missing: run dvc repro"):
        measurement.read("pi4")
    Path("metrics/devices/pi4.json").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be used: Is a directory: run dvc repro"):
        measurement.read("pi4")
