"""Reviews: where they come from, what the imdb files may hold, and what is refused."""

import csv
import hashlib
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from edge.core import paths, settings
from edge.core.errors import UserError
from edge.data import shards
from edge.data.fetch import MIRROR
from edge.modalities.text import lines
from tasks.sentiment import TASK as task  # noqa: N811 - as the stages call it
from tasks.sentiment import imdb, reviews, sources
from tests.imports import ROOT

CONFIG = settings.read(ROOT / paths.CONFIGS / "sentiment.yaml")
WORDS = "the a film good bad boring great plot 'tis actor".split()  # noqa: SIM905 - by rank


def collecting(**changes):
    return settings.validate(task.Collect, CONFIG["collect"] | changes, "test.yaml", "collect")


def preparing(**changes):
    return settings.validate(task.Preprocess, CONFIG["preprocess"] | changes, "test.yaml", "preprocess")


def prepared(tmp_path, **changes):
    (tmp_path / "prepared").mkdir()
    counts = task.prepare(tmp_path, tmp_path / "prepared", preparing(**changes), 1)
    return counts, shards.load_spec(tmp_path / "prepared")


def npz(path, reviews: dict[str, list], **arrays):
    """A file as keras publishes it: x_train and x_test are arrays of lists of ranks, y_… of 0 and 1."""
    content = dict(arrays)
    for part, rows in reviews.items():
        ranks, labels = zip(*rows, strict=True)
        content |= {f"x_{part}": np.array([*ranks, None], dtype=object)[:-1], f"y_{part}": np.array(labels)}
    with open(path, "wb") as file:
        np.savez(file, **content)
    return path


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror folder with a hand-made imdb.npz and index of ten words; the expected hashes are theirs."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = {}
    for part, count in (("train", 80), ("test", 30)):
        rows[part] = [([*rng.integers(1, 11, 8).tolist(), (5, 4)[n % 2]], n % 2) for n in range(count)]
    npz(folder / "imdb.npz", rows)
    (folder / "imdb_word_index.json").write_text(json.dumps({word: WORDS.index(word) + 1 for word in sorted(WORDS)}))
    for name, algorithm in (("REVIEWS", "sha256"), ("RANKS", "md5")):
        file = getattr(sources, name)[1]
        digest = hashlib.new(algorithm, (folder / file).read_bytes()).hexdigest()
        monkeypatch.setattr(sources, name, (digest, file))
    monkeypatch.setenv(MIRROR, str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_imdb_has_the_indices_of_keras(mirror, tmp_path, monkeypatch):
    """0 is padding, 1 start, 2 unknown, rank r is r + 3: each stored row is a row of keras.datasets.imdb.load_data."""
    from keras.src.datasets import imdb as keras_imdb

    raw = tmp_path / "raw"
    raw.mkdir()
    task.sources()["imdb"](collecting(source="imdb"), raw, 1)
    (raw / "prepared").mkdir()
    task.prepare(raw, raw / "prepared", preparing(vocabulary=9, length=12, unique=False, val=0.3, calibration=0.3), 1)
    monkeypatch.setattr(keras_imdb, "get_file", lambda **_: str(mirror / "imdb.npz"))
    (x_train, y_train), (x_test, y_test) = keras_imdb.load_data(num_words=9)
    found = {split: shards.load(raw / "prepared", split) for split in shards.SPLITS}

    def pairs(x, y):
        return {(tuple([*row, *[0] * 12][:12]), int(label)) for row, label in zip(x, y, strict=True)}

    assert pairs(found["test"].x.tolist(), found["test"].y) == pairs(x_test, y_test)
    ours = set().union(*(pairs(found[s].x.tolist(), found[s].y) for s in ("train", "val", "calibration")))
    assert ours == pairs(x_train, y_train)
    assert all(found["test"].x[:, 0] == 1) and 2 in found["test"].x and found["test"].x.max() == 8


class Harm:
    """What a hostile file asks for."""

    def __reduce__(self):
        return eval, ("open('harm', 'w').close()",)


def hostile(content: object) -> bytes:
    """A .npy file of objects whose pickle is ``content``."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    pickle.dump(content, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (hostile(Harm()), "asks for builtins.eval"),
        (hostile([1, 2]), "no row of lists"),
        (hostile(np.array([[1, 2], None], dtype=object)), "no list of ranks"),
        (hostile(np.array([[1, "2"], None], dtype=object)), "no list of ranks"),
        (hostile(np.array([[0, 2], None], dtype=object)), "no list of ranks"),
        (hostile(np.array([[11], [12], None], dtype=object)[:2]), "index out of range"),
        (hostile(np.array([[1], [2], [3], None], dtype=object)[:3]), "no label 0 or 1 for each of 3"),
        (b"\x93NUMPY", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_a_pickle_cannot_run_code(tmp_path, monkeypatch, content, said):
    """What is no array of lists of ranks is one line, and nothing that it asks for is done."""
    monkeypatch.chdir(tmp_path)
    answers = io.BytesIO()
    np.save(answers, np.array([0, 1]))
    with zipfile.ZipFile("imdb.npz", "w") as file:
        file.writestr("x_train.npy", content)
        file.writestr("y_train.npy", answers.getvalue())
    with pytest.raises(UserError, match=said):
        imdb.texts(tmp_path / "imdb.npz", "train", WORDS)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", ["{", "[1, 2]", '{"a": 1, "b": 3}', '{"a": 1, "b": 1}', '{"a": "x"}', "7"])
def test_ranks_must_be_whole(tmp_path, content):
    """An index with a gap, a rank twice or no numbers would shift words: it is refused in one line."""
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(UserError, match=r"index.json cannot be read"):
        imdb.ranked(tmp_path / "index.json")


def test_generated_reviews_are_half_and_half(tmp_path):
    """Each review is there once, half of them positive; the same seed gives the same bytes, another gives others."""
    found = reviews.generate(500, 1)
    assert len(dict(found)) == 500 and sum(label == "positive" for _, label in found) == 250
    assert found == reviews.generate(500, 1) != reviews.generate(500, 2)
    task.sources()["generated"](collecting(generated=500), tmp_path, 1)
    counts, spec = prepared(tmp_path)
    assert spec.labels == ("negative", "positive") and sum(counts["rejected"].values()) == 0


def write(folder, **files: bytes):
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content)
    return folder


def many(words: str, encoding: str = "utf-8") -> bytes:
    return "".join(f"{words} number{n} thing{n % 7}\n" for n in range(60)).encode(encoding)


def test_ones_own_reviews_in_another_encoding(tmp_path):
    """A folder of files, a label each, in latin-1: é is é. The same files as utf-8 have every such line rejected."""
    folder = write(tmp_path / "mine", bon=many("très bon", "latin-1"), mauvais=many("mauvais"))
    (tmp_path / "raw").mkdir()
    own = {"path": str(folder), "encoding": "latin-1"}
    task.sources()["files"](collecting(source="files", files=own), tmp_path / "raw", 1)
    _, spec = prepared(tmp_path / "raw")
    assert spec.labels == ("bon", "mauvais") and "très" in spec.metadata["vocabulary"].split()
    (tmp_path / "again").mkdir()
    task.sources()["files"](collecting(source="files", files=own | {"encoding": "utf-8"}), tmp_path / "again", 1)
    with pytest.raises(UserError, match="60 of 120 reviews are rejected, 60 of them as not utf-8"):
        prepared(tmp_path / "again")
    with open(tmp_path / "again/prepared/rejected.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["line"] for row in rows] == [str(n) for n in range(1, 61)] and rows[0]["file"] == "bon.txt"


@pytest.mark.parametrize(
    ("files", "said"),
    [({}, "has 0 files <label>.txt"), ({"a": b"x\n"}, "has 1 files"), ({"a": b"x\n", "b$": b"y\n"}, "is its label")],
)
def test_a_folder_of_other_files_is_one_line(tmp_path, files, said):
    """A folder without two labels, or with a name that is no label, is refused by name."""
    folder = write(tmp_path / "mine", **files)
    config = collecting(source="files", files={"path": str(folder), "encoding": "utf-8"})
    with pytest.raises(UserError, match=said):
        task.sources()["files"](config, tmp_path, 1)


def test_settings_are_checked():
    """A path that is missing, an encoding that nobody has, and dense on words that are there twice."""
    with pytest.raises(UserError, match=r"collect.files.path is empty"):
        task.sources()["files"](collecting(source="files"), None, 1)
    with pytest.raises(UserError, match=r"collect.files.encoding = 'latin1x'.*no such encoding"):
        collecting(files={"path": None, "encoding": "latin1x"})
    with pytest.raises(UserError, match=r"collect.files.encoding = 'utf-32'.*cannot be told apart"):
        collecting(files={"path": None, "encoding": "utf-32"})
    config = type("Config", (), {})()
    config.preprocess = preparing(unique=False)
    config.train = settings.validate(task.Train, CONFIG["train"] | {"architecture": "dense"}, "test.yaml")
    with pytest.raises(UserError, match=r"set preprocess.unique to true"):
        task.check(config)


def test_an_example_is_a_picture_and_its_words(tmp_path):
    """What a person looks at: the words of a stored review, as text and as a picture."""
    task.sources()["generated"](collecting(generated=500), tmp_path, 1)
    _, spec = prepared(tmp_path)
    task.example(shards.load(tmp_path / "prepared", "train").x[0], spec, tmp_path)
    text = (tmp_path / "words.txt").read_text().strip()
    with open(tmp_path / "prepared/manifest.csv", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["split"] == "train")
    said = (tmp_path / row["file"]).read_text().splitlines()[int(row["line"]) - 1]
    assert set(text.split()) - {"<unknown>"} <= set(said.replace(",", "").split())
    assert (tmp_path / "words.png").read_bytes().startswith(b"\x89PNG")


def test_word_dropout_makes_words_unknown():
    """About the share of the words becomes index 1, never padding; the same seed drops the same words."""
    import tensorflow as tf

    rules = {"pattern": r"\w+", "unique": True, "length": 50, "reserved": ["<pad>", "<unknown>"]}
    spec = shards.Spec(None, None, (), {"text": rules, "vocabulary": "a b c"})
    train = settings.validate(task.Train, CONFIG["train"] | {"word_dropout": 0.3}, "test.yaml")
    drop = task.augment(train, spec, 1)
    x = np.tile(np.array([2, 3, 4, 2, 0], np.float32), (100, 10))
    seed = tf.constant((1, 7))
    (changed, _), (again, _) = drop(tf.constant(x), 0, seed), drop(tf.constant(x), 0, seed)
    changed = changed.numpy()
    np.testing.assert_array_equal(changed, again)
    assert (changed[x == 0] == 0).all() and set(np.unique(changed[changed != x])) == {1}
    assert 0.25 < (changed != x)[x > 0].mean() < 0.35
    assert task.augment(train.model_copy(update={"word_dropout": 0.0}), spec, 1) is None


def test_lines_of_a_source_keep_their_part(tmp_path):
    """The halves of imdb stay apart: what keras calls test is test."""
    lines.describe(tmp_path, [lines.Lines("a.txt", "negative", part="test")])
    assert lines.described(tmp_path)[0][0].part == "test"
