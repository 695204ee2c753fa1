"""The default task, shrunk, through all six stages: synthetic speech, SoX, training, ONNX and the device runner."""

import json
import os
import shutil
import sys

import pytest

from benchmarks.clone import change
from tests.conftest import copy_project

SCHEMES = ("fp32", "fp16", "int8_dynamic", "int8")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two words of twenty-odd voices, two epochs, every scheme in turn, int8 last."""
    project = copy_project(tmp_path_factory.mktemp("default"))
    change(
        project.folder / "configs/keyword_spotting.yaml",
        collect__words=["yes", "stop"],
        collect__synthetic__per_word=60,
        collect__unknown=60,
        collect__silence=60,
        train__epochs=2,
        evaluate_on_device__runs=70,
        evaluate_on_device__repeats=3,
    )
    for scheme in SCHEMES:
        change(project.folder / "params.yaml", quant=scheme)
        project.ok("dvc", "repro")
        shutil.copy(project.folder / "metrics/devices/local.json", tmp_path_factory.getbasetemp() / f"{scheme}.json")
    return project


def test_every_scheme_is_measured(project, tmp_path_factory):
    """The device computes for each scheme what this machine computes."""
    for scheme in SCHEMES:
        measured = json.loads((tmp_path_factory.getbasetemp() / f"{scheme}.json").read_text())
        assert (measured["quantization"], measured["parity"]["agreement"]) == (scheme, 1.0)


def test_every_figure_is_there(project):
    """Every stage leaves its metrics; with 90 runs the 90th percentile is reported and the 95th is not."""
    read = {path.stem: json.loads(path.read_text()) for path in (project.folder / "metrics").rglob("*.json")}
    assert set(read) == {"convert", "data", "local", "quantize", "train"}
    assert read["convert"]["agreement"] == read["convert"]["tflite"]["agreement"] == 1.0
    assert read["local"]["parity"] == {"samples": 0, "features": 0, "logits": 0, "scores": 0, "agreement": 1}
    figures = {"first_inference", "load", "mean", "outliers", "p50", "p90"}
    assert set(read["local"]["latency"]["threads_1"]["candidate_ms"]) == figures
    assert read["data"]["train"] > read["data"]["calibration"] > 0
    assert read["quantize"]["bytes_against_fp32"] < 1
    assert {"false_accepts_per_hour", "miss_rate", "hours"} <= set(read["train"])


def test_the_model_takes_a_waveform_and_names_its_labels(project):
    """The file that ships has input `waveform`, output `scores`, and labels, rate and quantization in its metadata."""
    code = (
        "import onnxruntime, json; s = onnxruntime.InferenceSession('models/edge.onnx');"
        "m = s.get_modelmeta().custom_metadata_map; i, o = s.get_inputs()[0], s.get_outputs()[0];"
        "print(json.dumps([i.name, i.shape[1:], o.name, m['labels'], m['sample_rate'], m['quantization']]))"
    )
    printed = json.loads(project.ok(sys.executable, "-c", code).splitlines()[-1])
    labels = '["yes", "stop", "_unknown_", "_silence_"]'
    assert printed == ["waveform", [16000], "scores", labels, "16000", "int8"]


def test_there_is_a_spectrogram_of_each_class(project):
    """plots/samples holds a picture for each label."""
    names = sorted(path.name for path in (project.folder / "plots/samples").iterdir())
    assert names == ["_silence_.png", "_unknown_.png", "stop.png", "yes.png"]


def test_one_processor_gives_the_same_bytes(project):
    """Every stage but the last, anew, with one processor in place of all: dvc.lock stays as it is."""
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("this machine has one processor: the first run had no more than the second")
    lock = (project.folder / "dvc.lock").read_text()
    one = str(min(os.sched_getaffinity(0)))
    project.ok("taskset", "--cpu-list", one, "dvc", "repro", "--force", "quantize")
    assert (project.folder / "dvc.lock").read_text() == lock
