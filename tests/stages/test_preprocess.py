"""Pictures of examples stay in their folder."""

import numpy as np
import pytest

import tasks
from edge import heads
from edge.core.errors import UserError
from edge.data import shards


class Drawn:
    """A task whose examples are drawn as four bytes."""

    head = heads.Classification()

    def show(self, row, y, output, spec, out):
        (out / "picture.png").write_bytes(bytes(row))


def drawn(folder, *labels: str):
    """Pictures of a prepared set with one example a label; returns the folder that they are in."""
    prepared, out = folder / "prepared", folder / "plots/samples"
    prepared.mkdir()
    out.mkdir(parents=True)
    np.save(prepared / "train.x.npy", np.ones((len(labels), 4), np.uint8))
    np.save(prepared / "train.y.npy", np.arange(len(labels)))
    ends = shards.Tensor("x", (4,)), shards.Tensor("scores", (len(labels),))
    shards.Spec(*ends, labels, {}).save(prepared)
    tasks.pictures(Drawn.head, Drawn().show, shards.load(prepared, "train"), shards.load_spec(prepared), out)
    return out


def test_a_picture_a_label(tmp_path):
    """Each label has a picture of its name."""
    assert sorted(path.name for path in drawn(tmp_path, "turn left", "grün").iterdir()) == ["grün.png", "turn left.png"]


@pytest.mark.parametrize("label", ["../../x", "and/or", "<script>", "x" * 252])
def test_a_label_that_leads_elsewhere(tmp_path, label):
    """A label that is a path, a tag or too long for a file name is an error, and no file is written anywhere."""
    with pytest.raises(UserError, match=r"spec.json: a label cannot name a picture"):
        drawn(tmp_path, label)
    assert not list(tmp_path.rglob("*.png"))
