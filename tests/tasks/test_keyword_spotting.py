"""Collecting and preparing clips: what is kept, what is rejected and why, and where it goes."""

import csv
import hashlib
import io
import json
import re
import tarfile
import unicodedata
import wave
import zipfile
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from edge.core import paths, settings
from edge.core.errors import UserError
from edge.data import shards
from edge.data.fetch import MIRROR
from edge.modalities.audio import collection, preparation
from tasks.keyword_spotting import TASK as task  # noqa: N811 - as the stages call it
from tasks.keyword_spotting.settings import Collect, Preprocess, check
from tests.imports import ROOT

RATE = 8000
CONFIG = settings.read(ROOT / paths.CONFIGS / "keyword_spotting.yaml")


def config(**changes) -> Preprocess:
    section = CONFIG["preprocess"] | {"rate": RATE, "calibration": 0.2} | changes
    section["split"] = CONFIG["preprocess"]["split"] | {"val": 0.25, "test": 0.25} | changes.get("split", {})
    return settings.validate(task.Preprocess, section, "test.yaml", "preprocess")


def collecting(**changes) -> Collect:
    return settings.validate(task.Collect, CONFIG["collect"] | changes, "test.yaml", "collect")


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(np.asarray(samples).astype("<i2").tobytes())
    return file.getvalue()


def noise(seed: int, seconds: float = 0.5, level: float = 3000) -> bytes:
    """A clip like no other."""
    return wav(np.random.default_rng(seed).normal(0, level, int(seconds * RATE)).clip(-32000, 32000))


def people(count: int, words=("no", "yes")) -> list[tuple[str, str, bytes]]:
    """Rows (label, speaker, wav): each of ``count`` speakers says each word once."""
    clips = [(word, f"speaker{i}") for i in range(count) for word in words]
    return [(*clip, noise(seed)) for seed, clip in enumerate(clips)]


def collected(folder, rows, words=("no", "yes")):
    folder.mkdir()
    numbered = ((f"{i:05}.wav", *row) for i, row in enumerate(rows))
    collection.store(folder, "test", words, numbered)
    return folder


def prepared(tmp_path, rows, words=("no", "yes"), name="prepared", **changes):
    """Collect and prepare ``rows``; returns (folder, counts)."""
    raw = collected(tmp_path / f"{name}-raw", rows, words)
    out = tmp_path / name
    out.mkdir()
    return out, task.prepare(raw, out, config(**changes), 1)


def table(path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_shards_agree_with_the_manifest(tmp_path):
    """Every manifest row is the next row of its split, with its label and its hash, and the counts add up."""
    folder, counts = prepared(tmp_path, people(40) + [("_silence_", "", noise(500 + i, level=5)) for i in range(60)])
    spec = shards.load_spec(folder)
    assert spec.labels == ("no", "yes", "_silence_") and spec.input.shape == (RATE,) and spec.input.name == "waveform"
    assert spec.metadata["sample_rate"] == RATE and "rate" in spec.metadata["sox_effects"]
    place = Counter()
    for row in table(folder / "manifest.csv"):
        split = shards.load(folder, row["split"])
        index = place[row["split"]]
        assert spec.labels[split.y[index]] == row["label"]
        assert hashlib.sha256(split.x[index].tobytes()).hexdigest() == row["sha256"]
        place[row["split"]] += 1
    assert place == {split: counts[split] for split in shards.SPLITS}
    assert place.total() == 140 and counts["speakers"] == 40
    assert shards.load(folder, "train").x.dtype == np.int16 and shards.load(folder, "train").y.dtype == np.int64


def test_every_reason_to_reject(tmp_path):
    """Each kind of bad clip is listed with its reason; silence may be silent; duplicates do not count as faults."""
    good = people(40)
    twin = good[0][2]
    bad = {
        "unreadable": ("no", "x", noise(900)[:1000]),
        "empty": ("no", "x", wav(np.zeros(0))),
        "silent": ("no", "x", wav(np.full(4000, 3))),
        "clipped": ("no", "x", wav(np.sign(np.sin(np.arange(4000) / 9)) * 32767)),
        "too short": ("no", "x", noise(901, seconds=0.05)),
        "duplicate": ("no", "x", twin),
        "wrong label": ("yes", "x", twin),
    }
    silence = [("_silence_", "", wav(np.arange(i, i + 4000) % 3)) for i in range(1)]
    silence += [("_silence_", "", noise(700 + i, level=3)) for i in range(60)]
    folder, counts = prepared(tmp_path, good + list(bad.values()) + silence)
    assert [row["reason"] for row in table(folder / "rejected.csv")] == list(bad)
    assert counts["rejected"] == dict.fromkeys(preparation.REASONS, 1)
    assert sum(counts[split] for split in shards.SPLITS) == 80 + 61
    with pytest.raises(UserError, match="6 of 148 clips are rejected.*max_rejected allows 4%"):
        prepared(tmp_path, good + list(bad.values()) + silence, name="strict", max_rejected=0.04)


def test_label_that_nobody_asked_for(tmp_path):
    """A manifest that was given another label by hand is rejected as a wrong label."""
    raw = collected(tmp_path / "raw", people(40))
    text = (raw / "manifest.csv").read_text()
    (raw / "manifest.csv").write_text(text.replace("00001.wav,yes", "00001.wav,maybe"))
    (tmp_path / "out").mkdir()
    assert task.prepare(raw, tmp_path / "out", config(), 1)["rejected"]["wrong label"] == 1


def test_commonest_reason_is_named(tmp_path):
    """Too many rejected clips are an error that names the commonest reason."""
    with pytest.raises(UserError, match="3 of them as silent"):
        prepared(tmp_path, people(10) + [("no", "", wav(np.ones(4000)))] * 3 + [("no", "", b"?")])


def test_split_stays_as_data_grow(tmp_path):
    """No clip changes its split when clips and speakers are added, and no speaker is in two splits."""
    few = people(30) + [("no", "", noise(800 + i)) for i in range(10)]
    before, _ = prepared(tmp_path, few, name="before")
    after, _ = prepared(tmp_path, few + people(60)[60:] + [("yes", "", noise(850))], name="after")
    first = {row["sha256"]: row["split"] for row in table(before / "manifest.csv")}
    second = {row["sha256"]: row["split"] for row in table(after / "manifest.csv")}
    assert len(second) > len(first) and first == {key: second[key] for key in first}
    groups = {(row["speaker"], row["split"].replace("calibration", "train")) for row in table(after / "manifest.csv")}
    named = [speaker for speaker, _ in groups if speaker]
    assert len(named) == len(set(named))


def test_named_speakers(tmp_path):
    """Speakers named for a split are in it whatever their hash; a name that nobody has is an error."""
    chosen = {"test_speakers": ["speaker1", "speaker2"], "val_speakers": ["speaker3"]}
    folder, _ = prepared(tmp_path, people(6), split={"val": 0.0, "test": 0.0}, calibration=0.5, **chosen)
    rows = table(folder / "manifest.csv")
    assert {row["speaker"] for row in rows if row["split"] == "test"} == {"speaker1", "speaker2"}
    assert {row["speaker"] for row in rows if row["split"] == "val"} == {"speaker3"}
    with pytest.raises(UserError, match="test_speakers.*nobody"):
        prepared(tmp_path, people(6), name="typo", test_speakers=["nobody"])


def test_validation_by_clip(tmp_path):
    """Where speakers are few, validation may take clips of those in training, and the test still takes none."""
    rows = [(*row[:2], noise(seed)) for seed, row in enumerate(people(4) * 10)]
    folder, _ = prepared(tmp_path, rows, split={"test": 0.0, "val_by": "clip"}, test_speakers=["speaker0"])
    speakers = {split: set() for split in shards.SPLITS}
    for row in table(folder / "manifest.csv"):
        speakers[row["split"]].add(row["speaker"])
    assert speakers["test"] == {"speaker0"}
    assert speakers["val"] == speakers["train"] == {"speaker1", "speaker2", "speaker3"}


def test_calibration_is_kept_out_of_training(tmp_path):
    """Calibration clips come from the speakers of the training split, and none of them is trained on."""
    folder, _ = prepared(tmp_path, people(60))
    train, held = (shards.load(folder, split).x for split in ("train", "calibration"))
    assert len(held) and not {x.tobytes() for x in train} & {x.tobytes() for x in held}
    rows = table(folder / "manifest.csv")
    speakers = {split: {row["speaker"] for row in rows if row["split"] == split} for split in shards.SPLITS}
    assert not speakers["calibration"] & (speakers["val"] | speakers["test"])


def test_same_bytes_twice(tmp_path, monkeypatch):
    """The same clips give the same files, whatever the size of the chunks they pass in."""
    effects = CONFIG["preprocess"]["effects"] | {"highpass": 100.0}
    first, _ = prepared(tmp_path, people(40), name="first", effects=effects)
    monkeypatch.setattr(preparation, "CHUNK", 7)
    second, _ = prepared(tmp_path, people(40), name="second", effects=effects)
    assert content(first) == content(second)
    assert content(tmp_path / "first-raw") == content(tmp_path / "second-raw")


def test_missing_class(tmp_path):
    """A label that a split does not hold is an error that names both and what to do."""
    rows = people(40) + [("stop", "speaker0", noise(900)), ("stop", "speaker0", noise(901))]
    with pytest.raises(UserError, match="split (train|val|test) has no clip of stop: collect more speakers"):
        prepared(tmp_path, rows, words=("no", "yes", "stop"))


def test_label_with_one_clip(tmp_path):
    """A single clip cannot be split."""
    with pytest.raises(UserError, match="label stop has 1 usable clip"):
        prepared(tmp_path, people(40) + [("stop", "speaker0", noise(900))], words=("no", "yes", "stop"))


def test_one_speaker(tmp_path):
    """Clips of one speaker cannot be split by speaker."""
    with pytest.raises(UserError, match="one speaker"):
        prepared(tmp_path, [("yes" if i % 2 else "no", "ann", noise(i)) for i in range(20)])


def test_fit():
    """Short clips are centred in zeros; of long ones the loudest window is kept."""
    assert preparation.fit(np.array([5, 6], np.int16), 5).tolist() == [0, 5, 6, 0, 0]
    assert preparation.fit(np.array([1, 0, -9, 9, 0, 0, 1], np.int16), 3).tolist() == [0, -9, 9]
    assert preparation.fit(np.array([1, 2], np.int16), 2).tolist() == [1, 2]


def test_one_file_is_prepared_as_all_are(tmp_path):
    """A recording that a person enrols becomes the very example that preprocess makes of it, short or long."""
    rows = [*people(8)[:-1], ("yes", "speaker7", noise(99, 1.5))]
    out, _ = prepared(tmp_path, rows)
    digests = {row["id"]: row["sha256"] for row in table(out / "manifest.csv")}
    spec = shards.load_spec(out)
    for number, (_, _, data) in enumerate(rows):
        path = tmp_path / f"{number:05}.wav"
        path.write_bytes(data)
        stored = task.read_example(path, spec, config())
        assert stored.shape == spec.input.shape
        assert hashlib.sha256(stored.astype("<i2").tobytes()).hexdigest() == digests[path.name]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"text", "unreadable"), (b"", "unreadable"), (wav(np.zeros(4000)), "silent"), (wav(np.zeros(0)), "empty")],
)
def test_a_file_that_preprocess_would_reject_is_refused(tmp_path, data, reason):
    """One line names the file and the reason."""
    (tmp_path / "one.wav").write_bytes(data)
    with pytest.raises(UserError, match=f"one.wav is {reason}"):
        task.read_example(tmp_path / "one.wav", None, config())


def test_directory(tmp_path):
    """A tree of label folders: words restrict and order it, file names tell the speaker, other files are left out."""
    for number, (label, speaker, data) in enumerate(people(3, ("yes", "no", "later"))):
        (tmp_path / "mine" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / label / f"{speaker}-{number}.wav").write_bytes(data)
    (tmp_path / "mine" / "README.md").write_text("about")
    (tmp_path / "mine" / "no" / "notes.txt").write_text("about")
    place = {"path": str(tmp_path / "mine"), "speaker": "^(?P<speaker>[a-z0-9]+)-"}
    (tmp_path / "raw").mkdir()
    cfg = collecting(source="directory", words=["yes", "no"], directory=place)
    task.sources()["directory"](cfg, tmp_path / "raw", 1)
    rows = table(tmp_path / "raw" / "manifest.csv")
    assert [row["label"] for row in rows] == ["no"] * 3 + ["yes"] * 3
    assert {row["speaker"] for row in rows} == {"speaker0", "speaker1", "speaker2"}
    assert json.loads((tmp_path / "raw" / "labels.json").read_text()) == ["yes", "no"]
    with pytest.raises(UserError, match="no clip of never"):
        cfg = collecting(source="directory", words=["yes", "never"], directory=place)
        task.sources()["directory"](cfg, tmp_path / "raw", 1)


def test_speech_commands(tmp_path, monkeypatch):
    """Other words are unknown and capped, background noise becomes silence, a second run gives the same bytes."""
    words = ["yes", "no", "bed", "cat", "dog"] * 4
    entries = {f"./{word}/{i:08x}_nohash_0.wav": noise(i) for i, word in enumerate(words)}
    entries |= {"./_background_noise_/hum.wav": noise(99, seconds=20), "./LICENSE": b"text"}
    archive = tmp_path / "speech_commands_v0.02.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    url, _, name = collection.SPEECH_COMMANDS["full"]
    here = {"full": (url, hashlib.sha256(archive.read_bytes()).hexdigest(), name)}
    monkeypatch.setattr(collection, "SPEECH_COMMANDS", here)
    monkeypatch.setenv(MIRROR, str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cfg = collecting(source="speech_commands", words=["yes", "no"], unknown=5, silence=7)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        task.sources()["speech_commands"](cfg, tmp_path / folder, 1)
    assert content(tmp_path / "first") == content(tmp_path / "second")
    rows = table(tmp_path / "first" / "manifest.csv")
    assert Counter(row["label"] for row in rows) == {"yes": 4, "no": 4, "_unknown_": 5, "_silence_": 7}
    assert {row["seconds"] for row in rows if row["label"] == "_silence_"} == {"1.0000"}
    assert {row["speaker"] for row in rows if row["label"] == "_silence_"} == {"hum-0", "hum-64000", "hum-128000"}


def test_mini_needs_a_mirror(tmp_path, monkeypatch):
    """The mini archive has no address: without a mirror the error says what to set."""
    monkeypatch.delenv(MIRROR, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match=f"speech_commands_mini.tar.gz cannot be downloaded: set {MIRROR}"):
        task.sources()["speech_commands"](collecting(source="speech_commands", speech_commands="mini"), tmp_path, 1)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"words": [True, "no"]}, "valid string"),
        ({"words": ["no", "_silence_"]}, "cannot be a word"),
        ({"words": ["no", " "]}, "begins or ends with a blank"),
        ({"words": ["no", " yes"]}, "begins or ends with a blank"),
        ({"words": ["no", "No"]}, "'no' and 'No' differ in case only"),
        ({"words": ["no", "_Unknown_"]}, "cannot be a word"),
        ({"words": ["no", "../../x"]}, "letters, digits"),
        ({"words": ["no", "and/or"]}, "letters, digits"),
        ({"words": ["no", "</script><script>"]}, "letters, digits"),
        ({"words": ["no", "a\0b"]}, "letters, digits"),
        ({"words": ["no", "a\ud800"]}, "collect.words"),
        ({"words": ["no", "x" * 252]}, "252 bytes: at most 200"),
        ({"directory": {"path": "", "speaker": None}}, "name a folder or an archive"),
        ({"limits": {"file_mb": 0, "archive_gb": 1}}, "file_mb"),
        ({"words": ["no", "no"]}, "twice"),
        ({"directory": {"path": None, "speaker": "("}}, "regular expression"),
        ({"directory": {"path": None, "speaker": "x"}}, "P<speaker>"),
    ],
)
def test_bad_collect_settings(changes, complaint):
    """What is wrong in the config is said before any work."""
    with pytest.raises(UserError, match=complaint):
        collecting(**changes)


def test_bad_preprocess_settings():
    """Shares that leave nothing, a speaker in two splits and a filter above half the rate are errors."""
    for changes in (
        {"split": {"val": 0.5, "test": 0.5}},
        {"val_speakers": ["a"], "test_speakers": ["a"]},
        {"effects": CONFIG["preprocess"]["effects"] | {"lowpass": 5000.0}},
    ):
        with pytest.raises(UserError, match="test.yaml: preprocess"):
            config(**changes)


def test_a_pattern_that_finds_no_speaker_is_an_error(tmp_path):
    """A speaker pattern that does not fit a file name stops collect, so that nobody slips into two splits unseen."""
    from edge.modalities.audio.speech import encode

    (tmp_path / "clips/yes").mkdir(parents=True)
    (tmp_path / "clips/yes/Anna_1.wav").write_bytes(encode(np.zeros(800), 8000))
    out = tmp_path / "out"
    out.mkdir()
    settings = {"path": str(tmp_path / "clips"), "speaker": "^(?P<speaker>[a-z]+)_"}
    with pytest.raises(UserError, match=r"collect.directory.speaker finds no speaker in .*Anna_1.wav"):
        task.sources()["directory"](collecting(source="directory", words=["yes"], directory=settings), out, 1)


def tree(folder, *names: str):
    """A folder of recordings, each like no other, by their paths in it."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(noise(seed))
    return folder


def directory(tmp_path, mine, words=None, speaker=None, **changes):
    """Collect from the folder or archive ``mine``; returns the rows of the manifest and of skipped.csv."""
    cfg = collecting(source="directory", words=words, directory={"path": str(mine), "speaker": speaker}, **changes)
    out = tmp_path / "raw"
    out.mkdir()
    task.sources()["directory"](cfg, out, 1)
    return table(out / "manifest.csv"), {row["file"]: row["reason"] for row in table(out / "skipped.csv")}


def test_folders_of_speakers(tmp_path):
    """In a tree label/speaker/file the top folder is the label and the second one is who speaks."""
    mine = tree(tmp_path / "mine", "yes/anna/1.wav", "yes/bob/1.wav", "no/anna/1.wav", "no/2.wav")
    rows, skipped = directory(tmp_path, mine)
    found = {row["id"]: (row["label"], row["speaker"]) for row in rows}
    assert found["yes/anna/1.wav"] == ("yes", "anna") and found["no/anna/1.wav"] == ("no", "anna")
    assert found["yes/bob/1.wav"] == ("yes", "bob") and found["no/2.wav"] == ("no", "")
    assert skipped == {}


def test_an_archive_with_a_folder_around_the_labels(tmp_path):
    """The folder that was packed is no label."""
    mine = tree(tmp_path / "mine", "yes/anna/1.wav", "no/2.wav")
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for path in sorted(mine.rglob("*.wav")):
            archive.write(path, f"mine/{path.relative_to(mine)}")
    rows, _ = directory(tmp_path, tmp_path / "mine.zip")
    assert [(row["id"], row["label"], row["speaker"]) for row in rows] == [
        ("mine/no/2.wav", "no", ""),
        ("mine/yes/anna/1.wav", "yes", "anna"),
    ]


def test_every_file_that_is_left_out_has_its_reason(tmp_path, capsys):
    """Other formats, links, other folders, depth, size and number: each file is listed, and a line counts them."""
    mine = tree(tmp_path / "mine", "yes/1.wav", "no/1.wav", "maybe/1.wav", "yes/a/b/c.wav", "top.wav", "yes/.x.wav")
    tree(mine, *(f"_unknown_/{number}.wav" for number in range(5)))
    for name in ("yes/2.wma", "yes/README"):
        (mine / name).write_text("?")
    (mine / "yes/3.wav").write_bytes(noise(50, seconds=80))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret.wav").write_bytes(b"secret")
    (mine / "no/link.wav").symlink_to(tmp_path / "elsewhere/secret.wav")
    (mine / "linked").symlink_to(tmp_path / "elsewhere")
    rows, skipped = directory(tmp_path, mine, ["yes", "no"], unknown=3, limits={"file_mb": 1.0, "archive_gb": 1.0})
    assert sorted(row["id"] for row in rows if row["label"] != "_unknown_") == ["no/1.wav", "yes/1.wav"]
    capped = [name for name in skipped if name.startswith("_unknown_")]
    assert len(capped) == 2 and {skipped.pop(name) for name in capped} == {"more than collect.unknown = 3"}
    assert skipped == {
        "maybe/1.wav": "folder 'maybe' is not among collect.words",
        "yes/a/b/c.wav": "deeper than label/speaker/file",
        "top.wav": "in no label folder",
        "yes/.x.wav": "hidden",
        "yes/2.wma": "format .wma is not read: convert sound to wav",
        "yes/README": "a name without a suffix",
        "yes/3.wav": "larger than collect.limits.file_mb = 1",
        "no/link.wav": "symbolic link",
        "linked": "symbolic link",
    }
    said = capsys.readouterr().err.splitlines()[0]
    assert said.startswith("files left out: 11, listed in skipped.csv: 2 more than collect.unknown = 3 (_unknown_/")
    assert "2 symbolic link (linked, no/link.wav)" in said
    with tarfile.open(tmp_path / "raw/clips.tar") as tar:
        assert sorted(tar.getnames()) == sorted(row["id"] for row in rows)


def test_a_word_without_clips_says_what_was_left_out(tmp_path):
    """A folder that is spelled in another case than the word is named in the error."""
    mine = tree(tmp_path / "mine", "Yes/1.wav", "no/1.wav")
    with pytest.raises(UserError, match=r"no clip of yes \(left out: 1 folder 'Yes' is not among collect.words"):
        directory(tmp_path, mine, ["yes", "no"])


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (("a&b/1.wav", "no/1.wav"), "a label folder in .*mine: 'a&b' has '&'"),
        (("Yes/1.wav", "yes/1.wav"), "'Yes' and 'yes' differ in case only"),
        ((" yes/1.wav", "no/1.wav"), "blank"),
    ],
)
def test_folders_that_are_no_labels(tmp_path, names, complaint):
    """Where the folders are the words, a folder that could not be a word is an error that names it."""
    with pytest.raises(UserError, match=complaint):
        directory(tmp_path, tree(tmp_path / "mine", *names))


def test_unicode_in_either_form(tmp_path):
    """Words, folders and speakers match whether their accents are composed or not."""
    split = unicodedata.normalize("NFD", "grün")
    mine = tree(tmp_path / "mine", f"{split}/{unicodedata.normalize('NFD', 'Zoë')}/1.wav", "no/1.wav")
    rows, _ = directory(tmp_path, mine, [split, "no"])
    assert {(row["label"], row["speaker"]) for row in rows} == {("grün", "Zoë"), ("no", "")}
    assert json.loads((tmp_path / "raw/labels.json").read_text()) == ["grün", "no"]
    assert config(test_speakers=[unicodedata.normalize("NFD", "Zoë")]).test_speakers == ["Zoë"]


def test_the_home_folder(tmp_path, monkeypatch):
    """``~`` is the home folder; a home that nobody has is an error."""
    monkeypatch.setenv("HOME", str(tmp_path))
    tree(tmp_path / "mine", "yes/1.wav", "no/1.wav")
    rows, _ = directory(tmp_path, "~/mine")
    assert len(rows) == 2
    (tmp_path / "raw").rename(tmp_path / "earlier")
    with pytest.raises(UserError, match="'~nobody-at-all/x': whose home"):
        directory(tmp_path, "~nobody-at-all/x")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.json", b"["),
        ("labels.json", b'["../../x", "yes"]'),
        ("labels.json", b'{"a": 1}'),
        ("labels.json", b"[" * 100_000),
        ("clips.tar", b"no tar" * 1000),
        ("clips.tar", b""),
        ("manifest.csv", b"\xff\xfe"),
        ("manifest.csv", b"number\n1\n"),
    ],
)
def test_damaged_raw_data_are_one_line(tmp_path, name, content):
    """What is no longer as collect wrote it is an error that names the file and the command that mends it."""
    raw = collected(tmp_path / "raw", people(4))
    (raw / name).write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=rf"{name}.*dvc repro --force collect"):
        task.prepare(raw, tmp_path / "out", config(), 1)


def test_memory_is_bounded_by_samples_too(tmp_path, monkeypatch):
    """Long clips pass in smaller chunks, and the files are the same."""
    first, _ = prepared(tmp_path, people(40), name="first")
    monkeypatch.setattr(preparation, "CHUNK_BYTES", 20_000)
    assert max(map(len, preparation.chunks(tmp_path / "first-raw"))) == 3
    second, _ = prepared(tmp_path, people(40), name="second")
    assert content(first) == content(second)


def ready_lines(said: str) -> dict:
    """The settings that an error offers, parsed as a person would paste them."""
    return yaml.safe_load("\n".join(re.findall("`([^`]+)`", said)))


@pytest.mark.parametrize(
    ("speakers", "each", "section"),
    [(12, 4, {}), (3, 2, {}), (4, 10, {"val_by": "clip"}), (5, 2, {"val": 0.0, "test": 0.0})],
)
def test_the_error_of_a_split_mends_it(tmp_path, speakers, each, section):
    """With the lines that the error prints, the same clips are prepared: one step, whatever was lacking."""
    rows = [(*row[:2], noise(seed)) for seed, row in enumerate(people(speakers) * each)]
    start = {"split": CONFIG["preprocess"]["split"] | section, "calibration": 0.05}
    with pytest.raises(UserError, match="lines under preprocess in the config: `") as caught:
        prepared(tmp_path, rows, name="before", **start)
    lines = ready_lines(str(caught.value))
    change = start | lines | {"split": start["split"] | lines.get("split", {})}
    folder, counts = prepared(tmp_path, rows, name="after", **change)
    assert all(counts[split] for split in shards.SPLITS)
    for split in ("train", "val", "test"):
        assert set(shards.load(folder, split).y) == {0, 1}


def test_the_remedy_moves_only_whom_it_names(tmp_path):
    """Speakers whom the error does not name stay where their hash puts them, so clips keep their split."""
    rows = [(*row[:2], noise(seed)) for seed, row in enumerate(people(12) * 4)]
    start = {"split": CONFIG["preprocess"]["split"], "calibration": 0.05}
    with pytest.raises(UserError) as caught:
        prepared(tmp_path, rows, name="before", **start)
    lines = ready_lines(str(caught.value))
    named = {*lines.get("test_speakers", []), *lines.get("val_speakers", [])}
    folder, _ = prepared(tmp_path, rows, name="after", **start | lines)
    before, after = (
        {row["sha256"]: row["split"] for row in table(path / "manifest.csv") if row["speaker"] not in named}
        for path in (tmp_path / "before", folder)
    )
    if "calibration" not in lines:
        assert before == after


def whole(**changes):
    """The whole config, with ``changes`` in preprocess (seconds, rate) and in train.front_end (all else)."""
    own = {key: changes.pop(key) for key in ("seconds", "rate") if key in changes}
    train = CONFIG["train"] | {"front_end": CONFIG["train"]["front_end"] | changes}
    sections = {"preprocess": CONFIG["preprocess"] | own, "train": train}
    return SimpleNamespace(
        preprocess=settings.validate(task.Preprocess, sections["preprocess"], "test.yaml", "preprocess"),
        train=settings.validate(task.Train, sections["train"], "test.yaml", "train"),
    )


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seconds": 0.02}, r"preprocess.seconds = 0.02 is shorter than train.front_end.window = 0.03"),
        ({"hop": 0.00001}, r"train.front_end.hop = 1e-05 is too short: allowed is at least one sample, 6.3e-05 s"),
        ({"window": 0.00001}, r"train.front_end.window = 1e-05 is too short"),
        ({"kind": "mfcc", "coefficients": 41}, r"train.front_end.coefficients = 41: .*train.front_end.bins = 40"),
        ({"rate": 4000}, r"train.front_end.high = 4000: .*half of preprocess.rate \(2000 Hz\)"),
    ],
)
def test_sections_that_do_not_fit_each_other(changes, complaint):
    """A window longer than the clip, a hop below a sample, more coefficients than bins are refused before any work."""
    with pytest.raises(UserError, match=complaint):
        check(whole(**changes))


def test_sections_that_just_fit():
    """The settings that ship, a clip of one window, a hop of one sample, as many coefficients as bins are allowed."""
    for changes in ({}, {"seconds": 0.03}, {"hop": 1 / 16000}, {"kind": "mfcc", "coefficients": 40}):
        check(whole(**changes))
