"""What a person wants to enrol is read whole, or every fault of it is said."""

from pathlib import Path

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.data import enrolled
from edge.data.shards import Spec, Tensor

SPEC = Spec(Tensor("x", (1,)), Tensor("scores", (2,)), ("left", "right"), {})


def read_example(path: Path, spec: Spec, config) -> np.ndarray:
    text = path.read_text()
    if not text.isdigit():
        raise UserError(f"{path} is no number")
    return np.array([int(text)])


def fill(folder: Path, **labels) -> Path:
    for label, numbers in labels.items():
        (folder / label).mkdir(parents=True)
        for index, number in enumerate(numbers):
            (folder / label / f"{index}.txt").write_text(str(number))
    return folder


def test_examples_are_read_in_order(tmp_path):
    """Labels are sorted and counted from 0; files beside the folders and hidden ones are not looked at."""
    fill(tmp_path, up=range(5), down=range(10, 16))
    (tmp_path / "README.md").write_text("text")
    (tmp_path / "up/.hidden").write_text("text")
    found = enrolled.read(tmp_path, SPEC, read_example, None)
    assert found.labels == ("down", "up")
    assert found.x[:, 0].tolist() == [10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4]
    assert found.y.tolist() == [0] * 6 + [1] * 5


def test_a_folder_without_folders_has_nothing(tmp_path):
    """Nobody enrolled anything: None."""
    (tmp_path / "README.md").write_text("text")
    assert enrolled.read(tmp_path, SPEC, read_example, None) is None


def test_the_hash_follows_from_labels_and_examples(tmp_path):
    """File names do not matter; another label or another example does."""
    one = enrolled.read(fill(tmp_path / "one", up=range(5)), SPEC, read_example, None).sha256
    fill(tmp_path / "two", up=range(5))
    (tmp_path / "two/up/4.txt").rename(tmp_path / "two/up/5.txt")
    assert enrolled.read(tmp_path / "two", SPEC, read_example, None).sha256 == one
    assert enrolled.read(fill(tmp_path / "three", down=range(5)), SPEC, read_example, None).sha256 != one
    assert enrolled.read(fill(tmp_path / "four", up=range(1, 6)), SPEC, read_example, None).sha256 != one


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"left": range(5)}, "left: the model knows left already"),
        ({"Left": range(5)}, "'left' and 'Left' differ in case only"),
        ({"-x": range(5)}, "must begin with a letter"),
        ({"up": range(4)}, "up has 4 files: 5 to 10 examples"),
        ({"up": []}, "up has 0 files"),
        ({"up": [1, 2, 3, 4, 5, "six"]}, "5.txt is no number"),
        ({"up": [1, 2, 3, 4, 5, 1]}, "5.txt: duplicate"),
        ({"up": range(5), "down": range(4, 9)}, "0.txt: contradiction"),
    ],
)
def test_a_fault_is_named(tmp_path, labels, words):
    """A label that is none or is known, too few files, a file that cannot be read, an example that is there twice."""
    with pytest.raises(UserError) as caught:
        enrolled.read(fill(tmp_path, **labels), SPEC, read_example, None)
    assert words in str(caught.value)


def test_all_faults_are_counted(tmp_path):
    """The first five are named, the others counted."""
    with pytest.raises(UserError, match=r"0\.txt.*4\.txt is no number; and 3 more"):
        enrolled.read(fill(tmp_path, up=["a"] * 8), SPEC, read_example, None)


def test_a_folder_inside_a_class_is_refused(tmp_path):
    """What lies deeper is not read, and that is said."""
    fill(tmp_path / "up", deeper=range(5))
    fill(tmp_path, down=range(5))
    with pytest.raises(UserError, match=r"up has 1 files.*up/deeper is no file"):
        enrolled.read(tmp_path, SPEC, read_example, None)


def test_a_folder_that_is_not_there_has_nothing(tmp_path):
    """A task for which nobody enrolled anything has no folder."""
    assert enrolled.read(tmp_path / "toy", SPEC, read_example, None) is None
