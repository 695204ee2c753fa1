"""Collecting and preparing labelled pictures: what is kept, what is rejected and why, and where it goes."""

import csv
import hashlib
import io
import os
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.core import paths, settings
from edge.core.errors import UserError
from edge.data import fetch, shards
from edge.data.fetch import MIRROR
from edge.modalities.vision import collection, pictures, preparation
from tasks.image_classification import TASK as task  # noqa: N811 - as the stages call it
from tests.edge.modalities.vision.files import bomb, encode, noise, png, turned
from tests.imports import ROOT

CONFIG = settings.read(ROOT / paths.CONFIGS / "image_classification.yaml")


def config(**changes):
    section = CONFIG["preprocess"] | {"size": [8, 8], "channels": 3, "val": 0.2, "test": 0.2} | changes
    return settings.validate(task.Preprocess, section, "test.yaml", "preprocess")


def collecting(**changes):
    return settings.validate(task.Collect, CONFIG["collect"] | changes, "test.yaml", "collect")


def training(**changes):
    return settings.validate(task.Train, CONFIG["train"] | changes, "test.yaml", "train")


def good(count: int = 60, labels=("cat", "dog")) -> list[tuple[str, str, bytes]]:
    """Rows (label, group, file) of pictures like no other, each of its own group."""
    return [(labels[i % len(labels)], "", encode(noise(10, 12, 1000 + i))) for i in range(count)]


def collected(folder: Path, rows) -> Path:
    folder.mkdir()
    numbered = ((f"{i:05}.png", *row) for i, row in enumerate(rows))
    collection.store(folder, "test", numbered)
    return folder


def prepared(tmp_path: Path, rows, name: str = "prepared", **changes) -> tuple[Path, dict]:
    """Collect and prepare ``rows``; returns (folder, counts)."""
    raw = collected(tmp_path / f"{name}-raw", rows)
    out = tmp_path / name
    out.mkdir()
    return out, task.prepare(raw, out, config(**changes), 1)


def table(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_shards_agree_with_the_manifest(tmp_path):
    """Every manifest row is the next row of its split, with its label and its pixels, and the counts add up."""
    rows = good()
    folder, counts = prepared(tmp_path, rows, size=[10, 12])
    spec = shards.load_spec(folder)
    assert spec.labels == ("cat", "dog")
    assert spec.input == shards.Tensor("pixels", (10, 12, 3))
    place = Counter()
    for row in table(folder / "manifest.csv"):
        split = shards.load(folder, row["split"])
        index = place[row["split"]]
        assert spec.labels[split.y[index]] == row["label"]
        assert hashlib.sha256(split.x[index].tobytes()).hexdigest() == row["sha256"]
        assert np.array_equal(split.x[index], noise(10, 12, 1000 + int(row["id"][:5])))
        place[row["split"]] += 1
    assert place == {split: counts[split] for split in shards.SPLITS}
    assert place.total() == len(rows)
    assert {path.name for path in folder.iterdir()} == {
        *(f"{split}.{end}.npy" for split in shards.SPLITS for end in "xy"),
        "manifest.csv",
        "rejected.csv",
        "spec.json",
    }


def test_every_reason_to_reject(tmp_path):
    """Each kind of bad picture is listed with its reason and detail; the stage goes on; duplicates are no fault."""
    rows = good(200)
    twin, split_opinion = rows[0], encode(noise(seed=7))
    bad = {
        "empty": b"",
        "not a picture": b"about",
        "cut off or damaged": encode(noise(), "JPEG")[:1200],
        "too large": bomb(),
        "unsupported kind of pixels": encode(np.ones((9, 9), np.float32), "TIFF"),
        "duplicate": twin[2],
    }
    rows += [("cat", "", data) for data in bad.values()]
    rows += [("cat", "", split_opinion), ("dog", "", split_opinion)]
    folder, counts = prepared(tmp_path, rows)
    found = table(folder / "rejected.csv")
    assert {(row["file"], row["reason"]) for row in found} == {
        *((f"{200 + i:05}.png", reason) for i, reason in enumerate(bad)),
        ("00206.png", "contradiction"),
        ("00207.png", "contradiction"),
    }
    assert counts["rejected"] == dict.fromkeys(preparation.REASONS, 1) | {"contradiction": 2}
    assert sum(counts[split] for split in shards.SPLITS) == 200
    (large,) = (row for row in found if row["reason"] == "too large")
    assert "1600000000 pixels" in large["detail"]


def test_too_many_rejected_are_an_error(tmp_path):
    """Above max_rejected the stage fails and names the commonest reason."""
    rows = good() + [("cat", "", b"?")] * 3 + [("cat", "", b"")] * 2
    with pytest.raises(UserError, match="5 of 65 pictures are rejected, 3 of them as not a picture"):
        prepared(tmp_path, rows)


def test_the_same_pixels_in_another_file_are_a_duplicate(tmp_path):
    """A picture that was saved again without loss, as another kind of file, is there once."""
    rows = good()
    again = [("cat", "", encode(noise(10, 12, 1000), kind)) for kind in ("BMP", "TIFF", "PPM")]
    _, counts = prepared(tmp_path, rows + again)
    assert counts["rejected"]["duplicate"] == 3


def test_what_was_converted_is_counted(tmp_path):
    """Animations, grey, palette, alpha, 16 bit, CMYK and turned pictures are kept and counted by what was done."""
    frames = [Image.new("RGB", (9, 9), (number, 0, 0)) for number in range(200)]
    image = Image.fromarray(noise(seed=300))
    files = [
        encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        encode(image.convert("L")),
        encode(Image.fromarray(noise(seed=301)).convert("P")),
        encode(Image.fromarray(noise(seed=302)).convert("RGBA")),
        encode(np.random.default_rng(1).integers(0, 65536, (9, 9), dtype=np.uint16)),
        encode(Image.fromarray(noise(seed=303)).convert("CMYK"), "JPEG"),
        turned(noise(seed=304), 6),
        png(1, 1, 16, 2, b"\0" + bytes([255, 255, 128, 128, 0, 0])),
    ]
    _, counts = prepared(tmp_path, good() + [("cat", "", data) for data in files])
    assert counts["converted"] == {
        "animation": 1,
        "palette": 2,
        "grey": 1,
        "alpha": 1,
        "16 bit": 2,
        "CMYK": 1,
        "turned": 1,
    }
    assert sum(counts[split] for split in shards.SPLITS) == 68
    _, counts = prepared(tmp_path, good() + [("cat", "", files[1])], name="grey", channels=1)
    assert counts["converted"] == {}


def test_the_first_picture_gives_the_size_that_is_left_open(tmp_path):
    """Without size and channels pictures are as the first that can be read, its longer side at most 64 pixels."""
    rows = [(*row[:2], encode(Image.fromarray(noise(96, 128, i)).convert("L"))) for i, row in enumerate(good())]
    folder, _ = prepared(tmp_path, [("cat", "", b"?"), *rows], size=None, channels=None)
    assert shards.load_spec(folder).input.shape == (48, 64, 1)
    folder, _ = prepared(tmp_path, good(), name="small", size=None, channels=None)
    assert shards.load_spec(folder).input.shape == (10, 12, 3)
    with pytest.raises(UserError, match="none of the files in .* can be read"):
        prepared(tmp_path, [("cat", "", b"?")], name="none", size=None)


def test_aspect_and_colour_follow_the_settings(tmp_path):
    """keep_aspect puts grey beside a wide picture; one channel is the luminance."""
    colours = [np.full((8, 16, 3), (4 * i, 0, 255), np.uint8) for i in range(60)]
    wide = [(label, "", encode(colour)) for (label, *_), colour in zip(good(), colours, strict=True)]
    folder, _ = prepared(tmp_path, wide, keep_aspect=True)
    picture = shards.load(folder, "train").x[0]
    assert (picture[:2] == pictures.PADDING).all() and (picture[2:6, :, 2] == 255).all()
    folder, _ = prepared(tmp_path, wide, name="grey", channels=1)
    grey = shards.load(folder, "train").x
    assert grey.shape[1:] == (8, 8, 1)
    assert 29 <= grey.min() < 40 and 80 < grey.max() <= 100  # 0.299 red + 0.114 blue


def test_a_group_is_in_one_split(tmp_path):
    """Pictures of a person are all in one split, which stays as people are added; calibration is of training people."""
    people = [(label, f"person{i % 30}", encode(noise(seed=i))) for i, (label, *_) in enumerate(good(120))]
    more = [(label, f"person{30 + i % 9}", encode(noise(seed=900 + i))) for i, (label, *_) in enumerate(good(36))]
    before, counts = prepared(tmp_path, people, name="before")
    after, _ = prepared(tmp_path, people + more, name="after")
    first = {row["sha256"]: row["split"] for row in table(before / "manifest.csv")}
    second = {row["sha256"]: row["split"] for row in table(after / "manifest.csv")}
    assert first == {digest: second[digest] for digest in first}
    places = {(row["group"], row["split"].replace("calibration", "train")) for row in table(after / "manifest.csv")}
    assert len(places) == 39
    assert counts["groups"] == 30


def test_a_label_whose_pictures_are_all_bad_is_missed(tmp_path):
    """A label does not vanish with its few pictures where these cannot be read."""
    with pytest.raises(UserError, match="split train has none of the 0 pictures of rare"):
        prepared(tmp_path, good(200) + [("rare", "", b"?")])


def test_same_bytes_twice_whatever_the_threads(tmp_path, monkeypatch):
    """The same files give the same bytes with one thread and many, in small chunks and large."""
    rows = good()
    first, _ = prepared(tmp_path, rows, name="first")
    monkeypatch.setattr(preparation, "THREADS", 1)
    monkeypatch.setattr(preparation, "CHUNK", 7)
    monkeypatch.setattr(preparation, "CHUNK_BYTES", 1000)
    second, _ = prepared(tmp_path, rows, name="second")
    assert content(first) == content(second)
    assert content(tmp_path / "first-raw") == content(tmp_path / "second-raw")


@pytest.mark.parametrize(
    ("name", "data"),
    [("pictures.tar", b"no tar" * 1000), ("manifest.csv", b"\xff"), ("manifest.csv", b"id,label,group\n1,../x,\n")],
)
def test_damaged_raw_data_are_one_line(tmp_path, name, data):
    """What is no longer as collect wrote it is an error that names the file and the command that mends it."""
    raw = collected(tmp_path / "raw", good())
    (raw / name).write_bytes(data)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=rf"{name}.*dvc repro --force collect"):
        task.prepare(raw, tmp_path / "out", config(), 1)


def test_digits_are_scikit_learns(tmp_path):
    """The source digits stores 1,797 files whose pixels are scikit-learn's, times 255 / 16."""
    from sklearn.datasets import load_digits

    task.sources()["digits"](collecting(), tmp_path, 1)
    rows = table(tmp_path / "manifest.csv")
    assert len(rows) == 1797
    with tarfile.open(tmp_path / "pictures.tar") as tar:
        picture = pictures.read(tar.extractfile("0005.png").read())
    bunch = load_digits()
    assert rows[5]["label"] == str(bunch.target[5])
    assert np.array_equal(np.round(picture.pixels[..., 0] * (16 / 255)), bunch.images[5])


def test_a_new_person_begins_where_the_digit_falls():
    """Runs of rising digits, some of them left out or twice, are one person each."""
    assert collection.persons(list("0123")) == [0, 0, 0, 0]
    assert collection.persons(list("01135024")) == [0, 0, 0, 0, 0, 5, 5, 5]
    assert collection.persons([]) == []


@pytest.fixture
def signs() -> Path:
    """The archive of signs, where a mirror folder has it."""
    path = Path(os.environ.get(MIRROR, ""), collection.SIGNS[2])
    if MIRROR not in os.environ or not path.is_file():
        pytest.skip(f"THE REAL SIGNS WERE NOT READ: {MIRROR} names no folder with {path.name}")
    return path


def test_the_real_signs_are_of_217_persons(signs, tmp_path, monkeypatch):
    """The archive has 2,062 photos of 217 persons, most of whom show each digit once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "raw").mkdir()
    task.sources()["sign_language_digits"](collecting(), tmp_path / "raw", 1)
    rows = table(tmp_path / "raw" / "manifest.csv")
    persons = Counter(row["group"] for row in rows)
    assert (len(rows), len(persons)) == (2062, 217)
    assert Counter(persons.values()).most_common(1)[0][0] == 10


def test_signs_are_found_by_their_names(tmp_path, monkeypatch):
    """A small archive of the same layout: digits are labels, persons are groups, other files are left alone."""
    numbers = {"0": (1, 4), "1": (2, 5), "2": (3,)}
    with tarfile.open(tmp_path / "signs.tar.gz", "w:gz") as tar:
        for digit, taken in numbers.items():
            for number in taken:
                add(tar, f"top/Dataset/{digit}/IMG_{number}.JPG", encode(noise(seed=number), "JPEG"))
        add(tar, "top/LICENSE", b"text")
    sha256 = hashlib.sha256((tmp_path / "signs.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(collection, "SIGNS", (None, sha256, "signs.tar.gz"))
    monkeypatch.setenv(fetch.MIRROR, str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "raw").mkdir()
    task.sources()["sign_language_digits"](collecting(), tmp_path / "raw", 1)
    assert [(row["id"], row["label"], row["group"]) for row in table(tmp_path / "raw" / "manifest.csv")] == [
        ("0/IMG_0001.jpg", "0", "person0001"),
        ("0/IMG_0004.jpg", "0", "person0004"),
        ("1/IMG_0002.jpg", "1", "person0001"),
        ("1/IMG_0005.jpg", "1", "person0004"),
        ("2/IMG_0003.jpg", "2", "person0001"),
    ]


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def own(tmp_path: Path, names: dict[str, bytes], **directory) -> tuple[list[dict], list[dict]]:
    """Collect a folder of files; returns the rows of manifest and of skipped.csv."""
    for name, data in names.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(data)
    return gather(tmp_path, tmp_path / "mine", **directory)


def gather(tmp_path: Path, path: Path | None, group: str | None = None, **changes) -> tuple[list[dict], list[dict]]:
    place = {"path": path and str(path), "group": group}
    out = tmp_path / "raw"
    out.mkdir()
    task.sources()["directory"](collecting(source="directory", directory=place, **changes), out, 1)
    return table(out / "manifest.csv"), table(out / "skipped.csv")


def test_a_folder_of_ones_own(tmp_path, capsys):
    """label/picture and label/group/picture are taken, other files are listed with the reason and told in a line."""
    picture = encode(noise())
    names = ("cat/1.png", "cat/tom/2.PNG", "dog/3.jpeg", "dog/notes.txt", "dog/photo.heic", "readme.png", "a/b/c/d.png")
    rows, skipped = own(tmp_path, dict.fromkeys(names, picture))
    assert [(row["id"], row["label"], row["group"]) for row in rows] == [
        ("cat/1.png", "cat", ""),
        ("cat/tom/2.PNG", "cat", "tom"),
        ("dog/3.jpeg", "dog", ""),
    ]
    assert {row["file"]: row["reason"] for row in skipped} == {
        "a/b/c/d.png": "deeper than label/group/file",
        "dog/notes.txt": "format .txt is not read: convert pictures to png or jpg",
        "dog/photo.heic": "format .heic is not read: convert pictures to png or jpg",
        "readme.png": "in no label folder",
    }
    assert "files left out: 4" in capsys.readouterr().err


def test_a_file_name_may_tell_the_group(tmp_path):
    """The pattern's group is the person; a name without one is an error that shows it."""
    names = dict.fromkeys(("cat/ann-1.png", "cat/bob-2.png"), encode(noise()))
    rows, _ = own(tmp_path, names, group="^(?P<group>[a-z]+)-")
    assert [row["group"] for row in rows] == ["ann", "bob"]
    (tmp_path / "mine/cat/7.png").write_bytes(b"")
    (tmp_path / "raw").rename(tmp_path / "old")
    with pytest.raises(UserError, match=r"collect.directory.group finds no group in cat/7.png"):
        gather(tmp_path, tmp_path / "mine", group="^(?P<group>[a-z]+)-")


def test_an_archive_with_a_folder_around(tmp_path):
    """A zip with one folder around the labels gives the labels; a file above the limit is skipped by its key."""
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("top/cat/1.png", encode(noise()))
        archive.writestr("top/dog/2.png", encode(noise(seed=1)))
        archive.writestr("top/dog/3.png", encode(noise(200, 200)))
    limits = {"file_mb": 0.05, "archive_gb": 1.0}
    rows, skipped = gather(tmp_path, tmp_path / "mine.zip", limits=limits)
    assert [row["label"] for row in rows] == ["cat", "dog"]
    assert skipped == [{"file": "top/dog/3.png", "reason": "larger than collect.limits.file_mb = 0.05"}]


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path):
    """No path, nothing there, no pictures, and a folder name that is no label are errors that say what to do."""
    with pytest.raises(UserError, match="collect.directory.path is empty"):
        gather(tmp_path, None)
    (tmp_path / "raw").rmdir()
    with pytest.raises(UserError, match="does not exist"):
        gather(tmp_path, tmp_path / "nowhere")
    (tmp_path / "raw").rmdir()
    with pytest.raises(UserError, match=r"no pictures \(left out: 1 format .txt is not read"):
        own(tmp_path, {"cat/1.txt": b"x"})
    (tmp_path / "raw").rename(tmp_path / "old")
    with pytest.raises(UserError, match="a label folder in .*a<b.* has '<'"):
        own(tmp_path, {"a<b/1.png": encode(noise())})


@pytest.mark.parametrize(
    ("section", "changes", "named"),
    [
        ("collect", {"directory": {"path": " ", "group": None}}, "directory.path"),
        ("collect", {"directory": {"path": None, "group": "("}}, "directory.group"),
        ("collect", {"directory": {"path": None, "group": "x"}}, "directory.group"),
        ("preprocess", {"size": [8]}, "size"),
        ("preprocess", {"size": [8, 5000]}, "size.1"),
        ("preprocess", {"channels": 2}, "channels"),
        ("train", {"architecture": "lstm"}, "architecture"),
        ("train", {"transfer": CONFIG["train"]["transfer"] | {"base": "resnet"}}, "transfer.base"),
    ],
)
def test_a_wrong_setting_is_named(section, changes, named):
    """A value out of range is refused before any work, by its key."""
    validated = {"collect": collecting, "preprocess": config, "train": training}[section]
    with pytest.raises(UserError, match=rf"{section}.{named}"):
        validated(**changes)


@pytest.mark.parametrize("shape", [(8, 8, 1), (64, 64, 3)])
def test_examples_are_shown_as_pictures(tmp_path, shape):
    """A stored example becomes a PNG whose pixels are enlarged to at least 128, and nothing else."""
    row = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    spec = shards.Spec(shards.Tensor("pixels", shape), shards.Tensor("scores", (2,)), ("a", "b"), {})
    task.example(row, spec, tmp_path)
    (path,) = tmp_path.iterdir()
    shown = pictures.read(path.read_bytes()).pixels
    times = 128 // shape[0]
    assert shown.shape == (128, 128, 3)
    assert np.array_equal(shown[::times, ::times], np.broadcast_to(row, (*shape[:2], 3)))


@pytest.mark.parametrize(("architecture", "shape"), [("cnn", (64, 64, 3)), ("cnn", (8, 8, 1)), ("lenet", (8, 8, 1))])
def test_networks_take_any_picture(architecture, shape):
    """Pixels to logits; of the cnn, the layer embedding is what logits takes."""
    spec = shards.Spec(shards.Tensor("pixels", shape), shards.Tensor("scores", (3,)), ("a", "b", "c"), {})
    model = task.build(training(architecture=architecture, width=4), spec, 1)
    assert model.output.shape == (None, 3)
    assert model.get_layer("features").output.shape == (None, *shape)
    if architecture == "cnn":
        assert model.get_layer("logits").input is model.get_layer("embedding").output
        assert model.get_layer("embedding").output.shape == (None, 16)
    assert task.fine_tune(model, training(architecture=architecture)) is None


def test_a_transfer_is_trained_twice(tmp_path):
    """After the last layer, all of the base is trained too; the curves of both trainings follow each other."""
    from stages.train import train

    folder, _ = prepared(tmp_path, good(), size=[16, 16])
    own = task.build(training(architecture="cnn", width=4), shards.load_spec(folder), 1)
    own.save(tmp_path / "own.keras")
    digest = hashlib.sha256((tmp_path / "own.keras").read_bytes()).hexdigest()
    transfer = {"base": str(tmp_path / "own.keras"), "weights": None, "sha256": digest}
    transfer |= {"fine_tune_epochs": 2, "fine_tune_rate": 0.001}
    recipe = training(architecture="transfer", transfer=transfer, epochs=1, batch=16)
    recipe = recipe.model_copy(update={"threads": None})  # they can be set only before TensorFlow's first operation
    model, metrics, curves, *_ = train(task, recipe, folder, 1)
    assert curves.epoch.tolist() == [0, 1, 2]
    assert metrics["epochs"] == 3
    assert model.output_names == ["scores"]
    before, after = (next(layer for layer in each.layers if layer.weights).get_weights()[0] for each in (own, model))
    assert not np.array_equal(before, after)
