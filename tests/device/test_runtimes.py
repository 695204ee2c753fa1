"""Both runtimes keep the same contract."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from device.failure import MODEL, RUNTIME, Failure
from device.runtimes import RUNTIMES
from edge.data.shards import Spec, Tensor
from edge.heads import Classification
from edge.models import training
from edge.models.formats import metadata, onnx_export, onnx_file, tflite
from tests.imports import ROOT

SPEC = Spec(Tensor("numbers", (8, 8, 1)), Tensor("scores", (3,)), ("no", "maybe", "yes"), {})
ROWS = np.random.default_rng(2).normal(size=(3, 1, *SPEC.input.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    """A small Keras model, numbers to scores, with a layer ``features``."""
    training.deterministic(7)
    numbers = keras.Input(SPEC.input.shape, name=SPEC.input.name)
    features = keras.layers.Rescaling(2.0, 0.5, name="features")(numbers)
    hidden = keras.layers.Conv2D(4, 3, activation="relu")(features)
    logits = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(hidden))
    return Classification().finish(keras.Model(numbers, logits), None, SPEC)


@pytest.fixture(scope="module")
def files(model, tmp_path_factory) -> dict[str, Path]:
    """The model's file for each runtime."""
    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / f"model{runtime.SUFFIX}" for name, runtime in RUNTIMES.items()}
    onnx_export.to_onnx(model, SPEC, 18, {"task": "test"}, paths["onnxruntime"])
    tflite.to_tflite(model, SPEC, metadata.read(onnx.load(paths["onnxruntime"])), paths["litert"])
    return paths


@pytest.fixture(params=RUNTIMES)
def name(request) -> str:
    return request.param


def with_steps(model: Path, folder: Path) -> Path:
    """The model that also gives its features and logits, as a file in ``folder``."""
    target = folder / f"steps{model.suffix}"
    if model.suffix == ".onnx":
        onnx.save(onnx_file.with_steps(onnx.load(model), "features", "logits"), target)
    else:
        target.write_bytes(tflite.with_steps(model, "features", "logits"))
    return target


def python(code: str, *words: object, path: str = "") -> subprocess.CompletedProcess:
    """Run code in a Python of its own, with the folder ``path`` before all others."""
    environment = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], env=environment, capture_output=True, text=True, check=False
    )


def test_both_runtimes_give_the_scores_of_keras(model, files):
    """The same row gives the same scores, [1, labels], in Keras and in each runtime."""
    for row in ROWS:
        expected = model(row, training=False)
        for name, runtime in RUNTIMES.items():
            np.testing.assert_allclose(runtime(files[name], 1).outputs(row), expected, atol=1e-5)


def test_scores_are_a_copy(files, name):
    """What was returned for one row stays when the next one runs."""
    opened = RUNTIMES[name](files[name], 1)
    first = opened.outputs(ROWS[0])
    kept = first.copy()
    opened.outputs(ROWS[1])
    np.testing.assert_array_equal(first, kept)


def test_a_bound_inference_runs_again_and_again(model, files, name):
    """The call without arguments computes the bound row each time, and leaves the interpreter usable."""
    opened = RUNTIMES[name](files[name], 1)
    infer = opened.bind(ROWS[0])
    assert [infer() for _ in range(3)] == [None] * 3
    np.testing.assert_allclose(opened.outputs(ROWS[1]), model(ROWS[1], training=False), atol=1e-5)


def test_a_bound_row_survives_its_inference(model, files):
    """After three runs of a bound inference LiteRT holds the scores of the row."""
    expected = model(ROWS[0], training=False)
    lite = RUNTIMES["litert"](files["litert"], 1)
    infer = lite.bind(ROWS[0])
    for _ in range(3):
        infer()
    np.testing.assert_allclose(lite.interpreter.get_tensor(lite.output), expected, atol=1e-5)


def test_identity_gives_back_what_it_takes(tmp_path):
    """The model of one node opens, and its output is its input."""
    (tmp_path / "identity.tflite").write_bytes(tflite.identity())
    opened = RUNTIMES["litert"](tmp_path / "identity.tflite", 1)
    assert opened.outputs(np.full((1, 1), -1.5, np.float32)).tolist() == [[-1.5]]


def test_threads_are_those_asked_for(files, name):
    """Three threads are two more than one."""
    code = (
        "import os, sys; from pathlib import Path; import numpy as np; from device.runtimes import RUNTIMES\n"
        "row, kept = np.zeros((1, 8, 8, 1), np.float32), []\n"
        "for threads in (1, 1, 3):\n"
        "    kept.append(RUNTIMES[sys.argv[1]](Path(sys.argv[2]), threads))\n"
        "    kept[-1].bind(row)()\n"
        "    print(len(os.listdir('/proc/self/task')))\n"
    )
    result = python(code, name, files[name])
    _, one, three = map(int, result.stdout.split())
    assert three - one == 2, result.stderr


def test_the_version_is_that_of_the_package(name):
    """Name and version of the runtime are those that pip knows."""
    from importlib.metadata import version

    distribution = RUNTIMES[name].DISTRIBUTIONS[0]
    assert RUNTIMES[name].version() == f"{distribution} {version(distribution)}"


def test_steps_are_features_logits_and_scores(model, files, name, tmp_path):
    """The features are those that Keras computes, and the scores those of the model that is timed."""
    steps = RUNTIMES[name].steps(with_steps(files[name], tmp_path), ROWS[0])
    assert list(steps) == ["features", "logits", "scores"]
    np.testing.assert_allclose(steps["features"], model.get_layer("features")(ROWS[0]), atol=1e-6)
    np.testing.assert_allclose(steps["scores"], RUNTIMES[name](files[name], 1).outputs(ROWS[0]), atol=1e-6)


def test_a_model_without_features_has_scores_only(files, name, tmp_path):
    """Nothing is called ``features``: only the scores come back."""
    path = tmp_path / f"renamed{RUNTIMES[name].SUFFIX}"
    path.write_bytes(files[name].read_bytes().replace(b"features", b"otherone").replace(b"logits", b"others"))
    assert list(RUNTIMES[name].steps(with_steps(path, tmp_path), ROWS[0])) == ["scores"]


@pytest.mark.parametrize("content", [b"", b"not a model", None], ids=["empty", "text", "cut"])
def test_a_broken_file_is_a_failure_of_the_model(files, name, content, tmp_path):
    """One line that names the file, and the status MODEL."""
    path = tmp_path / f"broken{RUNTIMES[name].SUFFIX}"
    path.write_bytes(files[name].read_bytes()[:-200] if content is None else content)
    with pytest.raises(Failure, match=f"{path.name} cannot be loaded or run") as caught:
        RUNTIMES[name](path, 1)
    assert caught.value.status == MODEL


def test_a_row_of_another_shape_is_a_failure_of_the_model(files, name):
    """A row that does not fit is refused, when it is bound or when it runs."""
    opened = RUNTIMES[name](files[name], 1)
    with pytest.raises(Failure, match="cannot be loaded or run") as caught:
        opened.outputs(ROWS[0, :, :5])
    assert caught.value.status == MODEL


def test_further_outputs_are_refused(files, name, tmp_path):
    """A model with three outputs is a failure of the model that counts them."""
    with pytest.raises(Failure, match="1 inputs and 3 outputs") as caught:
        RUNTIMES[name](with_steps(files[name], tmp_path), 1)
    assert caught.value.status == MODEL


def test_a_runtime_that_cannot_be_imported_is_said_in_one_line(files, name, tmp_path):
    """The interpreter and the reason are named, and the status is RUNTIME."""
    for distribution in RUNTIMES[name].DISTRIBUTIONS:
        package = tmp_path / distribution.replace("-", "_")
        package.mkdir()
        (package / "__init__.py").write_text(f"raise ImportError('{distribution} needs another glibc')")
    code = (
        "import sys; from pathlib import Path\n"
        "from device.failure import guarded; from device.runtimes import RUNTIMES\n"
        "sys.exit(guarded(lambda: RUNTIMES[sys.argv[1]](Path(sys.argv[2]), 1)))"
    )
    result = python(code, name, files[name], path=str(tmp_path))
    assert result.returncode == RUNTIME
    reasons = "; ".join(f"{distribution} needs another glibc" for distribution in RUNTIMES[name].DISTRIBUTIONS)
    assert result.stderr == f"error: {sys.executable} cannot import the runtime: {reasons}\n"
