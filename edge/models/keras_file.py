"""Keras model files: equal models are equal bytes, and what is loaded knows the project's layers."""

import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np

from edge.core import files
from edge.data.shards import Split

EPOCH = (1980, 1, 1, 0, 0, 0)


def save(model: keras.Model, path: Path) -> None:
    """Write ``model`` as a .keras file without save date, zip times and memory addresses; it is whole or absent."""
    with files.atomic(path) as temporary:
        raw = temporary.with_suffix(".keras")
        try:
            model.save(raw)
            with zipfile.ZipFile(raw) as source, zipfile.ZipFile(temporary, "w") as target:
                for name in sorted(source.namelist()):
                    target.writestr(zipfile.ZipInfo(name, EPOCH), normalised(name, source.read(name)))
        finally:
            raw.unlink(missing_ok=True)


def normalised(name: str, content: bytes) -> bytes:
    """A member of a .keras file without what differs between two equal models."""
    if name == "metadata.json":
        return json.dumps(json.loads(content) | {"date_saved": ""}, sort_keys=True).encode()
    if name == "config.json":
        numbers: dict[bytes, int] = {}
        return re.sub(
            rb'("shared_object_id": )(\d+)', lambda m: b"%s%d" % (m[1], numbers.setdefault(m[2], len(numbers))), content
        )
    return content


def load(path: Path, layers: dict[str, type]) -> keras.Model:
    """The model that ``save`` wrote; ``layers`` are those of our own in it, by the name that the file gives them."""
    return keras.saving.load_model(path, custom_objects=layers, compile=False)


def predict(model: keras.Model, split: Split, batch: int = 64) -> np.ndarray:
    """The model's output for every row of ``split``, a batch at a time: float32 [n, …]."""
    return np.concatenate([model(inputs, training=False).numpy() for inputs in split.batches(batch)])
