"""Every architecture and front end survives the way from Keras to TFLite."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from edge.core.errors import UserError
from edge.data.shards import Spec, Split, Tensor
from edge.heads import Classification
from edge.modalities.audio.frontend import MFCC, LogMel
from edge.models import training
from edge.models.formats import tflite
from edge.models.networks.classifiers import ARCHITECTURES
from tests.imports import ROOT

SAMPLES = 4000
SCORES = Tensor("scores", (2,))
SPEC = Spec(Tensor("waveform", (SAMPLES,), scale=1 / 32768), SCORES, ("no", "yes"), {"sample_rate": 8000})
PICTURES = Spec(Tensor("picture", (8, 8, 1), scale=1 / 32768), SCORES, ("no", "yes"), {})
ENTRIES = {"task": "test", "labels": '["no", "yes"]', "word": "größer"}
FRONT_END = {
    "sample_rate": 8000, "window": 240, "hop": 160, "fft": 256, "bins": 20, "low": 60, "high": 3800, "floor": 1e-3,
}  # fmt: skip


def sound(architecture: str, mfcc: bool = False):
    """A Keras model, waveform to scores, with batch statistics that are not the initial ones."""
    keras.utils.clear_session()
    training.deterministic(7)
    waveform = keras.Input(SPEC.input.shape, name=SPEC.input.name)
    front = MFCC(**FRONT_END, coefficients=13, name="features") if mfcc else LogMel(**FRONT_END, name="features")
    model = keras.Model(waveform, ARCHITECTURES[architecture](front(waveform), 2))
    model = Classification().finish(model, None, SPEC)
    random = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(random.normal(size=layer.moving_mean.shape))
            layer.moving_variance.assign(random.uniform(0.5, 2, size=layer.moving_mean.shape))
    return model


def pictures():
    """A Keras model, pictures to scores."""
    training.deterministic(7)
    picture = keras.Input(PICTURES.input.shape, name=PICTURES.input.name)
    features = keras.layers.Rescaling(2.0, name="features")(picture)
    return Classification().finish(keras.Model(picture, ARCHITECTURES["lenet"](features, 2)), None, PICTURES)


def split(spec: Spec, count: int = 3) -> Split:
    """Rows of noise."""
    x = np.random.default_rng(1).integers(-8000, 8000, (count, *spec.input.shape), dtype=np.int16)
    return Split(x, np.zeros(count, np.int64), spec.input)


def operators(path: Path) -> list[tuple[int, schema.OperatorT]]:
    """Each operator of the file's graph after its builtin code."""
    model = flatbuffer_utils.read_model(path)
    codes = [flatbuffer_utils.get_builtin_code_from_operator_code(code) for code in model.operatorCodes]
    return [(codes[operator.opcodeIndex], operator) for operator in model.subgraphs[0].operators]


@pytest.fixture(scope="module", params=[*ARCHITECTURES, "ds_cnn with mfcc", "picture"])
def converted(request, tmp_path_factory):
    """A Keras model, its spec, and its TFLite file."""
    name, _, mfcc = request.param.partition(" with ")
    model, spec = (pictures(), PICTURES) if name == "picture" else (sound(name, bool(mfcc)), SPEC)
    path = tmp_path_factory.mktemp("tflite") / "model.tflite"
    tflite.to_tflite(model, spec, ENTRIES, path)
    return model, spec, path


def test_tflite_answers_like_keras(converted):
    """Rows go in one at a time under the input's name, and `scores` are those of Keras."""
    model, spec, path = converted
    rows = split(spec)
    np.testing.assert_allclose(tflite.predict(path, rows), model(rows.inputs(slice(None)), training=False), atol=1e-4)
    run = tflite.Interpreter(path)
    ends = run.get_input_details() + run.get_output_details()
    assert [(end["name"], end["dtype"]) for end in ends] == [(spec.input.name, np.float32), ("scores", np.float32)]


def test_every_operator_is_a_builtin_and_weights_are_constants(converted):
    """No TensorFlow operator is left, no variable, and one tensor is called `features`."""
    code = schema.BuiltinOperator
    assert not {code.CUSTOM, code.VAR_HANDLE, code.READ_VARIABLE} & {used for used, _ in operators(converted[2])}
    tensors = flatbuffer_utils.read_model(converted[2]).subgraphs[0].tensors
    assert [tensor.name for tensor in tensors].count(b"features") == 1


def test_batch_norm_is_folded(tmp_path):
    """No multiplication or addition follows a convolution."""
    tflite.to_tflite(sound("ds_cnn"), SPEC, ENTRIES, tmp_path / "model.tflite")
    code, used = schema.BuiltinOperator, operators(tmp_path / "model.tflite")
    convolved = {operator.outputs[0] for kind, operator in used if kind in (code.CONV_2D, code.DEPTHWISE_CONV_2D)}
    assert len(convolved) == 9
    assert not [op.outputs for kind, op in used if kind in (code.MUL, code.ADD, code.SUB) and convolved & {*op.inputs}]


def test_an_operator_that_is_no_builtin_is_named(tmp_path):
    """A layer that TFLite cannot compute by itself stops the conversion with the operator's name."""
    numbers = keras.Input((4,), name="numbers")
    features = keras.layers.Lambda(keras.ops.erfinv, name="features")(numbers)
    model = keras.Model(numbers, keras.layers.Dense(2, name="logits")(features))
    spec = Spec(Tensor("numbers", (4,)), SCORES, ("no", "yes"), {})
    with pytest.raises(UserError, match=r"no builtin operator for tf\.Erfinv: "):
        tflite.to_tflite(model, spec, ENTRIES, tmp_path / "model.tflite")


def test_steps_can_be_had_as_further_outputs(converted, tmp_path):
    """The file with steps gives the scores first, and then what the Keras layers of these names give."""
    model, spec, path = converted
    (tmp_path / "steps.tflite").write_bytes(tflite.with_steps(path, "features", "logits", "absent"))
    run = tflite.Interpreter(tmp_path / "steps.tflite")
    run.allocate_tensors()
    row = split(spec).inputs(slice(0, 1))
    run.set_tensor(run.get_input_details()[0]["index"], row)
    run.invoke()
    outputs = run.get_output_details()
    assert [output["name"] for output in outputs] == ["scores", "features", "logits"]
    scores, *found = (run.get_tensor(output["index"]) for output in outputs)
    for name, values in zip(("features", "logits"), found, strict=True):
        expected = keras.Model(model.input, model.get_layer(name).output)(row, training=False)
        np.testing.assert_allclose(values, expected, atol=1e-4)
    np.testing.assert_allclose(scores, model(row, training=False), atol=1e-4)


def test_the_file_carries_its_metadata(converted, tmp_path):
    """What was written is read back, letters beyond ASCII included; a file without metadata gives none."""
    assert tflite.read_metadata(converted[2]) == ENTRIES
    model = flatbuffer_utils.read_model(converted[2])
    model.metadata = [entry for entry in model.metadata if entry.name != tflite.METADATA.encode()]
    flatbuffer_utils.write_model(model, tmp_path / "bare.tflite")
    assert tflite.read_metadata(tmp_path / "bare.tflite") == {}


def test_metadata_are_read_without_tensorflow(tmp_path):
    """Whoever only asks where a file comes from does not wait for TensorFlow."""
    path = tmp_path / "model.tflite"
    tflite.to_tflite(pictures(), PICTURES, ENTRIES, path)
    code = (
        "import sys, pathlib; from edge.models.formats import tflite\n"
        "print(tflite.read_metadata(pathlib.Path(sys.argv[1]))['task'], 'tensorflow' in sys.modules)"
    )
    words = [sys.executable, "-c", code, path]
    assert subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "test False\n"


def test_the_same_model_gives_the_same_bytes(tmp_path):
    """Another process writes the same file; that of the default task's network is compared in test_default_task."""
    code = (
        "import sys, pathlib; from edge.models.formats import tflite\n"
        "from tests.edge.models.formats import test_tflite as t\n"
        "tflite.to_tflite(t.sound('dense'), t.SPEC, t.ENTRIES, pathlib.Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "other"], cwd=ROOT, capture_output=True, check=True)
    tflite.to_tflite(sound("dense"), SPEC, ENTRIES, tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == (tmp_path / "other").read_bytes()
