"""Classes that are added to a trained classifier go through the later stages as any others do."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.clone import change
from edge.core.files import sha256
from edge.models.formats import metadata
from tests.conftest import copy_project
from tests.test_pipeline import ran

KNOWN, NEW = [*"0123456"], [*"789"]
EXAMPLES = 10


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A project that was trained on the digits 0 to 6, and a folder with ten pictures of each of 7, 8 and 9."""
    project = copy_project(tmp_path_factory.mktemp("enrolment"))
    raw, folder = project.folder / "data/raw", project.folder / "new"
    change(project.folder / "params.yaml", task="image_classification")
    changed = {"train__epochs": 8, "train__width": 16, "evaluate_on_device__runs": 30, "evaluate_on_device__repeats": 3}
    change(project.folder / "configs/image_classification.yaml", **changed)
    project.ok("dvc", "repro", "collect")
    pixels, manifest = np.load(raw / "pixels.npy"), pd.read_csv(raw / "manifest.csv", dtype={"label": str})
    for label in NEW:
        (folder / label).mkdir(parents=True)
        for row in np.flatnonzero(manifest.label == label)[:EXAMPLES]:
            Image.fromarray((pixels[row, ..., 0] * 255.0 / 16).round().astype(np.uint8)).save(
                folder / label / f"{row}.png"
            )
    keep = manifest.label.isin(KNOWN).to_numpy()
    np.save(raw / "pixels.npy", pixels[keep])
    manifest[keep].to_csv(raw / "manifest.csv", index=False)
    project.ok("dvc", "commit", "--force", "collect")
    project.ok("dvc", "repro")
    project.ok("git", "add", ".")
    project.ok("git", "commit", "--quiet", "-m", "A run")
    return project


def test_it(digits):
    """x"""
    trained = sha256(digits.folder / "models/model.keras")
    print(digits.ok(sys.executable, "-m", "commands.enrol", "new"))
    print(digits.ok("dvc", "status"))
    assert ran(digits.ok("dvc", "repro")) == ["convert", "quantize", "evaluate-on-device"]
    for name in ("train", "convert", "quantize", "devices/local"):
        print((digits.folder / f"metrics/{name}.json").read_text()[:1500])
    assert 0
