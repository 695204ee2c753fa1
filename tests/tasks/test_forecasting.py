"""From a series to examples: equal steps, gaps, borders in time, and the forecasts that a model must beat."""

import csv
import json

import numpy as np
import pytest

from edge.core import paths, settings
from edge.core.errors import UserError
from edge.data import shards
from edge.modalities.series import generated
from tasks.forecasting import TASK as task  # noqa: N811 - as the stages call it
from tasks.forecasting import preparation
from tests.imports import ROOT

CONFIG = settings.read(ROOT / paths.CONFIGS / "forecasting.yaml")
PAST, NEXT = 8, 3


def section(name, **changes):
    """A validated section with changes; ``preprocess`` has short windows."""
    content = CONFIG[name]
    if name == "preprocess":
        content |= {"past": PAST, "horizon": NEXT, "period": 4, "val": 0.2, "test": 0.2, "calibration": 0.2}
    return settings.validate(getattr(task, name.title()), content | changes, "test.yaml", name)


def rows(values, start=0, step=60):
    """Rows of time in minutes and value."""
    return [f"{start + step * index},{value}" for index, value in enumerate(values)]


def as_written(counts):
    """The counts as they come back from metrics/data.json."""
    return json.loads(json.dumps(counts))


def prepared(tmp_path, lines, time="minute", **changes):
    """The counts of collecting these lines as csv and preparing them."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    out.mkdir()
    (tmp_path / "a.csv").write_text("minute,value\n" + "\n".join(lines) + "\n")
    own = {"path": str(tmp_path / "a.csv"), "time": time, "seconds": 60.0, "column": "value"}
    task.sources()["csv"](section("collect", source="csv", csv=own), raw, 1)
    return as_written(task.prepare(raw, out, section("preprocess", **changes), 1))


def wave(count):
    return [f"{value:.4f}" for value in 10 + np.sin(np.arange(count))]


def test_windows_are_the_series_and_keep_to_their_part(tmp_path):
    """x and y follow each other in the series; train, val and test lie in order of time and share no value."""
    counts = prepared(tmp_path, rows(range(1000, 1200)))
    spec, seen = shards.load_spec(tmp_path / "out"), {}
    assert spec.metadata["seconds_a_step"] == 3600 and spec.input.shape == (PAST,) and spec.output.shape == (NEXT,)
    for split in shards.SPLITS:
        part = shards.load(tmp_path / "out", split)
        x = part.inputs(slice(None))
        assert len(part) == counts[split]
        assert np.allclose(np.diff(x, axis=1), 1, atol=2 * spec.input.scale)
        assert np.allclose(x[:, -1], part.y[:, 0], atol=spec.input.scale) and (np.diff(part.y, axis=1) == 1).all()
        seen[split] = x.min() + 0.5, part.y.max() + 0.5
    assert seen["train"][1] < seen["val"][0] < seen["val"][1] < seen["test"][0]
    assert seen["train"][0] < seen["calibration"][1] < seen["val"][0]


def test_the_same_bytes_twice(tmp_path):
    """The same file gives the same shards."""
    found = []
    for turn in ("one", "two"):
        (tmp_path / turn).mkdir()
        prepared(tmp_path / turn, rows(wave(300)))
        found.append([(tmp_path / turn / "out" / f"{split}.x.npy").read_bytes() for split in shards.SPLITS])
    assert found[0] == found[1]


def test_a_gap_cuts_the_series(tmp_path):
    """No window has values of both sides of a gap; a piece without a window is rejected, in rows."""
    lines = rows(["1", "2"] * 75) + rows(["5", "6"] * 3, start=20000) + rows(["11", "12"] * 75, start=30000)
    counts = prepared(tmp_path, lines, max_rejected=0.1)
    assert counts["gaps"] == 2 and counts["rejected"] == {preparation.SHORT: 6}
    for split in shards.SPLITS:
        part = shards.load(tmp_path / "out", split)
        assert np.ptp(part.inputs(slice(None)), axis=1).max() < 1.1


def test_values_between_the_steps_are_interpolated(tmp_path):
    """Uneven stamps become equal steps; the step is the median, or the config's."""
    times = np.cumsum([0, *np.tile([60, 60, 55, 65], 60)])
    prepared(tmp_path, [f"{time},{time}" for time in times])
    x = shards.load(tmp_path / "out", "train").inputs(slice(None))
    assert np.allclose(np.diff(x, axis=1), 60, atol=2 * shards.load_spec(tmp_path / "out").input.scale)
    (tmp_path / "other").mkdir()
    prepared(tmp_path / "other", [f"{time},{time}" for time in times], step=1800.0, max_gap=3.0)
    assert shards.load_spec(tmp_path / "other/out").metadata["seconds_a_step"] == 1800


def test_wrong_rows_are_named_and_leave_a_gap(tmp_path):
    """A string and a NaN are rejected by line; without a column of time their place stays empty."""
    lines = rows(wave(300))
    lines[100], lines[200] = "100,high", "200,nan"
    counts = prepared(tmp_path, lines, time=None)
    assert counts["rejected"] == {"not a number": 2} and counts["gaps"] == 2
    found = list(csv.DictReader((tmp_path / "out/rejected.csv").open()))
    assert [(row["line"], row["detail"]) for row in found] == [
        ("102", "column value: 'high'"),
        ("202", "column value: 'nan'"),
    ]


def test_time_that_goes_backwards_is_an_error(tmp_path):
    """A series is one file: where its order is unknown nothing is left."""
    lines = rows(wave(300))
    for index in range(0, 300, 30):
        lines[index] = f"0,{index}"
    with pytest.raises(UserError, match=r"a.csv: in minute time goes backwards in 3.*% of the steps"):
        prepared(tmp_path, lines)


def test_a_step_back_is_sorted_and_equal_stamps_are_dropped(tmp_path):
    """One step back in 300 is put in order, and of equal stamps the first row stays."""
    lines = rows(range(300))
    lines[50], lines[51] = lines[51], lines[50]
    counts = prepared(tmp_path, [*lines, lines[-1]])
    assert counts["equal_stamps"] == 1 and counts["rows"] == 300
    assert (np.diff(shards.load(tmp_path / "out", "train").y, axis=1) == 1).all()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (rows(["3"] * 300), r"no value of the series ever changes in split train"),
        (rows(wave(240)) + rows(["3"] * 60, start=240 * 60), r"ever changes in split test"),
        (rows(wave(30)), r"split val has no 11 values in a row.*30 values"),
        (rows(wave(5)), r"5 of 5 rows are rejected, 5 of them as shorter than a window"),
        ([], r"no rows are left"),
    ],
)
def test_a_series_without_a_forecast_is_an_error(tmp_path, lines, said):
    """A constant series, one that is constant where it is judged, a short one and an empty one are each a line."""
    with pytest.raises(UserError, match=said):
        prepared(tmp_path, lines)


def test_a_missing_column_lists_the_columns(tmp_path):
    """The file's columns are named."""
    with pytest.raises(UserError, match=r"a.csv has no column hour: its columns are minute, value"):
        prepared(tmp_path, rows(wave(50)), time="hour")


def test_a_missing_file_is_an_error(tmp_path):
    """The path of the config is named."""
    own = CONFIG["collect"]["csv"] | {"path": str(tmp_path / "gone.csv")}
    with pytest.raises(UserError, match=r"gone.csv is no file"):
        task.sources()["csv"](section("collect", source="csv", csv=own), tmp_path, 1)


def test_a_small_change_about_a_large_value_is_a_warning(tmp_path, capsys):
    """int16 has no room for 1 in 100,000: that is told before training."""
    prepared(tmp_path, rows(100000 + np.sin(np.arange(300))))
    assert "subtract a constant" in capsys.readouterr().err


def test_naive_forecasts_by_hand(tmp_path):
    """A series of period 4: the seasonal naive forecast is perfect, and the naive one is as wrong as the head says."""
    counts = prepared(tmp_path, rows(["0", "1", "5", "2"] * 75))
    test = shards.load(tmp_path / "out", "test")
    assert counts["test_mae"]["seasonal_naive"] == 0
    naive = task.head.score(test.y, np.zeros((len(test), NEXT)))["mae_naive"]
    assert counts["test_mae"]["naive"] == pytest.approx(naive)
    assert preparation.seasonal(np.arange(10), 6, 4).tolist() == [6, 7, 8, 9, 6, 7]


def test_generated_seasons_repeat(tmp_path):
    """The load of the same hour a day before is a better forecast than the last one; the same seed, the same load."""
    load = generated.seasons(2000, 1)
    day, week = generated.PERIODS
    assert np.abs(load[day:] - load[:-day]).mean() < np.abs(load[day:] - load[day - 6 : -6]).mean() / 2
    assert np.array_equal(load, generated.seasons(2000, 1)) and not np.array_equal(load, generated.seasons(2000, 2))


@pytest.mark.parametrize("architecture", ["dense", "lstm", "gru"])
def test_an_untrained_network_says_that_nothing_changes(tmp_path, architecture):
    """What is learned is the difference from the last value: with weights of 0 the forecast is the naive one."""
    prepared(tmp_path, rows(wave(300)))
    spec, config = shards.load_spec(tmp_path / "out"), section("train", architecture=architecture, width=4)
    model = task.build(config, spec, 1)
    assert model.layers[-1].name == "logits" and model.get_layer("features").output.shape == (None, PAST)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    finished, test = task.head.finish(model, config, spec), shards.load(tmp_path / "out", "test")
    outputs = np.asarray(finished(test.inputs(slice(None))))
    assert task.head.score(test.y, outputs)["skill"] == pytest.approx(0, abs=1e-3)
    task.example(test.x[0], spec, tmp_path)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changes", "said"), [({"period": 9}, r"period = 9.*past = 8"), ({"max_gap": 0.5}, "max_gap = 0.5")]
)
def test_wrong_settings_are_refused(changes, said):
    """A season longer than what is known cannot be repeated."""
    with pytest.raises(UserError, match=said):
        section("preprocess", **changes)
