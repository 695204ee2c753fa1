"""The plots of the devices, drawn by DVC from the definitions in dvc.yaml."""

import json
import re
import shutil

import pytest
import yaml

from tests.conftest import Project
from tests.imports import ROOT

FOLDER = "plots/devices"
TEMPERATURES = {"pi4": "48.7", "laptop": ""}  # °C; the laptop has no thermometer
KINDS = {"latency_over_time", "latency_histogram"}


def series(offset: float, temperature: str) -> str:
    """A device's CSV: two processes at one and two threads, ten inferences of each model."""
    rows = ["model,threads,repeat,seconds,ms,temperature_c"]
    for number in range(80):
        model, threads, repeat = ("candidate", "baseline")[number % 2], number // 20 % 2 + 1, number // 40
        rows.append(f"{model},{threads},{repeat},{1000 + number / 100},{offset + number / 100},{temperature}")
    return "\n".join([*rows, ""])


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> dict[str, str]:
    """The pages of `dvc plots show` and `dvc plots diff` for two devices that dvc.yaml does not name."""
    folder = tmp_path_factory.mktemp("plots")
    project = Project(folder)
    defined = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    definition = {
        "stages": {"measure": {"cmd": "cp -r measured plots/devices", "deps": ["measured"]}},
        "plots": [entry for entry in defined["plots"] if FOLDER in entry],
    }
    definition["stages"]["measure"]["plots"] = defined["stages"]["evaluate-on-device"]["plots"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump(definition))
    for part in ("measured", "plots"):
        (folder / part).mkdir()
    for name, temperature in TEMPERATURES.items():
        (folder / f"measured/{name}.csv").write_text(series(8, temperature))
    project.ok("git", "init", "--quiet")
    project.ok("dvc", "init", "--quiet")
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    project.ok("dvc", "repro", "--quiet")
    project.ok("git", "add", ".")
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    project.ok("git", *author, "commit", "--quiet", "-m", "A measurement")
    for name, temperature in TEMPERATURES.items():
        (folder / f"{FOLDER}/{name}.csv").write_text(series(9, temperature))
    project.ok("dvc", "plots", "show", "--out", "show")
    project.ok("dvc", "plots", "diff", "HEAD", "--out", "diff")
    return {command: (folder / command / "index.html").read_text() for command in ("show", "diff")}


def specifications(page: str) -> list[dict]:
    """The Vega-Lite specifications in a page of DVC's."""
    decoder = json.JSONDecoder()
    return [decoder.raw_decode(page, match.end())[0] for match in re.finditer("var spec = ", page)]


def kind(specification: dict) -> str:
    """The template that a specification comes from."""
    return "latency_over_time" if "vconcat" in specification else "latency_histogram"


def values(node, key: str) -> set[str]:
    """Every string under ``key``, at any depth."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = {node[key]} if isinstance(node, dict) and isinstance(node.get(key), str) else set()
    return found.union(*(values(child, key) for child in children))


@pytest.mark.parametrize(("command", "revisions"), [("show", {"workspace"}), ("diff", {"HEAD", "workspace"})])
def test_each_device_has_both_plots_with_its_data(html, command, revisions):
    """Whatever files the folder holds, each is drawn over time and as a histogram, with every row of every revision."""
    found = specifications(html[command])
    titles = {(kind(one), name) for one in found for name in TEMPERATURES if f"{name}.csv" in one["title"]["text"]}
    assert titles == {(kind, name) for kind in KINDS for name in TEMPERATURES}
    assert len(found) == len(titles)
    for one in found:
        rows = one["data"]["values"]
        assert {row["rev"] for row in rows} == revisions
        assert len(rows) == 80 * len(revisions)
        assert {float(row["ms"]) for row in rows if row["rev"] == "workspace"} == {9 + n / 100 for n in range(80)}


def test_every_field_drawn_is_a_column_or_calculated(html):
    """No anchor of a template is left, and no axis, colour or transform names a field that is not there."""
    for one in specifications(html["diff"]):
        assert one["$schema"] == "https://vega.github.io/schema/vega-lite/v5.json"
        there = set(one["data"].pop("values")[0])
        assert "<DVC_METRIC" not in json.dumps(one)
        for step in one["transform"]:
            read = set(re.findall(r"datum(?:\.|\[')(\w+)", step.get("calculate", ""))) | values(step, "field")
            assert read <= there
            there |= values(step, "as")
        one.pop("transform")
        assert values(one, "field") <= there
        assert {"model", "threads", "rev"} <= values(one, "field")


def test_the_models_have_colours_that_everyone_can_tell_apart(html):
    """Candidate and baseline are blue and orange of Okabe and Ito's palette, in both plots."""
    for one in specifications(html["show"]):
        charts = one.get("vconcat", [one])
        scale = charts[0]["encoding"]["color"]["scale"]
        assert dict(zip(scale["domain"], scale["range"], strict=True)) == {
            "candidate": "#0072B2",
            "baseline": "#E69F00",
        }
