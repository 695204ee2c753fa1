"""Prints what the LSTM and the GRU of keyword spotting cost: one node or unrolled in ONNX, loop or unrolled in TFLite.

Features of a second of sound, 64 units, one thread, not trained. The two of a comparison take turns in one process.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from types import SimpleNamespace

import keras
import numpy as np
from keras import layers

from benchmarks.clone import SHORT, row
from edge.data.shards import Spec, Split, Tensor
from edge.models import training
from edge.models.compression import schemes
from edge.models.formats import onnx_export, onnx_file, tflite
from edge.models.networks.classifiers import ARCHITECTURES

STEPS, BINS, CLASSES = (8 if SHORT else 49), 40, 12
ROUNDS, RUNS = (2, 5) if SHORT else (20, 50)
SPEC = Spec(Tensor("x", (STEPS, BINS)), Tensor("scores", (CLASSES,)), tuple(map(str, range(CLASSES))), {})


class LSTM(layers.LSTM):
    """A layer that no conversion replaces: it is of no class of Keras."""


class GRU(layers.GRU):
    """A layer that no conversion replaces: it is of no class of Keras."""


def network(architecture: str) -> keras.Model:
    """The classifier, features to scores."""
    training.deterministic(1)
    entry = keras.Input(SPEC.input.shape, name="x")
    logits = ARCHITECTURES[architecture](layers.Identity(name="features")(entry), CLASSES)
    return keras.Model(entry, layers.Softmax(name="scores")(logits))


def as_it_is(model: keras.Model, unroll: bool) -> keras.Model:
    """A copy of ``model`` whose recurrent layer stays a loop, or unrolled, in every format."""
    classes = {layers.LSTM: LSTM, layers.GRU: GRU}

    def copied(layer):
        if type(layer) in classes:
            return classes[type(layer)].from_config(layer.get_config() | {"unroll": unroll})
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=copied)


def in_turns(*runs: Callable) -> list[float]:
    """Milliseconds of an inference of each, the median of ROUNDS medians of RUNS."""
    rounds = []
    for _ in range(ROUNDS):
        medians = []
        for run in runs:
            times = []
            for _ in range(RUNS):
                start = perf_counter_ns()
                run()
                times.append(perf_counter_ns() - start)
            medians.append(statistics.median(times) / 1e6)
        rounds.append(medians)
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def onnx_run(path: Path, x: np.ndarray) -> Callable:
    """A call of an inference by ONNX Runtime."""
    session = onnx_file.session(path)
    return lambda: session.run(None, {"x": x})


def tflite_run(path: Path, x: np.ndarray) -> Callable:
    """A call of an inference by LiteRT."""
    run = tflite.Interpreter(path, num_threads=1)
    run.allocate_tensors()
    run.set_tensor(run.get_input_details()[0]["index"], x)
    return run.invoke


def kilobytes(path: Path) -> str:
    """The size of a file."""
    return f"{path.stat().st_size / 1e3:.0f}"


def compare_onnx(name: str, model: keras.Model, folder: Path) -> None:
    """Print nodes, bytes and time of one node a layer against the steps unrolled, by scheme."""
    noise = np.random.default_rng(0).normal(size=(128, STEPS, BINS)).astype(np.float32)
    split, config = Split(noise, np.zeros(128, np.int64), SPEC.input), SimpleNamespace(per_channel=True, batch=32)
    forms = {"fused": model, "unrolled": as_it_is(model, True)}
    nodes = [onnx_export.to_onnx(made, SPEC, 18, {"task": form}, folder / form) for form, made in forms.items()]
    row(f"{name}, nodes of ONNX, fused / unrolled", "at most 12", f"{nodes[0]} / {nodes[1]}")
    for scheme, quantize in schemes.SCHEMES.items():
        paths = [folder / f"{form}.{scheme}" for form in forms]
        for form, path in zip(forms, paths, strict=True):
            quantize(folder / form, path, split, config)
        row(f"{name}, {scheme}, kB of ONNX, fused / unrolled", "below fp32", " / ".join(map(kilobytes, paths)))
        fused, unrolled = in_turns(*(onnx_run(path, noise[:1]) for path in paths))
        figures = f"{unrolled / fused:.1f} times ({fused:.3f} / {unrolled:.3f} ms)"
        row(f"{name}, {scheme}, fused is faster than unrolled", "at least 2 times", figures)


def compare_tflite(name: str, model: keras.Model, folder: Path) -> None:
    """Print bytes and time of TFLite's loop against the steps unrolled."""
    paths = [folder / "unrolled.tflite", folder / "loop.tflite"]
    for path, unroll in zip(paths, (True, False), strict=True):
        tflite.to_tflite(as_it_is(model, unroll), SPEC, {}, path)
    row(f"{name}, kB of TFLite, unrolled / loop", "none", " / ".join(map(kilobytes, paths)))
    x = np.random.default_rng(0).normal(size=(1, STEPS, BINS)).astype(np.float32)
    unrolled, loop = in_turns(*(tflite_run(path, x) for path in paths))
    figures = f"{loop / unrolled:.1f} times ({unrolled:.3f} / {loop:.3f} ms)"
    row(f"{name}, TFLite, unrolled is faster than the loop", "above 1 time", figures)


def main() -> None:
    for name in ("lstm", "gru"):
        model = network(name)
        with tempfile.TemporaryDirectory() as folder:
            compare_onnx(name, model, Path(folder))
            compare_tflite(name, model, Path(folder))


if __name__ == "__main__":
    main()
