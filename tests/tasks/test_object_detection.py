"""Pictures with boxes from people: what is kept, repaired or rejected; and boxes move with their pictures."""

import csv
import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.core import paths, settings
from edge.core.errors import UserError
from edge.data import shards
from edge.heads.detection import iou
from tasks.object_detection import TASK as task  # noqa: N811 - as the stages call it
from tasks.object_detection import preparation, scenes, voc
from tests.edge.modalities.vision.files import encode, noise
from tests.imports import ROOT

CONFIG = settings.read(ROOT / paths.CONFIGS / "object_detection.yaml")
HEIGHT, WIDTH = 40, 60
BOX = ("cat", 4, 6, 24, 36)
LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol1 "&lol;&lol;&lol;&lol;">]>
<annotation><object><name>&lol1;</name></object></annotation>"""
OUTSIDE = '<!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/passwd">]><annotation>&secret;</annotation>'


def config(**changes):
    own = {"size": [32, 48], "val": 0.25, "test": 0.25, "calibration": 0.3, "max_rejected": 1.0}
    return settings.validate(task.Preprocess, CONFIG["preprocess"] | own | changes, Path("test.yaml"), "preprocess")


def thing(label="cat", x0="7", y0="5", x1="36", y1="24") -> str:
    """An object of an annotation as it is written."""
    corners = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    return f"<object><name>{label}</name><bndbox>{corners}</bndbox></object>"


def xml(*things: str, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """An annotation of things as they are written."""
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    return f"<annotation>{size}\n{''.join(things)}</annotation>".encode()


@pytest.fixture
def folder(tmp_path) -> Path:
    """A Pascal VOC folder of 40 pictures that differ, each with a cat and a dog."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / "voc" / part).mkdir(parents=True)
    for number in range(40):
        add(tmp_path / "voc", f"good{number:02}", encode(noise(HEIGHT, WIDTH, number)), xml(thing(), thing("dog")))
    return tmp_path / "voc"


def add(folder: Path, stem: str, picture: bytes | None, annotation: bytes | None) -> None:
    """Add a picture, an annotation or both."""
    if picture is not None:
        (folder / f"JPEGImages/{stem}.png").write_bytes(picture)
    if annotation is not None:
        (folder / f"Annotations/{stem}.xml").write_bytes(annotation)


def prepared(folder: Path, file_mb: float = 50, **changes) -> tuple[dict, list[dict], Path]:
    """Collect and prepare a folder: the counts, the rows of rejected.csv, and where the shards are."""
    raw, out = folder.parent / "raw", folder.parent / "prepared"
    raw.mkdir(exist_ok=True)
    out.mkdir(exist_ok=True)
    limits = {"file_mb": file_mb, "archive_gb": 1}
    section = CONFIG["collect"] | {"source": "voc", "voc": {"path": str(folder)}, "limits": limits}
    collecting = settings.validate(task.Collect, section, Path("test.yaml"), "collect")
    task.sources()["voc"](collecting, raw, 1)
    counts = task.prepare(raw, out, config(**changes), 1)
    with open(out / "rejected.csv", newline="") as file:
        return counts, list(csv.DictReader(file)), out


def examples(out: Path) -> dict[str, np.ndarray]:
    """The boxes of each picture by its id, without the rows that are none."""
    found, rows = {}, Counter()
    with open(out / "manifest.csv", newline="") as file:
        for row in csv.DictReader(file):
            y = shards.load(out, row["split"]).y[rows[row["split"]]]
            found[row["id"]] = y[y[:, 4] >= 0]
            rows[row["split"]] += 1
    return found


def test_a_clean_folder_is_kept_whole(folder):
    """Every picture is in a split, nothing is rejected or repaired, and boxes are shares of the picture."""
    counts, rejected, out = prepared(folder)
    assert sum(counts[split] for split in shards.SPLITS) == 40
    assert counts["boxes"] == {"cat": 40, "dog": 40}
    assert (counts["rejected"], counts["repaired"], rejected, counts["split_by"]) == ({}, {}, [], "content")
    boxes = examples(out)["good00"]
    assert boxes == pytest.approx(np.array([[4 / 40, 6 / 60, 24 / 40, 36 / 60, label] for label in (0, 1)]))
    assert shards.load(out, "train").x.shape[1:] == (32, 48, 3)


FAULTS = {
    "xml without picture": (None, xml(thing()), "xml without picture"),
    "picture without xml": (encode(noise(seed=99)), None, "picture without xml"),
    "no picture": (b"no picture", xml(thing()), "not a picture"),
    "empty picture": (b"", xml(thing()), "empty"),
    "no xml": (encode(noise(seed=99)), b"{}", "not an annotation"),
    "cut off xml": (encode(noise(seed=99)), xml(thing())[:-20], "not an annotation"),
    "another xml": (encode(noise(seed=99)), b"<html/>", "not an annotation"),
    "large xml": (encode(noise(seed=99)), b"<annotation>" + b" " * 10**6 + b"</annotation>", "not an annotation"),
    "unknown encoding": (
        encode(noise(seed=99)),
        b'<?xml version="1.0" encoding="x"?><annotation/>',
        "not an annotation",
    ),
    "billion laughs": (encode(noise(seed=99)), LAUGHS.encode(), "entities are not read"),
    "external entity": (encode(noise(seed=99)), OUTSIDE.encode(), "entities are not read"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_picture_that_cannot_be_used_is_rejected_with_its_reason(folder, name):
    """The one bad example is left out and named; the others go on."""
    picture, annotation, reason = FAULTS[name]
    add(folder, "bad", picture, annotation)
    counts, rejected, out = prepared(folder)
    assert counts["rejected"] == {reason: 1}
    assert "bad" in rejected[0]["file"]
    assert len(examples(out)) == 40


BOXES = {
    "without area": (thing(x0="20", x1="20"), "box without area"),
    "outside": (thing(x0="61", x1="80"), "box outside of the picture"),
    "NaN": (thing(x0="nan"), "box not a number"),
    "infinite": (thing(x1="1e999"), "box not a number"),
    "a word": (thing(y0="top"), "box not a number"),
    "no corners": ("<object><name>cat</name></object>", "box absent"),
    "no name": (thing(label=" "), "box absent"),
}


@pytest.mark.parametrize("name", BOXES)
def test_a_box_that_cannot_be_used_is_rejected_alone(folder, name):
    """The bad box is named with its line; its picture stays with its other box."""
    written, reason = BOXES[name]
    add(folder, "bad", encode(noise(HEIGHT, WIDTH, 99)), xml(thing("dog"), "\n", written))
    counts, rejected, out = prepared(folder)
    assert counts["rejected"] == {reason: 1}
    assert (rejected[0]["file"], rejected[0]["line"]) == ("Annotations/bad.xml", "3")
    assert examples(out)["bad"][:, 4].tolist() == [1]


@pytest.mark.parametrize(
    ("written", "size", "kind", "edges"),
    [
        (thing(x0="36", x1="7"), (WIDTH, HEIGHT), "swapped corners", (4, 6, 24, 36)),
        (thing(x0="36", y0="24", x1="7", y1="5"), (WIDTH, HEIGHT), "swapped corners", (4, 6, 24, 36)),
        (thing(x0="0", y1="55"), (WIDTH, HEIGHT), "clipped", (4, 0, 40, 36)),
        (thing(), (600, 400), "size in xml is not the picture's", (4, 6, 24, 36)),
    ],
)
def test_what_can_be_repaired_is_repaired_and_counted(folder, written, size, kind, edges):
    """Swapped corners, corners outside, and a wrong size in the XML: the picture's own size wins."""
    width, height = size
    add(folder, "odd", encode(noise(HEIGHT, WIDTH, 99)), xml(written, width=width, height=height))
    counts, rejected, out = prepared(folder)
    assert (counts["repaired"], rejected) == ({kind: 1}, [])
    assert examples(out)["odd"][0, :4] == pytest.approx(np.array(edges) / (HEIGHT, WIDTH, HEIGHT, WIDTH))


def test_an_annotation_without_objects_is_a_picture_of_nothing(folder):
    """A picture whose XML names no object is kept, with no box."""
    add(folder, "nothing", encode(noise(HEIGHT, WIDTH, 99)), xml())
    counts, rejected, out = prepared(folder)
    assert rejected == []
    assert len(examples(out)["nothing"]) == 0


def test_grey_and_turned_pictures_are_converted_and_counted(folder):
    """A grey picture becomes RGB, and metrics say how many were converted."""
    add(folder, "grey", encode(Image.fromarray(noise(HEIGHT, WIDTH, 99)).convert("L")), xml(thing()))
    counts, _, out = prepared(folder)
    assert counts["repaired"] == {"grey": 1}
    assert len(examples(out)) == 41


def test_the_same_picture_twice_is_dropped_once(folder):
    """Equal pixels with equal boxes, though in another kind of file, are a duplicate."""
    add(folder, "again", encode(noise(HEIGHT, WIDTH, 0), "BMP"), xml(thing("dog"), thing()))
    counts, rejected, out = prepared(folder)
    assert counts["rejected"] == {"duplicate": 1}
    assert [row["file"] for row in rejected] == ["JPEGImages/good00.png"]
    assert len(examples(out)) == 40


def test_the_same_picture_with_other_boxes_is_a_contradiction(folder):
    """Nobody knows which of the two is right: both are left out."""
    add(folder, "other", encode(noise(HEIGHT, WIDTH, 0)), xml(thing()))
    counts, rejected, out = prepared(folder)
    assert counts["rejected"] == {"contradiction": 2}
    assert len(examples(out)) == 39


def test_two_pictures_of_one_name(folder):
    """Whose boxes an annotation has is not known where two pictures have its name: one is left out and named."""
    (folder / "JPEGImages/good00.bmp").write_bytes(encode(noise(seed=99), "BMP"))
    _, rejected, _ = prepared(folder)
    assert [(row["file"], row["reason"]) for row in rejected] == [("JPEGImages/good00.png", preparation.TWICE)]


def test_a_class_that_is_not_asked_for(folder):
    """A class that preprocess.labels lacks is an error that names file, line and the nearest class."""
    add(folder, "typo", encode(noise(HEIGHT, WIDTH, 99)), xml(thing("Dogs")))
    with pytest.raises(UserError, match=r"Annotations/typo.xml:2: class 'Dogs' is not among .* nearest is 'dog'"):
        prepared(folder, labels=["cat", "dog"])


def test_labels_have_the_order_of_the_settings(folder):
    """The index of a class is its place in preprocess.labels."""
    _, _, out = prepared(folder, labels=["dog", "cat"])
    assert shards.load_spec(out).labels == ("dog", "cat")
    assert examples(out)["good00"][:, 4].tolist() == [1, 0]


@pytest.mark.parametrize("label", ["../../x", "&lt;script&gt;"])
def test_a_class_that_could_not_name_a_file(folder, label):
    """A class that is a path or a tag is an error."""
    add(folder, "odd", encode(noise(HEIGHT, WIDTH, 99)), xml(thing(label)))
    with pytest.raises(UserError, match="a class in the annotations"):
        prepared(folder)


def test_too_many_faults_are_an_error(folder):
    """Above max_rejected the stage fails and names the commonest reason."""
    for number in range(5):
        add(folder, f"bad{number}", None, xml())
    with pytest.raises(UserError, match="5 of 45 pictures are rejected, 5 of them as xml without picture"):
        prepared(folder, max_rejected=0.05)


def lists(folder: Path, **stems: list[str]) -> None:
    for split, names in stems.items():
        (folder / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in names))


def test_the_data_s_own_lists_decide_the_split(folder):
    """Pictures are where the three lists put them; calibration is cut out of train alone."""
    names = [f"good{number:02}" for number in range(40)]
    lists(folder, train=names[:30], val=names[30:34], test=names[34:])
    counts, rejected, out = prepared(folder)
    assert (counts["split_by"], counts["val"], counts["test"], rejected) == ("lists", 4, 6, [])
    assert counts["train"] + counts["calibration"] == 30
    assert counts["calibration"] > 0
    with open(out / "manifest.csv", newline="") as file:
        found = {row["id"]: row["split"] for row in csv.DictReader(file)}
    assert {found[name] for name in names[34:]} == {"test"}
    assert prepared(folder, lists=False)[0]["split_by"] == "content"


def test_faults_of_lists_are_named(folder):
    """A picture in two lists would leak, one in none has no place, and a list may name what is not there."""
    names = [f"good{number:02}" for number in range(40)]
    lists(folder, train=[*names[:30], "gone"], val=names[29:34], test=names[34:39])
    counts, rejected, _ = prepared(folder)
    reasons = {row["reason"]: (row["file"], row["line"]) for row in rejected}
    assert reasons == {
        "in a list only": ("ImageSets/Main/train.txt", "31"),
        "in two lists": ("JPEGImages/good29.png", ""),
        "in no list": ("JPEGImages/good39.png", ""),
    }


def test_a_missing_list_leaves_the_split_to_a_hash(folder):
    """Where the data have no test list, as many have not, the content decides, and metrics say so."""
    lists(folder, train=["good00"], val=["good01"])
    counts, rejected, _ = prepared(folder)
    assert (counts["split_by"], rejected) == ("content", [])


def test_bars_beside_a_picture_move_its_boxes(folder):
    """With keep_aspect a tall picture has bars left and right, and a box of all of it lies between them."""
    add(folder, "tall", encode(noise(60, 30, 99)), xml(thing(x0="1", y0="1", x1="30", y1="60"), width=30, height=60))
    _, _, out = prepared(folder, keep_aspect=True)
    assert examples(out)["tall"][0, :4] == pytest.approx(np.array([0, 1 / 3, 1, 2 / 3]))


def test_a_folder_that_is_no_voc_folder(tmp_path):
    """Pictures without the folders of Pascal VOC are an error that names what is missing."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/one.png").write_bytes(encode(noise()))
    with pytest.raises(UserError, match="no files in JPEGImages and Annotations"):
        prepared(tmp_path / "pictures")


def test_an_archive_is_read_as_a_folder_is(folder):
    """A tar of the folder, below another folder, gives the same shards."""
    _, _, out = prepared(folder)
    expected = {path.name: path.read_bytes() for path in out.glob("*.npy")}
    packed = folder.parent / "voc.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(folder, "set/VOC2007")
    _, _, out = prepared(packed)
    assert {path.name: path.read_bytes() for path in out.glob("*.npy")} == expected


def test_what_collect_left_out_is_rejected(folder):
    """A file above the limit is skipped, listed, and counted by preprocess."""
    (folder / "JPEGImages/good00.png").write_bytes(b"\0" * 2_000_000)
    _, rejected, _ = prepared(folder, file_mb=1)
    assert {row["reason"] for row in rejected} == {"larger than collect.limits.file_mb = 1", "xml without picture"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ["cat", "Cat"]}, "preprocess.labels .* differ in case only"),
        ({"labels": ["cat", "cat"]}, "preprocess.labels .* listed twice"),
        ({"labels": []}, "preprocess.labels .* at least 1"),
        ({"size": [16, 160]}, r"preprocess.size.0 = 16: .* greater than or equal to 32"),
        ({"anchors": [[[0.1, 0.1]]]}, "preprocess.anchors .* at least 3"),
        ({"anchors": [[[0.1]], [[0.2, 0.2]], [[0.4, 0.4]]]}, "preprocess.anchors.0.0 .* at least 2"),
        ({"anchors": [[[0.1, 0.0]], [[0.2, 0.2]], [[0.4, 0.4]]]}, "preprocess.anchors.0.0.1 = 0.0: .* greater than 0"),
    ],
)
def test_wrong_settings_are_named(changes, words):
    """A wrong value stops before any work, with its key and what is allowed."""
    with pytest.raises(UserError, match=words):
        config(**changes)


def test_a_source_without_its_path():
    """The source voc asks for a folder by the name of its setting; a blank is none."""
    collecting = settings.validate(task.Collect, CONFIG["collect"] | {"source": "voc"}, Path("test.yaml"))
    with pytest.raises(UserError, match="collect.voc.path is empty"):
        task.sources()["voc"](collecting, Path("nowhere"), 1)
    with pytest.raises(UserError, match="collect.voc.path = ' '"):
        settings.validate(task.Collect, CONFIG["collect"] | {"voc": {"path": " "}}, Path("test.yaml"), "collect")


def test_levels_are_the_grids_of_the_head():
    """Rows and columns are rounded up, and anchors are shares of the height and of the width."""
    found = preparation.levels([120, 160], [[[0.1, 0.2]], [[0.3, 0.3]], [[0.5, 0.5]]])
    assert [(level["rows"], level["columns"]) for level in found] == [(15, 20), (8, 10), (4, 5)]
    assert found[0]["sizes"] == [[0.1, pytest.approx(0.15)]]


def test_scenes_are_the_same_twice_and_their_boxes_fit(tmp_path):
    """Equal seeds give equal files; an annotation says where the things are that were drawn, inside the picture."""
    few = settings.validate(task.Collect, CONFIG["collect"], Path("test.yaml")).scenes
    few = few.model_copy(update={"pictures": 3})
    files = dict(scenes.files(few, 5))
    assert files == dict(scenes.files(few, 5)) != dict(scenes.files(few, 6))
    assert list(files) == sorted(files)
    for number in range(3):
        _, things = scenes.planned(number, few, 5)
        read = voc.parse(files[f"Annotations/scene_{number:05}.xml"])
        edges = [voc.fitted(box, scenes.HEIGHT, scenes.WIDTH) for box in read.boxes]
        assert [found for found, _, _ in edges] == [thing.box for thing in things]
        assert not any(repaired or fault for _, repaired, fault in edges)
        picture = np.asarray(Image.open(io.BytesIO(files[f"JPEGImages/scene_{number:05}.jpg"])))
        assert picture.shape == (scenes.HEIGHT, scenes.WIDTH, 3)


def test_boxes_move_with_their_picture():
    """After zoom, crop and mirrors a white rectangle is still where its box says; the same seed gives the same."""
    import tensorflow as tf

    from tasks.object_detection.augmentation import augmented

    train = settings.validate(task.Train, CONFIG["train"], Path("test.yaml"))
    x, y = np.zeros((16, 120, 160, 3), np.float32), np.full((16, 2, 5), -1, np.float32)
    random = np.random.default_rng(2)
    for row in range(16):
        top, left = random.integers(0, 70, 2)
        height, width = random.integers(30, 50, 2)
        x[row, top : top + height, left : left + width] = 255
        y[row, 0] = [top / 120, left / 160, (top + height) / 120, (left + width) / 160, row % 3]
    seed = tf.constant([1, 7])
    pixels, boxes = (part.numpy() for part in augmented(x, y, seed, train.augment))
    assert (boxes[:, 1] == -1).all()
    assert 12 <= (boxes[:, 0, 4] >= 0).sum() <= 16
    for picture, box in zip(pixels, boxes[:, 0], strict=True):
        if box[4] >= 0:
            bright = np.argwhere((picture > 180).all(axis=2))
            seen = np.concatenate([bright.min(axis=0), bright.max(axis=0) + 1]) / (120, 160, 120, 160)
            assert iou(seen[None], box[None])[0, 0] > 0.85
    np.testing.assert_array_equal(augmented(x, y, seed, train.augment)[0].numpy(), pixels)
    assert (augmented(x, y, tf.constant([1, 8]), train.augment)[0].numpy() != pixels).any()


def test_a_box_that_is_hardly_left_does_not_count():
    """A box of which a crop leaves less than three tenths is no box, and the rest of another is clipped."""
    import tensorflow as tf

    from tasks.object_detection.augmentation import moved

    y = np.array([[[0, 0, 0.3, 0.3, 1], [0.1, 0.1, 0.7, 0.7, 2]]], np.float32)
    start, side = tf.constant([[0.25, 0.25]]), tf.constant([[0.5]])
    found = moved(y, start, side, tf.constant([[False] * 4])).numpy()[0]
    assert found[0].tolist() == [-1] * 5
    assert found[1] == pytest.approx([0, 0, 0.9, 0.9, 2])


def test_answers_are_drawn(tmp_path):
    """A picture of the answer has a thin white true box and a thick coloured one; without an answer only the first."""
    spec = shards.Spec(shards.Tensor("pixels", (60, 80, 3)), shards.Tensor("scores", (100, 6)), ("cat", "dog"), {})
    y = np.array([[0.25, 0.25, 0.75, 0.75, 1], [-1] * 5], np.float32)
    output = np.zeros((100, 6), np.float32)
    output[0] = [0.5, 0.5, 1, 1, 0.9, 0]
    output[1] = [0, 0, 0.2, 0.2, 0.1, 0]  # too unsure to be shown
    row, counts = np.full((60, 80, 3), 90, np.uint8), []
    for folder, answer in (("with", output), ("without", None)):
        (tmp_path / folder).mkdir()
        task.show(row, y, answer, spec, tmp_path / folder)
        seen = np.asarray(Image.open(tmp_path / folder / "boxes.png")).reshape(-1, 3)
        counts.append([int((seen == colour).all(axis=1).sum()) for colour in ((255, 255, 255), (255, 208, 0))])
    (white, yellow), (alone, none) = counts
    assert min(white, alone) > 500
    assert yellow > 1000
    assert none == 0


def test_the_spec_says_what_a_device_must_know(folder):
    """Anchors and how pictures were resized travel in the metadata; the file is JSON."""
    _, _, out = prepared(folder)
    metadata = json.loads((out / "spec.json").read_text())["metadata"]
    assert metadata["keep_aspect"] is False
    assert [len(level["sizes"]) for level in metadata["levels"]] == [3, 4, 4]
