"""Prepared data are read a batch at a time."""

import subprocess
import sys

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.data import shards


def write(folder, rows: int, samples: int = 8000) -> None:
    np.lib.format.open_memmap(folder / "test.x.npy", "w+", np.int16, (rows, samples))[:] = 1
    np.save(folder / "test.y.npy", np.zeros(rows, np.int64))
    ends = shards.Tensor("waveform", (samples,), scale=0.5), shards.Tensor("scores", (1,))
    shards.Spec(*ends, ("a",), {}).save(folder)


def test_inputs_are_scaled_floats(tmp_path):
    """Batches are float32, scaled, and cover every row once."""
    write(tmp_path, 10, 3)
    batches = list(shards.load(tmp_path, "test").batches(4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert all(batch.dtype == np.float32 and (batch == 0.5).all() for batch in batches)


def test_memory_does_not_grow_with_the_split(tmp_path):
    """Reading ten times as many rows takes at most 1.2 times the memory."""
    code = (
        "import re, sys; from pathlib import Path; from edge.data import shards;"
        "s = shards.load(Path(sys.argv[1]), 'test'); print(len(s), sum(float(b.sum()) for b in s.batches(32)));"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    peaks = []
    for rows in (1_000, 10_000):
        write(tmp_path, rows)
        run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
        peaks.append(int(run.stdout.split()[-1]))
    assert peaks[1] <= 1.2 * peaks[0]


def test_an_empty_split_is_named(tmp_path):
    """A split without examples is an error that names its file."""
    write(tmp_path, 0)
    with pytest.raises(UserError, match=r"test\.x\.npy holds no examples"):
        shards.load(tmp_path, "test")


def test_the_spec_comes_back(tmp_path):
    """What is saved is what is loaded: both ends, labels, metadata."""
    ends = shards.Tensor("pixels", (8, 8, 3), "uint8"), shards.Tensor("scores", (100, 6))
    spec = shards.Spec(*ends, ("cat", "dog"), {"anchors": [1, 2]})
    spec.save(tmp_path)
    assert shards.load_spec(tmp_path) == spec


def test_a_model_that_takes_integers_gets_what_is_stored(tmp_path):
    """A uint8 input is not scaled: the stored pixels go in as they are."""
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    split = shards.Split(pixels, np.zeros(3), shards.Tensor("pixels", (4,), "uint8", 1 / 255))
    inputs = split.inputs(slice(1, 3))
    assert inputs.dtype == np.uint8
    np.testing.assert_array_equal(inputs, pixels[1:])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("spec.json", b"{"),
        ("spec.json", b"[]"),
        ("spec.json", b'{"input": {"name": "x", "shape": [1]}}'),
        ("spec.json", b"\xff"),
        ("test.x.npy", b""),
        ("test.x.npy", b"no array"),
        ("test.x.npy", None),
        ("test.y.npy", b"\x80\x04K\x01."),
        ("test.y.npy", None),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, name, content):
    """What preprocess cannot have written (None: half of it) is an error that names the file, never a pickle."""
    write(tmp_path, 10, 3)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    with pytest.raises(UserError, match=rf"{name} is damaged .*: run `dvc repro --force preprocess`"):
        shards.load(tmp_path, "test")


def test_labels_that_do_not_belong(tmp_path):
    """Another number of labels than of examples is an error."""
    write(tmp_path, 10, 3)
    np.save(tmp_path / "test.y.npy", np.zeros(9, np.int64))
    with pytest.raises(UserError, match=r"test\.y\.npy is damaged .*9 labels for 10 examples"):
        shards.load(tmp_path, "test")
