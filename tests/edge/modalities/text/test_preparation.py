"""Labelled texts become shards: what is rejected and why, which words count, and where a text goes."""

import csv
from collections import Counter

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.data import shards
from edge.data.splits import Intake
from edge.modalities.text import lines, preparation, words
from edge.modalities.text.lines import Lines, Text

GOOD, BAD = "good nice fine happy bright".split(), "bad sad poor dull grey".split()  # noqa: SIM905


class Config(Intake):
    """The settings that a task of texts has."""

    length: int
    vocabulary: int
    seen: int
    unique: bool
    fold: int


SIZES = {"length": 4, "vocabulary": 100, "seen": 2, "unique": True, "fold": 0}
CONFIG = Config(**SIZES, val=0.2, test=0.2, calibration=0.2, max_rejected=0.2)
LABELS = ("negative", "positive")


def some(count: int = 60) -> list[Text]:
    """``count`` different texts of each label, of two words that speak for the label and one that does not."""
    rows = []
    for number in range(count):
        for label, own in zip(LABELS, (BAD, GOOD), strict=True):
            text = f"{own[number % 5]} {own[number // 5 % 5]} thing{number}"
            rows.append(Text(f"{label}.txt", number + 1, label, text))
    return rows


def prepared(tmp_path, rows: list[Text], ranked=None, **changes):
    config = CONFIG.model_copy(update=changes)
    counts = preparation.prepare(lambda: rows, tmp_path, config, LABELS, "texts", ranked)
    return counts, shards.load_spec(tmp_path)


def table(path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_texts_become_indices(tmp_path):
    """Each row of a split is its text by the rules of spec.json, in the order of the manifest, with its label."""
    rows = some()
    counts, spec = prepared(tmp_path, rows)
    assert sum(counts[split] for split in shards.SPLITS) == len(rows)
    by_line = {(row.file, str(row.line)): row for row in rows}
    encode = words.Words(spec.metadata)
    for split in shards.SPLITS:
        loaded = shards.load(tmp_path, split)
        listed = [row for row in table(tmp_path / "manifest.csv") if row["split"] == split]
        texts = [by_line[row["file"], row["line"]] for row in listed]
        np.testing.assert_array_equal(loaded.x, np.stack([encode(row.text) for row in texts]))
        assert loaded.y.tolist() == [LABELS.index(row.label) for row in texts]
        assert loaded.x.dtype == np.int16 and loaded.inputs(slice(0, 1)).dtype == np.float32


def test_words_are_those_of_the_train_split(tmp_path):
    """A word has an index where two training texts have it, the most frequent first: other splits do not count."""
    rows = some()
    _, spec = prepared(tmp_path, rows)
    split = {(row["file"], row["line"]): row["split"] for row in table(tmp_path / "manifest.csv")}
    trained = Counter()
    for row in rows:
        if split[row.file, str(row.line)] == "train":
            trained.update(set(row.text.split()))
    vocabulary = spec.metadata["vocabulary"].split()
    assert set(vocabulary) == {word for word, number in trained.items() if number >= 2}
    assert [trained[word] for word in vocabulary] == sorted((trained[word] for word in vocabulary), reverse=True)


def test_a_vocabulary_has_a_limit(tmp_path):
    """`vocabulary` counts the reserved indices too; the most frequent words remain."""
    counts, spec = prepared(tmp_path, some(), vocabulary=6)
    assert counts["vocabulary"] == 6 and len(spec.metadata["vocabulary"].split()) == 4


def test_faults_are_listed_with_their_line(tmp_path):
    """Empty, undecodable, twice, with both labels: each has a row with file, line and reason, and is counted."""
    rows = some() + [
        Text("positive.txt", 901, "positive", "  ?! "),
        Text("positive.txt", 902, "positive", None, "not utf-8"),
        Text("positive.txt", 903, "positive", "GOOD, good thing0!"),
        Text("positive.txt", 904, "positive", "it is both"),
        Text("negative.txt", 905, "negative", "It is BOTH."),
    ]
    counts, _ = prepared(tmp_path, rows)
    assert counts["rejected"] == {"no words": 1, "not utf-8": 1, "duplicate": 1, "contradiction": 2}
    listed = {(row["file"], row["line"]): row["reason"] for row in table(tmp_path / "rejected.csv")}
    assert listed == {
        ("positive.txt", "901"): "no words",
        ("positive.txt", "902"): "not utf-8",
        ("positive.txt", "903"): "duplicate",
        ("positive.txt", "904"): "contradiction",
        ("negative.txt", "905"): "contradiction",
    }


def test_too_many_faults_are_an_error(tmp_path):
    """Above max_rejected one line says how many and why."""
    rows = some(20) + [Text("positive.txt", 900 + number, "positive", None, "not utf-8") for number in range(20)]
    with pytest.raises(UserError, match=r"20 of 60 texts are rejected, 20 of them as not utf-8"):
        prepared(tmp_path, rows)


def test_unknown_words_and_long_texts_are_kept_and_counted(tmp_path):
    """A text of words that nobody knows is kept as unknown words; one of 50,000 words is cut."""
    rows = some() + [
        Text("positive.txt", 901, "positive", "never heard before"),
        Text("negative.txt", 902, "negative", " ".join(f"w{number}" for number in range(50000))),
    ]
    counts, _ = prepared(tmp_path, rows)
    assert (counts["cut"], counts["only_unknown_words"]) == (1, 2)
    x = np.concatenate([shards.load(tmp_path, split).x for split in shards.SPLITS])
    assert [1, 1, 1, 0] in x.tolist() and [1, 1, 1, 1] in x.tolist()


def test_log_ratios_are_those_of_naive_bayes(tmp_path):
    """The start of a word is log((positive texts with it + 1) / all such) less the same of negative ones, in tenths."""
    rows = some()
    _, spec = prepared(tmp_path, rows)
    split = {(row["file"], row["line"]): row["split"] for row in table(tmp_path / "manifest.csv")}
    chosen = spec.metadata["vocabulary"].split()
    seen = {label: Counter() for label in LABELS}
    for row in rows:
        if split[row.file, str(row.line)] == "train":
            seen[row.label].update(set(row.text.split()))
    added = np.array([[seen[label][word] + 1 for word in chosen] for label in LABELS])
    expected = np.log(added[1] / added[1].sum()) - np.log(added[0] / added[0].sum())
    found = preparation.start(spec.metadata)
    assert found.shape == (len(chosen) + 2, 1) and not found[:2].any()
    np.testing.assert_allclose(found[2:, 0], expected, atol=0.051)


def test_more_labels_have_a_ratio_each():
    """With three labels each has a row: its share over that of the two others."""
    counts = {"a": Counter(x=3), "b": Counter(y=3), "c": Counter(x=1, y=1)}
    rows = [[int(value) for value in row.split()] for row in preparation.log_ratio(counts, ["x", "y"], tuple(counts))]
    assert rows[0][0] > 0 > rows[0][1] and rows[1][1] > 0 > rows[1][0] and rows[2] == [0, 0]


def test_a_group_and_a_part_stay_whole(tmp_path):
    """Texts of a group are in one split; what its maker calls test is test, and nothing else of that source is."""
    rows = [row._replace(group=f"group{row.line % 20}") for row in some()]
    prepared(tmp_path, rows)
    places = {}
    for row in table(tmp_path / "manifest.csv"):
        split = row["split"].replace("calibration", "train")
        places.setdefault(int(row["line"]) % 20, set()).add(split)
    assert all(len(found) == 1 for found in places.values()) and len({min(found) for found in places.values()}) == 3
    rows = [row._replace(part="test" if row.line % 3 == 0 else "train") for row in some()]
    prepared(tmp_path, rows)
    for row in table(tmp_path / "manifest.csv"):
        assert (row["split"] == "test") == (int(row["line"]) % 3 == 0)


def test_folds_test_each_text_once(tmp_path):
    """The five folds of a test share of a fifth have all texts as test texts, each once."""
    tested = Counter()
    for fold in range(5):
        prepared(tmp_path, some(), fold=fold)
        tested.update((r["file"], r["line"]) for r in table(tmp_path / "manifest.csv") if r["split"] == "test")
    assert len(tested) == 120 and set(tested.values()) == {1}


def test_the_same_texts_give_the_same_bytes(tmp_path):
    """Nothing in it is random."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        prepared(tmp_path / name, some())
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_lines_are_read_as_their_file_says(tmp_path):
    """A BOM, Windows line ends, latin-1, a line that is not utf-8 and one without end at the end of the file."""
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntw\xe9\r\nthr\xc3\xa9e")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9\n\n")
    lines.describe(tmp_path, [Lines("a.txt", "a"), Lines("b.txt", "b", "latin-1", "train")], ["x"])
    files, ranked = lines.described(tmp_path)
    assert ranked == ["x"]
    assert list(lines.texts(tmp_path, files)) == [
        Text("a.txt", 1, "a", "one"),
        Text("a.txt", 2, "a", None, "not utf-8"),
        Text("a.txt", 3, "a", "thrée"),
        Text("b.txt", 1, "b", "café", part="train"),
        Text("b.txt", 2, "b", "", part="train"),
    ]


def test_a_line_without_end_does_not_fill_memory(tmp_path, monkeypatch):
    """A line above the limit is a fault with its number, and the line after it is read."""
    monkeypatch.setattr(lines, "LONGEST", 10)
    (tmp_path / "a.txt").write_bytes(b"short\n" + b"x" * 35 + b"\nlast\n")
    found = list(lines.texts(tmp_path, [Lines("a.txt", "a")]))
    assert [(row.line, row.text, row.fault) for row in found] == [
        (1, "short", ""),
        (2, None, "too long"),
        (3, "last", ""),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"files": [{"file": "a", "label": "a", "encoding": "x"}]}',
        '{"files": [{"file": "a", "label": "../b"}], "words": null}',
    ],
)
def test_a_damaged_source_is_one_line(tmp_path, content):
    """What says which files there are is not believed: a label could name a file elsewhere."""
    (tmp_path / lines.SOURCE).write_text(content)
    with pytest.raises(UserError, match="source.json is damaged"):
        lines.described(tmp_path)
