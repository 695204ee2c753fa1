"""The budget gate: every limit in both directions, and nothing passes that was not measured of this very model."""

import json
import shutil
import subprocess
import sys
from itertools import pairwise

import pytest
import yaml

import tasks
from edge.core import files, paths
from edge.core.errors import UserError
from edge.core.settings import Goal
from edge.judge import budget
from edge.records import metrics
from tests.edge.records import measurements
from tests.imports import ROOT

FAST = measurements.TIMING | {"mean": 3.0, "p50": 3.0, "p90": 4.0, "p95": 5.0}
SLOW = measurements.TIMING | {"mean": 7.0, "p50": 6.0, "p90": 7.0, "p95": 8.0}
LATENCY = {
    "threads_1": measurements.COMPARED | {"candidate_ms": SLOW, "baseline_ms": measurements.BASELINE},
    "threads_2": measurements.COMPARED | {"candidate_ms": FAST, "baseline_ms": measurements.BASELINE},
}
TRANSPORTS = {"local": "local", "lite": "local", "pi4": "ssh", "pi5": "ssh", "emulated-pi4": "emulated"}
CONFIG = paths.CONFIGS / "keyword_spotting.yaml"
NO_FIGURE = [None, float("nan"), float("inf"), -float("inf"), -1, "0.5", True, [0.5], {}, 10**400]


class Workspace:
    """A folder after a run: a model of 1000 bytes, accuracy 0.9 after 0.92, 5 ms at best, 60 MiB, 1000 instructions."""

    def __init__(self, folder):
        shutil.copytree(ROOT / "configs", "configs")
        boards = yaml.safe_load((ROOT / "devices.yaml").read_text())
        boards |= {"pi5": boards["pi4"] | {"host": "pi5"}, "lite": boards["local"] | {"runtime": "litert"}}
        paths.DEVICES.write_text(yaml.safe_dump(boards))
        paths.EDGE.parent.mkdir()
        paths.EDGE.write_bytes(bytes(1000))
        paths.TFLITE.write_bytes(bytes(3000))
        self.quantize(drop=0.92 - 0.9)
        self.measure("local")

    def measure(self, *names: str) -> None:
        """Name these devices in params.yaml, each with its metrics."""
        self.names = names
        for name in names:
            model = paths.TFLITE if name == "lite" else paths.EDGE
            changes = {"model": str(model), "model_sha256": files.sha256(model)}
            if TRANSPORTS[name] != "emulated":
                changes["latency"] = LATENCY
            content = measurements.content(name, TRANSPORTS[name], **changes)
            files.write_json(paths.DEVICE_METRICS / f"{name}.json", content)

    def edit(self, name: str, *keys: str, value) -> None:
        """Change one figure of a device's metrics."""
        path = paths.DEVICE_METRICS / f"{name}.json"
        content = place = json.loads(path.read_text())
        for key, _ in pairwise(keys):
            place = place[key]
        place[keys[-1]] = value
        files.write_json(path, content)

    def quantize(self, **figures) -> None:
        """Write metrics/quantize.json."""
        files.write_json(metrics.QUANTIZE, {"model_sha256": files.sha256(paths.EDGE)} | figures)

    def ask(self, **limits) -> None:
        """Write params.yaml and the task's config with this budget; accuracy and accuracy_drop are the task's."""
        goal = {"score": limits.pop("accuracy", None), "drop": limits.pop("accuracy_drop", None)}
        names = list(self.names)
        params = {"task": "keyword_spotting", "quant": "int8", "device": names, "seed": 1, "budget": limits}
        paths.PARAMS.write_text(yaml.safe_dump(params))
        config = yaml.safe_load((ROOT / CONFIG).read_text())
        CONFIG.write_text(yaml.safe_dump(config | {"budget": goal}))

    def rows(self, **limits) -> dict[tuple[str, str], budget.Row]:
        """The rows for this budget, by limit and place."""
        self.ask(**limits)
        found = budget.rows()
        assert len({row[:2] for row in found}) == len(found)
        return {row[:2]: row for row in found}

    def verdicts(self, **limits) -> dict[tuple[str, str], bool]:
        """What is met, by limit and place."""
        return {place: row.met for place, row in self.rows(**limits).items()}


@pytest.fixture
def work(tmp_path, monkeypatch) -> Workspace:
    """A Workspace that is the current folder."""
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path)


LIMITS = [
    ("accuracy", "local", 0.9, 0.900001),
    ("accuracy_drop", "models/edge.onnx", 0.02, 0.019999),
    ("bytes", "models/edge.onnx", 1000, 999),
    ("latency_p95_ms", "local", 5, 4.99),
    ("memory_mb", "local", 60, 59.9),
]


@pytest.mark.parametrize(("name", "where", "least", "beyond"), LIMITS)
def test_a_limit_is_met_up_to_its_value(work, name, where, least, beyond):
    """A figure equal to its limit is met, one a little beyond is missed, and nothing else is judged."""
    assert work.verdicts(**{name: least}) == {(name, where): True}
    assert work.verdicts(**{name: beyond}) == {(name, where): False}


def test_instructions_are_met_up_to_their_value(work):
    """The candidate's count on the emulated board is held to `instructions`."""
    work.measure("emulated-pi4")
    assert work.verdicts(instructions=1000) == {("instructions", "emulated-pi4"): True}
    assert work.verdicts(instructions=999) == {("instructions", "emulated-pi4"): False}


@pytest.mark.parametrize("value", NO_FIGURE, ids=lambda value: str(value)[:9])
@pytest.mark.parametrize(
    ("device", "keys", "budget"),
    [
        ("local", ["latency", "threads_1", "candidate_ms", "p95"], {"latency_p95_ms": 1e9}),
        ("local", ["latency", "threads_2", "candidate_ms", "p95"], {"latency_p95_ms": 1e9}),
        ("local", ["latency", "threads_1"], {"latency_p95_ms": 1e9}),
        ("local", ["latency"], {"latency_p95_ms": 1e9}),
        ("local", ["peak_memory_mb", "candidate"], {"memory_mb": 1e9}),
        ("local", ["peak_memory_mb"], {"memory_mb": 1e9}),
        ("emulated-pi4", ["instructions", "candidate"], {"instructions": 10**9}),
        ("emulated-pi4", ["instructions"], {"instructions": 10**9}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_what_is_no_figure_is_missed(work, device, keys, budget, value):
    """Null, NaN, infinite, negative, text, bool, list, mapping, or beyond a float: missed, whatever was asked."""
    work.measure(device)
    assert work.verdicts(**budget) == {(next(iter(budget)), device): True}
    work.edit(device, *keys, value=value)
    found = work.rows(**budget)
    row = found[next(iter(budget)), device]
    assert (row.met, row.measured) == (False, None)
    assert row.note


@pytest.mark.parametrize("value", [*NO_FIGURE[:4], *NO_FIGURE[5:]], ids=lambda value: str(value)[:9])
def test_a_drop_that_is_no_figure_is_missed(work, value):
    """The same for what quantization loses, where a negative share is a gain."""
    work.quantize(drop=-0.01)
    assert work.verdicts(accuracy_drop=0.0) == {("accuracy_drop", "models/edge.onnx"): True}
    work.quantize(drop=value)
    assert work.verdicts(accuracy_drop=1.0) == {("accuracy_drop", "models/edge.onnx"): False}


def test_an_absent_figure_is_missed(work):
    """Metrics without any figure miss every limit."""
    content = json.loads((paths.DEVICE_METRICS / "local.json").read_text())
    for key in ("scores", "latency", "peak_memory_mb"):
        del content[key]
    files.write_json(paths.DEVICE_METRICS / "local.json", content)
    work.quantize()
    paths.EDGE.write_bytes(b"")
    found = work.rows(accuracy=0.0, accuracy_drop=1.0, bytes=10**9, latency_p95_ms=1e9, memory_mb=1e9)
    assert [row.measured for row in found.values() if row.name != "metrics"] == [None] * 5
    assert not any(row.met for row in found.values())


@pytest.mark.parametrize("value", [value for value in NO_FIGURE if value != -1], ids=lambda value: str(value)[:9])
def test_a_score_that_is_no_figure_is_missed(work, value):
    """The same for the headline, which may be negative."""
    work.edit("local", "scores", "accuracy", value=value)
    row = work.rows(accuracy=-1e9)["accuracy", "local"]
    assert (row.met, row.measured) == (False, None)


def test_a_headline_may_be_negative(work):
    """The skill of a regression has no lower end: a negative one is held to its goal like any other."""
    found = {"local": budget.Measured("local", measurements.made("local", "local", scores={"skill": -1.5}), "")}
    for least, met in ((-1.5, True), (-1.4, False)):
        [row] = budget.judge_all(tasks.Budget(), Goal(score=least), "skill", found)
        assert (row.name, row.measured, row.met) == ("skill", -1.5, met)


def test_an_accuracy_in_percent_is_missed(work):
    """A headline is at most 1."""
    work.edit("local", "scores", "accuracy", value=90.0)
    assert not any(work.verdicts(accuracy=0.5).values())


def test_too_few_inferences_for_a_percentile_are_missed(work):
    """One number of threads without p95 is no latency, and the note says what it needs."""
    few = {key: value for key, value in SLOW.items() if key != "p95"}
    work.edit("local", "latency", "threads_1", "candidate_ms", value=few)
    row = work.rows(latency_p95_ms=1e9)["latency_p95_ms", "local"]
    assert (row.met, row.measured) == (False, None)
    assert "it needs 130 inferences" in row.note


def test_no_budget_fails(work):
    """Where nothing is asked nothing passes: all keys null, or no budget at all."""
    for limits in ({}, dict.fromkeys(tasks.Budget.model_fields)):
        (row,) = work.rows(**limits).values()
        assert not row.met
        assert "no budget" in row.note


def test_no_device_fails(work):
    """A list without a device is refused, so that a gate without any measurement cannot pass."""
    work.names = ()
    with pytest.raises(UserError, match="device"):
        work.verdicts(bytes=10**9)


def test_a_named_device_without_metrics_fails(work):
    """Every device that params.yaml names has to be measured, even where only the file's bytes are asked."""
    work.measure("local", "pi4")
    assert ("metrics", "pi4") not in work.verdicts(bytes=1000)
    (paths.DEVICE_METRICS / "pi4.json").unlink()
    assert work.verdicts(bytes=1000, accuracy=0.5, latency_p95_ms=10.0, memory_mb=100.0) == {
        ("metrics", "pi4"): False,
        ("accuracy", "local"): True,
        ("accuracy", "pi4"): False,
        ("bytes", "models/edge.onnx"): True,
        ("latency_p95_ms", "pi4"): False,
        ("memory_mb", "pi4"): False,
    }


def test_devices_that_are_not_named_do_not_count(work):
    """Metrics of another device, good, bad or broken, are left alone."""
    (paths.DEVICE_METRICS / "pi4.json").write_text("{")
    assert all(work.verdicts(accuracy=0.9, latency_p95_ms=5.0).values())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_sha256", "0" * 64),
        ("model", "models/model.tflite"),
        ("model", "models/other.onnx"),
        ("device", "pi5"),
        ("transport", "local"),
    ],
)
def test_figures_of_something_else_are_missed(work, key, value):
    """Figures of another model, device or transport count for nothing, and the row says why."""
    work.measure("pi4")
    work.edit("pi4", key, value=value)
    found = work.rows(accuracy=0.0)
    assert found["accuracy", "pi4"].measured is None
    assert "dvc repro" in found["metrics", "pi4"].note


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", b"\xff"])
def test_broken_files_are_missed(work, text):
    """What is not a JSON mapping is a missed limit, not a trace-back."""
    text = text if isinstance(text, bytes) else text.encode()
    (paths.DEVICE_METRICS / "local.json").write_bytes(text)
    metrics.QUANTIZE.write_bytes(text)
    assert not any(work.verdicts(accuracy=0.0, accuracy_drop=1.0, memory_mb=1e9).values())


def test_the_drop_of_another_model_is_missed(work):
    """metrics/quantize.json counts only for the model file at hand, and only where both are there."""
    work.quantize(drop=0.0, model_sha256="0" * 64)
    assert not work.verdicts(accuracy_drop=1.0)["accuracy_drop", "models/edge.onnx"]
    work.quantize(drop=0.0)
    assert work.verdicts(accuracy_drop=1.0)["accuracy_drop", "models/edge.onnx"]
    paths.EDGE.unlink()
    assert not work.verdicts(accuracy_drop=1.0, bytes=10**9)["accuracy_drop", "models/edge.onnx"]
    assert not work.verdicts(accuracy_drop=1.0, bytes=10**9)["bytes", "models/edge.onnx"]


def test_bytes_are_those_of_the_file(work):
    """The size is read from the disk; the file that a device with LiteRT measured is held to the limit as well."""
    assert work.rows(bytes=1000)["bytes", "models/edge.onnx"].measured == 1000
    work.measure("local", "lite")
    assert work.verdicts(bytes=1000) == {("bytes", "models/edge.onnx"): True, ("bytes", "models/model.tflite"): False}


def test_accuracy_is_judged_on_every_device(work):
    """The worst device decides, the emulated one included; the headline metric is the task's."""
    work.measure("local", "pi4", "emulated-pi4")
    work.edit("emulated-pi4", "scores", "accuracy", value=0.8)
    assert work.verdicts(accuracy=0.9) == {
        ("accuracy", "local"): True,
        ("accuracy", "pi4"): True,
        ("accuracy", "emulated-pi4"): False,
    }
    measured = measurements.made("local", "local", scores={"accuracy": 0.9, "word_accuracy": 0.5})
    found = {"local": budget.Measured("local", measured, "")}
    rows = budget.judge_all(tasks.Budget(), Goal(score=0.9), "word_accuracy", found)
    assert [row.measured for row in rows] == [0.5]


def test_the_headline_metric_names_the_drop(work):
    """What quantization loses is told under the name of the task's headline."""
    work.quantize(drop=0.5)
    rows = budget.judge_all(tasks.Budget(), Goal(drop=0.1), "word_accuracy", {})
    assert [row[:4] for row in rows] == [("word_accuracy_drop", "models/edge.onnx", 0.1, 0.5)]


@pytest.mark.parametrize(
    ("devices", "budget", "judged", "note"),
    [
        (["local", "emulated-pi4", "pi4"], ["latency_p95_ms", "instructions"], [("latency_p95_ms", "pi4")], ""),
        (["pi4", "pi5"], ["latency_p95_ms"], [("latency_p95_ms", "pi4"), ("latency_p95_ms", "pi5")], ""),
        (["local", "emulated-pi4"], ["latency_p95_ms", "instructions"], [("instructions", "emulated-pi4")], "no real"),
        (["local"], ["latency_p95_ms", "instructions"], [("latency_p95_ms", "local")], "no real board was at hand"),
        (["local", "emulated-pi4", "pi4"], ["instructions"], [("instructions", "emulated-pi4")], ""),
    ],
)
def test_where_time_is_judged(work, devices, budget, judged, note):
    """Real boards if there are any; else instructions of the emulated one; else latency here. The note says so."""
    work.measure(*devices)
    generous = {"latency_p95_ms": 5.0, "instructions": 1000}
    strict = {"latency_p95_ms": 4.9, "instructions": 999}
    assert work.verdicts(**{key: generous[key] for key in budget}) == dict.fromkeys(judged, True)
    found = work.rows(**{key: strict[key] for key in budget})
    assert {place: row.met for place, row in found.items()} == dict.fromkeys(judged, False)
    assert all(note in row.note and bool(note) == bool(row.note) for row in found.values())


@pytest.mark.parametrize(
    ("devices", "budget", "words"),
    [
        (["local", "emulated-pi4"], {"latency_p95_ms": 1e9}, "budget.instructions"),
        (["local", "pi4"], {"instructions": 10**9}, "latency_p95_ms"),
        (["emulated-pi4"], {"memory_mb": 1e9}, "emulated"),
    ],
)
def test_a_limit_that_no_device_can_answer_is_missed(work, devices, budget, words):
    """What is asked and can be judged nowhere fails, and says what to set or to name."""
    work.measure(*devices)
    (row,) = work.rows(**budget).values()
    assert not row.met
    assert words in row.note


def test_memory_is_judged_on_the_best_devices(work):
    """On every real board, each needs the figure; without one, here; the emulated one is left out."""
    work.measure("local", "emulated-pi4")
    assert work.verdicts(memory_mb=60.0) == {("memory_mb", "local"): True}
    work.measure("local", "emulated-pi4", "pi4", "pi5")
    work.edit("local", "peak_memory_mb", "candidate", value=1e6)
    assert work.verdicts(memory_mb=60.0) == {("memory_mb", "pi4"): True, ("memory_mb", "pi5"): True}
    work.edit("pi5", "peak_memory_mb", value=None)
    found = work.verdicts(memory_mb=60.0)
    assert (found["memory_mb", "pi4"], found["memory_mb", "pi5"]) == (True, False)


def test_check_names_all_that_is_missed(work):
    """The registry's question passes in silence or names every missed limit with figures."""
    work.ask(accuracy=0.9, bytes=1000)
    budget.check()
    work.ask(accuracy=0.95, bytes=999, memory_mb=60.0)
    with pytest.raises(UserError) as caught:
        budget.check()
    assert "accuracy local asked 0.95, measured 0.9; bytes models/edge.onnx asked 999, measured 1000" in str(
        caught.value
    )
    assert "memory" not in str(caught.value)


def test_the_onnx_model_has_to_be_measured(work):
    """models/edge.onnx is what ships, so figures of the TFLite model alone are not enough."""
    work.measure("lite")
    assert work.verdicts(accuracy=0.9) == {("accuracy", "lite"): True, ("metrics", "models/edge.onnx"): False}
    with pytest.raises(UserError, match="metrics models/edge.onnx .no device that is named measures it"):
        budget.check()


def test_figures_from_before_another_runtime_are_missed(work):
    """Metrics of the TFLite model, left from when the entry named LiteRT, are not those of models/edge.onnx."""
    work.edit("local", "model", value=str(paths.TFLITE))
    work.edit("local", "model_sha256", value=files.sha256(paths.TFLITE))
    found = work.rows(accuracy=0.0)
    assert found["accuracy", "local"].measured is None
    assert "models/model.tflite" in found["metrics", "local"].note


def command(*words: str) -> subprocess.CompletedProcess:
    """Run the gate as a person does, in the current folder."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", "commands.gate", *words], env=environment, capture_output=True, text=True, check=False
    )


def test_the_command_prints_a_table_and_exits(work):
    """Exit 0 with a table where all is met; exit 1 with the same table and one line where something is missed."""
    work.ask(accuracy=0.9, latency_p95_ms=5.0)
    met = command()
    assert met.returncode == 0, met.stderr
    assert met.stdout.splitlines()[1].split() == ["accuracy", "local", "0.9", "0.9", "met"]
    assert "no real board was at hand" in met.stdout
    work.ask(accuracy=0.95)
    missed = command("--markdown")
    assert missed.returncode == 1
    assert [cell.strip() for cell in missed.stdout.splitlines()[2].split("|")][1:6] == [
        "accuracy",
        "local",
        "0.95",
        "0.9",
        "missed",
    ]
    assert missed.stderr == "error: budget missed: accuracy local asked 0.95, measured 0.9\n"


def test_a_markdown_table_stays_one(work):
    """A line break or a bar in a note does not break the table."""
    rows = [budget.Row("metrics", "a|b", None, None, False, "one\ntwo | three")]
    assert budget.table(rows, markdown=True).splitlines()[2:] == [
        r"| metrics | a\|b    | none    | none       | missed | one two \| three |"
    ]
