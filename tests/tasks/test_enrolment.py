"""Classes that are added to a trained classifier go through the later stages, as any other classes do."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.clone import change
from edge.core.errors import UserError
from edge.core.files import sha256
from edge.data import shards
from edge.models.formats import metadata, onnx_file
from tests.conftest import copy_project
from tests.test_pipeline import ran
from tests.toy.classification import TASK

KNOWN, NEW, EXAMPLES = range(7), range(7, 10), 10
TAKEN = "data/enrolled/image_classification/9"
SHORT = {
    "collect__source": "directory",
    "collect__directory__path": "pictures",
    "train__architecture": "lenet",
    "train__epochs": 8,
    "train__width": 16,
    "evaluate_on_device__runs": 30,
    "evaluate_on_device__repeats": 3,
}


def save(folder, digit: int, last: int | None = None) -> np.ndarray:
    """Write scikit-learn's pictures of a digit, up to ``last``, into folder/<digit>; returns all that there are."""
    digits = load_digits()
    pictures = np.round(digits.images[digits.target == digit] * (255 / 16)).astype(np.uint8)
    (folder / str(digit)).mkdir(parents=True)
    for number, picture in enumerate(pictures[:last]):
        Image.fromarray(picture).save(folder / f"{digit}/{number:03}.png")
    return pictures


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A project that was trained on the digits 0 to 6, and a folder with ten pictures each of 7, 8 and 9."""
    project = copy_project(tmp_path_factory.mktemp("enrolment"))
    for digit in KNOWN:
        save(project.folder / "pictures", digit)
    for digit in NEW:
        save(project.folder / "new", digit, last=EXAMPLES)
    change(project.folder / "params.yaml", task="image_classification", quant="int8")
    change(project.folder / "configs/image_classification.yaml", **SHORT)
    project.ok("dvc", "repro", "train")
    return project


@pytest.fixture(scope="module")
def enrolled(digits):
    """The project after its digits 7, 8 and 9 were enrolled; what `dvc repro` printed."""
    digits.ok(sys.executable, "-m", "commands.enrol", "new")
    return digits.ok("dvc", "repro")


def read(project, name: str) -> dict:
    return json.loads((project.folder / f"metrics/{name}.json").read_text())


def test_nothing_is_trained(digits, enrolled):
    """Enrolling runs the stages after train, and then all is up to date; taking a class back begins at convert too."""
    assert ran(enrolled) == ["convert", "quantize", "evaluate-on-device"]
    assert "up to date" in digits.ok("dvc", "status")
    shutil.move(digits.folder / TAKEN, digits.folder / "taken")
    assert ran(digits.ok("dvc", "repro", "--dry")) == ["convert"]
    shutil.move(digits.folder / "taken", digits.folder / TAKEN)


def test_old_and_new_classes_are_known(digits, enrolled):
    """The int8 model that ships knows digits it was never trained on, and forgets none of the others."""
    found = read(digits, "convert")["enrolment"]
    assert found["examples"] == len(NEW) * EXAMPLES
    assert found["old"] > found["old_before"] - 0.03
    assert found["new"] > 0.7
    unseen = [save(digits.folder / "all", digit)[EXAMPLES:] for digit in NEW]
    y = np.repeat(list(NEW), [len(pictures) for pictures in unseen])
    split = shards.Split(np.concatenate(unseen)[..., None], y, shards.Tensor("pixels", (8, 8, 1)))
    assert (onnx_file.predict(digits.folder / "models/edge.onnx", split).argmax(axis=1) == y).mean() > 0.7
    assert read(digits, "devices/local")["scores"]["accuracy"] > found["old"] - 0.03


def test_the_model_says_what_was_enrolled(digits, enrolled):
    """ONNX and TFLite list all labels and name the examples; the parent is the trained model, which is as it was."""
    entries = metadata.read(onnx.load(digits.folder / "models/edge.onnx"))
    assert json.loads(entries["labels"]) == [*"0123456789"]
    assert json.loads(entries["output"])["shape"] == ["batch", 10]
    assert json.loads(entries["enrolled"])["labels"] == [*"789"]
    assert entries["keras_sha256"] == sha256(digits.folder / "models/model.keras")
    assert "not exact: the examples of what is enrolled" in digits.ok(
        sys.executable, "-m", "commands.explain", "models/edge.onnx"
    )


def test_the_report_reads_the_larger_model(digits, enrolled):
    """Answers with labels that the test split lacks are answers as any others."""
    code = (
        "from edge.judge.report.revisions import WORKSPACE, Revision; answers = Revision(WORKSPACE).answers;"
        "print(answers.score, len(answers.spec.labels), *answers.table.predicted.unique())"
    )
    score, labels, *predicted = digits.ok(sys.executable, "-c", code).splitlines()[-1].split()
    assert float(score) == read(digits, "quantize")["scores"]["accuracy"]
    assert labels == "10"
    assert set("0123456") <= set(predicted) <= set("0123456789")


def refused(project, folder: str) -> str:
    """The one line with which the command refuses a folder."""
    before = sorted(path.name for path in (project.folder / "data/enrolled").rglob("*"))
    result = project.run(sys.executable, "-m", "commands.enrol", folder)
    assert result.returncode == 1
    assert sorted(path.name for path in (project.folder / "data/enrolled").rglob("*")) == before
    return result.stderr.splitlines()[-1]


def test_bad_input_is_refused_and_nothing_is_copied(digits):
    """All faults are in one line: a file that is no picture, a class that is known, too few files."""
    save(digits.folder / "bad", 3, last=5)
    save(digits.folder / "bad", 8, last=4)
    save(digits.folder / "bad", 9, last=5)
    (digits.folder / "bad/9/000.png").write_text("no picture")
    said = refused(digits, "bad")
    assert "bad/3: the model knows 3 already" in said
    assert "bad/8 has 4 files" in said
    assert "bad/9/000.png: not a picture" in said


def test_a_task_that_reads_no_single_files_says_so():
    """By default a task has nothing to enrol from, and the error names task and file."""
    with pytest.raises(UserError, match="new/1.txt: Sign reads no single files"):
        TASK.read_example(Path("new/1.txt"), None, None)
