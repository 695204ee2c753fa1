"""From recordings of people to windows: what is kept, what is left out and why, and who is in which split."""

import csv
import io
import json
import tarfile

import numpy as np
import pytest

from edge.core import files, paths, settings
from edge.core.errors import UserError
from edge.data import shards
from edge.data.fetch import MIRROR
from edge.modalities.series import collection, generated, poses
from tasks.activity_recognition import TASK as task  # noqa: N811 - as the stages call it
from tasks.activity_recognition.settings import check
from tests.imports import ROOT

CONFIG = settings.read(ROOT / paths.CONFIGS / "activity_recognition.yaml")
RATE = 10
LABELS = ("sit", "walk")
PEOPLE = {"test": "eve", "val": "dan", "train": "ann"}


def section(name, **changes):
    """A validated section with changes; ``preprocess`` has small windows and names its subjects."""
    content = CONFIG[name]
    if name == "preprocess":
        content |= {"rate": RATE, "window": 1.0, "hop": 0.5, "calibration": 0.2, "val": 0.0, "test": 0.0}
        content |= {"val_subjects": [PEOPLE["val"]], "test_subjects": [PEOPLE["test"]]}
    return settings.validate(getattr(task, name.title()), content | changes, "test.yaml", name)


def table(label, seed, seconds=10.0, **columns):
    """A recording of one label: random accelerations about gravity at RATE Hz, as columns of text."""
    count = round(seconds * RATE)
    values = np.random.default_rng(seed).normal(0, 1, (count, 3)) + [0, 9.81, 0]
    found = {"time": [f"{row / RATE:.3f}" for row in range(count)]}
    found |= {name: [f"{value:.4f}" for value in column] for name, column in zip("xyz", values.T, strict=True)}
    return found | {"label": [label] * count} | columns


def text(columns):
    """The columns as a csv file."""
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return "\n".join(",".join(row) for row in rows) + "\n"


def people(folder, **extra):
    """A folder of subject/recording.csv: each person does each thing; ``extra`` are more or other files."""
    files = {
        f"{who}/{label}.csv": table(label, f"{who}{label}".encode()[0] * 7 + ord(label[0]))
        for who in PEOPLE.values()
        for label in LABELS
    }
    for name, columns in (files | extra).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(columns if isinstance(columns, str) else text(columns))
    return folder


def as_written(counts):
    """The counts as they come back from metrics/data.json."""
    return json.loads(json.dumps(counts))


def prepared(tmp_path, source, seed=1, **changes):
    """The counts of collecting ``source`` as csv and preparing it."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    out.mkdir()
    own = {"path": str(source), "time": "time", "seconds": 1.0, "sensors": [["x", "y", "z"]], "label": "label"}
    config = section("collect", source="csv", csv=own)
    task.sources()["csv"](config, raw, seed)
    return as_written(task.prepare(raw, out, section("preprocess", **changes), seed))


def rejected(tmp_path):
    return [(row["file"], row["reason"]) for row in csv.DictReader((tmp_path / "out/rejected.csv").open())]


def test_people_are_split_whole_and_windows_are_the_recordings(tmp_path):
    """Each person is in the split that the config names; a stored window times the scale is what was recorded."""
    counts = prepared(tmp_path, people(tmp_path / "in"))
    rows = list(csv.DictReader((tmp_path / "out/manifest.csv").open()))
    places = {(row["subject"], row["split"]) for row in rows}
    assert places == {("eve", "test"), ("dan", "val"), ("ann", "train"), ("ann", "calibration")}
    spec, test = shards.load_spec(tmp_path / "out"), shards.load(tmp_path / "out", "test")
    assert spec.labels == LABELS and spec.input.shape == (10, 3) and counts["test"] == len(test) == 40
    written = list(csv.DictReader((tmp_path / "in/eve/sit.csv").open()))
    window = test.inputs(slice(1, 2))[0]
    assert rows[[row["split"] for row in rows].index("test") + 1]["id"] == "eve/sit.csv@0.500"
    assert window[:, 0] == pytest.approx([float(row["x"]) for row in written[:10]], abs=spec.input.scale)
    assert counts["rejected"] == {} and counts["impure"] == 0 and counts["subjects"] == 3


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_the_same_bytes_twice(tmp_path, kind):
    """A folder and an archive of it give the same shards, and again."""
    source = people(tmp_path / "in")
    if kind == "archive":
        with tarfile.open(tmp_path / "in.tar.gz", "w:gz") as tar:
            tar.add(source, "top")
        source = tmp_path / "in.tar.gz"
    found = []
    for turn in ("one", "two"):
        (tmp_path / turn).mkdir()
        prepared(tmp_path / turn, source)
        found.append([(tmp_path / turn / "out" / f"{split}.x.npy").read_bytes() for split in shards.SPLITS])
    assert found[0] == found[1]
    manifest = list(csv.DictReader((tmp_path / "one/out/manifest.csv").open()))
    assert {row["subject"] for row in manifest} == set(PEOPLE.values())


def test_windows_of_mixed_labels_are_counted_and_left_out(tmp_path):
    """With purity 0 every window counts; with 0.6 those at the change of a label are in no split."""
    mixed = table("sit", 3) | {"label": ["sit"] * 50 + ["walk"] * 50}
    source = people(tmp_path / "in", **{"ann/mixed.csv": mixed})
    for name, purity in (("all", 0.0), ("pure", 0.6)):
        (tmp_path / name).mkdir()
        counts = prepared(tmp_path / name, source, purity=purity)
        total = sum(counts[split] for split in shards.SPLITS)
        assert (total, counts["impure"]) == ((140, 0) if name == "all" else (139, 1))


def test_a_gap_is_never_bridged(tmp_path):
    """A recording is cut at a gap: no window has rows of both sides; the rest that is too short is rejected."""
    holed = {name: column[:40] + column[60:95] + column[98:] for name, column in table("sit", 3).items()}
    holed["x"] = ["1"] * 40 + ["2"] * (len(holed["x"]) - 40)
    counts = prepared(tmp_path, people(tmp_path / "in", **{"eve/holed.csv": holed}), max_gap=0.3)
    assert counts["gaps"] == 2 and counts["rejected"] == {"shorter than a window": 2}
    scale, test = shards.load_spec(tmp_path / "out").input.scale, shards.load(tmp_path / "out", "test")
    rows = [row["id"] for row in csv.DictReader((tmp_path / "out/manifest.csv").open()) if row["split"] == "test"]
    first = test.x[[index for index, name in enumerate(rows) if "holed" in name]][..., 0] * scale
    assert {round(float(value)) for value in first.ravel()} == {1, 2}
    assert np.ptp(first, axis=1).max() == 0


def test_equal_stamps_are_dropped_and_time_that_goes_backwards_is_rejected(tmp_path):
    """Equal stamps are counted; one step back in a hundred rejects the recording by name, in rows."""
    equal, back = table("sit", 3, 20.0), table("sit", 4, 20.0)
    equal["time"][7] = equal["time"][6]
    for row in (20, 40, 60):
        back["time"][row] = "0.000"
    source = people(tmp_path / "in", **{"ann/equal.csv": equal, "ann/back.csv": back})
    counts = prepared(tmp_path, source, max_rejected=0.5)
    assert counts["equal_stamps"] == 1
    assert counts["rejected"] == {"time goes backwards": 200}
    assert rejected(tmp_path) == [("ann/back.csv", "time goes backwards")]


def test_a_step_back_in_a_long_recording_is_sorted(tmp_path):
    """Below one in a hundred the rows are put in order, and counted."""
    swapped = table("sit", 3, 20.0)
    swapped["time"][20], swapped["time"][21] = swapped["time"][21], swapped["time"][20]
    counts = prepared(tmp_path, people(tmp_path / "in", **{"ann/swapped.csv": swapped}))
    assert counts["backwards_sorted"] == 1 and counts["rejected"] == {}


def test_constant_and_short_recordings_are_rejected(tmp_path):
    """A dead sensor teaches nothing; a recording shorter than a window has none."""
    dead = table("sit", 3, x=["1"] * 100, y=["9"] * 100, z=["0"] * 100)
    source = people(tmp_path / "in", **{"ann/dead.csv": dead, "ann/short.csv": table("sit", 4, 0.5)})
    counts = prepared(tmp_path, source, max_rejected=0.5)
    assert counts["rejected"] == {"constant": 100, "shorter than a window": 5}


def test_too_many_wrong_rows_are_an_error(tmp_path):
    """Strings in a column of numbers are rejected by line; above the limit the stage fails in one line."""
    wrong = table("sit", 3)
    wrong["y"][:50] = ["?"] * 50
    source = people(tmp_path / "in", **{"ann/wrong.csv": wrong})
    with pytest.raises(UserError, match=r"50 of 700 rows are rejected, 50 of them as not a number"):
        prepared(tmp_path, source, max_rejected=0.05)


def test_the_same_recording_twice_is_dropped_and_contradictions_are_rejected(tmp_path):
    """Under another person's name it would leak; with another label nobody knows which is right."""
    copy, doubt = table("sit", 3), table("walk", 4)
    source = people(
        tmp_path / "in",
        **{"ann/a.csv": copy, "eve/copy.csv": copy, "ann/b.csv": doubt, "ann/c.csv": doubt | {"label": ["sit"] * 100}},
    )
    counts = prepared(tmp_path, source, max_rejected=0.5)
    assert counts["rejected"] == {"duplicate": 100, "contradiction": 200}
    assert sorted(rejected(tmp_path))[0] == ("ann/b.csv", "contradiction")


def test_a_unit_of_g_is_a_warning(tmp_path, capsys):
    """Accelerations of 1 at rest are told with the ratio, and the stage goes on."""
    source = people(tmp_path / "in")
    for path in source.rglob("*.csv"):
        lines = [line.split(",") for line in path.read_text().splitlines()]
        for row in lines[1:]:
            row[1:4] = [f"{float(value) / 9.81:.5f}" for value in row[1:4]]
        path.write_text("\n".join(map(",".join, lines)))
    prepared(tmp_path, source)
    assert "warning: the acceleration at rest is" in capsys.readouterr().err


def test_a_label_of_one_person_is_an_error(tmp_path):
    """A label that only one subject has is in one split only, and the split that lacks it is named."""
    source = people(tmp_path / "in", **{"ann/jump.csv": table("jump", 3)})
    with pytest.raises(UserError, match=r"split (val|test) has none of the \d+ windows of jump"):
        prepared(tmp_path, source)


def test_a_named_subject_without_recordings_is_an_error(tmp_path):
    """A name that was spelled wrong is told, with the names that there are."""
    with pytest.raises(UserError, match=r"test_subjects names eva, .*the subjects are ann, dan, eve"):
        prepared(tmp_path, people(tmp_path / "in"), test_subjects=["eva"])


def test_a_missing_column_lists_the_columns(tmp_path):
    """A file without the column that the config names is one line that lists its columns."""
    source = people(tmp_path / "in", **{"ann/other.csv": "t,x,y,z,label\n0,1,2,3,sit\n"})
    with pytest.raises(UserError, match=r"ann/other.csv has no column time: its columns are t, x, y, z, label"):
        prepared(tmp_path, source)


def test_a_folder_without_csv_files_is_an_error(tmp_path):
    """Nothing to collect is said where it is noticed."""
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="holds no csv file"):
        prepared(tmp_path, tmp_path / "in")


def test_files_that_are_too_large_are_in_the_report(tmp_path):
    """A file above the limit is left out with its reason, not in silence."""
    source = people(tmp_path / "in")
    own = {"path": str(source), "time": "time", "seconds": 1.0, "sensors": [["x", "y", "z"]], "label": "label"}
    for folder in ("raw", "out"):
        (tmp_path / folder).mkdir()
    (source / "ann/large.csv").write_text("0" * 20000)
    config = section("collect", source="csv", csv=own, limits={"file_mb": 0.01, "archive_gb": 1.0})
    task.sources()["csv"](config, tmp_path / "raw", 1)
    task.prepare(tmp_path / "raw", tmp_path / "out", section("preprocess"), 1)
    assert rejected(tmp_path) == [("ann/large.csv", "not read")]


def test_generated_people_carry_the_phone_in_four_ways():
    """People carry the phone in four orientations: gravity of half of them points the other way."""
    signs = set()
    for subject in range(4):
        values, labels = generated.recording(subject, 0, 2.0, seed=1)
        assert values.shape == (500, 6) and set(labels) == set(generated.MOTIONS)
        signs.add(int(np.sign(np.median(values[:, 1]))))
    assert signs == {-1, 1}
    again, _ = generated.recording(3, 0, 2.0, seed=1)
    assert np.array_equal(values, again)


def test_training_with_half_turns_reads_a_phone_that_lies_another_way(tmp_path):
    """People in two orientations are held out: with the turns they are understood, without them they are not."""
    from edge.models import keras_file, training

    for folder in ("raw", "out"):
        (tmp_path / folder).mkdir()
    made = {"subjects": 24, "recordings": 1, "seconds": 6.0}
    task.sources()["generated"](section("collect", generated=made), tmp_path / "raw", 1)
    held_out = [f"p{number:02}" for number in range(24) if number % 4 in (1, 2)]
    people = {"test_subjects": held_out, "val_subjects": ["p00", "p04"]}
    task.prepare(
        tmp_path / "raw", tmp_path / "out", section("preprocess", rate=25.0, window=3.0, hop=0.25, **people), 1
    )
    spec = shards.load_spec(tmp_path / "out")
    train, val, test = (shards.load(tmp_path / "out", split) for split in ("train", "val", "test"))
    scores = {}
    for turned in (True, False):
        config = section("train", width=12, epochs=12, orientations=turned)
        training.deterministic(1)
        model, objective = task.build(config, spec, 1), task.head.objective(config, spec)
        training.fit(model, train, val, config, 1, objective, task.augment(config, spec, 1))
        outputs = keras_file.predict(task.head.finish(model, config, spec), test)
        scores[turned] = task.head.score(test.y, outputs)[task.head.headline]
    assert scores[True] > 0.85 > scores[False] + 0.15


def test_phone_files_are_chosen_and_named(tmp_path, monkeypatch):
    """Of the archive only the phone's files are read, the person is the group, and time is in milliseconds."""
    archive = tmp_path / "smartphone_activity.tar.gz"
    rows = "x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label\n1,2,3,4,5,6,1657533977813,SEATED\n"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("DATA/s01/s01_02_sp.csv", "DATA/s01/s01_02_sw.csv", "DATA/info.csv"):
            member = tarfile.TarInfo(f"top/{name}")
            member.size = len(rows)
            tar.addfile(member, io.BytesIO(rows.encode()))
    (tmp_path / "raw").mkdir()
    monkeypatch.setenv(MIRROR, str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(collection, "PHONE", (None, files.sha256(archive), archive.name))
    task.sources()["smartphone_activity"](section("collect"), tmp_path / "raw", 1)
    (row,) = csv.DictReader((tmp_path / "raw/manifest.csv").open())
    assert row["subject"] == "s01" and row["file"].endswith("s01_02_sp.csv")
    assert json.loads((tmp_path / "raw/layout.json").read_text())["seconds"] == 0.001


def test_poses_are_windows_of_34_coordinates(tmp_path):
    """The csv of commands.poses becomes windows by person; the model takes place and size away."""
    random = np.random.default_rng(1)
    lines = [",".join((*poses.COLUMNS, poses.LABEL, poses.RECORDING))]
    for label, shift in (("sit", 0), ("wave", 50)):
        for person in ("ann", "dan", "eve"):
            for _ in range(12):
                points = random.normal(100, 10, 34)
                points[0] += shift
                lines.append(",".join((*(f"{value:.2f}" for value in points), label, person)))
    (tmp_path / "poses.csv").write_text("\n".join(lines))
    for folder in ("raw", "out"):
        (tmp_path / folder).mkdir()
    task.sources()["poses"](section("collect", poses={"path": str(tmp_path / "poses.csv")}), tmp_path / "raw", 1)
    config = section("preprocess", window=0.2, hop=0.1)
    counts = task.prepare(tmp_path / "raw", tmp_path / "out", config, 1)
    assert (counts["test"], counts["val"], counts["subjects"]) == (24, 24, 3)
    spec, train = shards.load_spec(tmp_path / "out"), section("train", width=4)
    model = task.build(train, spec, 1)
    x = shards.load(tmp_path / "out", "test").inputs(slice(0, 4))
    assert model(x).shape == (4, 2)
    assert np.allclose(model(x), model(2 * x + 30), atol=1e-3)
    turned, _ = task.augment(train, spec, 1)(x, np.zeros(4), np.array((1, 1), np.int32))
    assert turned.shape == x.shape


@pytest.mark.parametrize("architecture", ["cnn", "lstm", "dense"])
def test_networks_have_their_names(tmp_path, architecture):
    """Each network ends its fixed part with `features` and itself with `logits`; half turns do not touch y."""
    prepared(tmp_path, people(tmp_path / "in"))
    spec, config = shards.load_spec(tmp_path / "out"), section("train", architecture=architecture, width=8)
    model = task.build(config, spec, 1)
    assert model.get_layer("features").output.shape == (None, 10, 3)
    assert model.layers[-1].name == "logits" and model.output.shape == (None, 2)
    x = shards.load(tmp_path / "out", "test").inputs(slice(0, 4))
    assert np.std(model.get_layer("features")(x)) == pytest.approx(1, abs=0.4)
    task.example(shards.load(tmp_path / "out", "test").x[0], spec, tmp_path)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("preprocess", {"val_subjects": ["eve"]}, "eve is in val_subjects and in test_subjects"),
        ("preprocess", {"hop": 0.01}, "at least 1 / rate"),
        ("preprocess", {"purity": 1.5}, "purity = 1.5"),
        ("collect", {"csv": CONFIG["collect"]["csv"] | {"sensors": [["x"], ["x"]]}}, "a column is listed twice"),
        ("collect", {"source": "watch"}, "generated"),
    ],
)
def test_wrong_settings_are_refused(name, changes, said):
    """A value that cannot work stops before any work."""
    with pytest.raises(UserError, match=said):
        section(name, **changes)


def test_turns_need_three_axes():
    """train.orientations without a sensor of three axes is an error of the config."""
    own = CONFIG["collect"]["csv"] | {"sensors": [["heart"]]}
    config = type("Config", (), {"collect": section("collect", source="csv", csv=own), "train": section("train")})
    with pytest.raises(UserError, match="three axes"):
        check(config)
