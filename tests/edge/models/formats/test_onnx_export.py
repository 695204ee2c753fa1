"""Every architecture survives the way from Keras to ONNX, front end included."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import onnx
import pytest

from edge.core.errors import UserError
from edge.core.settings import Convert
from edge.data.shards import Spec, Split, Tensor
from edge.heads import Classification
from edge.modalities.audio.frontend import LogMel
from edge.models import training
from edge.models.compression import schemes
from edge.models.formats import metadata, onnx_export, onnx_file
from edge.models.networks.classifiers import ARCHITECTURES

SAMPLES = 4000
ENDS = Tensor("waveform", (SAMPLES,), scale=1 / 32768), Tensor("scores", (2,))
SPEC = Spec(*ENDS, ("no", "yes"), {"sample_rate": 8000})
ENTRIES = {"task": "test", "labels": list(SPEC.labels)}
OPSETS = {type(limit).__name__: limit for limit in Convert.model_fields["opset"].metadata}


def trained(architecture: str) -> keras.Model:
    """A Keras model with batch statistics that are not the initial ones."""
    training.deterministic(7)
    waveform = keras.Input((SAMPLES,), name="waveform")
    front = LogMel(
        sample_rate=8000, window=240, hop=160, fft=256, bins=20, low=60, high=3800, floor=1e-3, name="features"
    )
    logits = keras.Model(waveform, ARCHITECTURES[architecture](front(waveform), 2))
    model = Classification().finish(logits, None, SPEC)
    random = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.moving_mean.shape
            layer.moving_mean.assign(random.normal(size=size))
            layer.moving_variance.assign(random.uniform(0.5, 2, size=size))
    return model


@pytest.fixture(scope="module", params=ARCHITECTURES)
def exported(request, tmp_path_factory):
    """A Keras model and its ONNX file."""
    model = trained(request.param)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    onnx_export.to_onnx(model, SPEC, 18, ENTRIES, path)
    return model, path


def test_onnx_answers_like_keras(exported):
    """Any batch size goes in as `waveform`, and `scores` are those of Keras."""
    model, path = exported
    clips = np.random.default_rng(1).normal(size=(3, SAMPLES)).astype(np.float32) / 10
    session = onnx_file.session(path)
    assert [node.name for node in (*session.get_inputs(), *session.get_outputs())] == ["waveform", "scores"]
    for batch in (clips, clips[:1]):
        scores = session.run(None, {"waveform": batch})[0]
        np.testing.assert_allclose(scores, model(batch, training=False), atol=1e-4)
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_batch_norm_is_folded(exported):
    """No node of the file normalises a batch, and no multiplication follows a convolution."""
    graph = onnx.load(exported[1]).graph
    convolved = {name for node in graph.node if node.op_type == "Conv" for name in node.output}
    assert not [node.name for node in graph.node if node.op_type == "BatchNormalization"]
    assert not [n.name for n in graph.node if n.op_type in ("Mul", "Add", "Sub") and convolved & set(n.input)]


def test_the_file_carries_its_labels_and_steps(exported):
    """The metadata hold the labels as JSON; the tensors `features` and `logits` keep their names."""
    model = onnx.load(exported[1])
    assert json.loads(metadata.read(model)["labels"]) == ["no", "yes"]
    assert {"features", "logits"} <= onnx_file.tensors(model)


def test_a_model_without_the_names_is_refused(tmp_path):
    """A network without a layer `logits` is not converted: quantization would not know what to leave alone."""
    numbers = keras.Input((4,), name="numbers")
    features = keras.layers.Rescaling(2.0, name="features")(numbers)
    model = keras.Model(numbers, keras.layers.Dense(2)(features))
    spec = Spec(Tensor("numbers", (4,)), Tensor("scores", (2,)), ("no", "yes"), {})
    with pytest.raises(UserError, match="no layer logits"):
        onnx_export.to_onnx(model, spec, 18, {"task": "test"}, tmp_path / "model.onnx")


def test_unknown_sizes_have_a_name_that_never_changes(exported):
    """The first dimension of input, scores and steps is `batch`: a number in its name differs from run to run."""
    graph = onnx.load(exported[1]).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    assert {value.type.tensor_type.shape.dim[0].dim_param for value in values} == {"batch"}


@pytest.mark.parametrize("architecture", ["ds_cnn", "lstm", "gru"])
@pytest.mark.parametrize("opset", range(OPSETS["Ge"].ge, OPSETS["Le"].le + 1))
def test_every_allowed_operator_set_converts(architecture, opset, tmp_path):
    """A model of each operator set that the settings allow answers like Keras, and every quantization takes it."""
    model = trained(architecture)
    clips = np.random.default_rng(1).integers(-3000, 3000, (64, SAMPLES), dtype=np.int16)
    split = Split(clips, np.zeros(64, np.int64), SPEC.input)
    onnx_export.to_onnx(model, SPEC, opset, ENTRIES, tmp_path / "model.onnx")
    assert [entry.version for entry in onnx.load(tmp_path / "model.onnx").opset_import if not entry.domain] == [opset]
    expected = model(split.inputs(slice(None)), training=False)
    np.testing.assert_allclose(onnx_file.predict(tmp_path / "model.onnx", split), expected, atol=1e-4)
    for name, scheme in schemes.SCHEMES.items():
        scheme(tmp_path / "model.onnx", tmp_path / name, split, SimpleNamespace(per_channel=True, batch=32))
        np.testing.assert_allclose(onnx_file.predict(tmp_path / name, split), expected, atol=0.1)
