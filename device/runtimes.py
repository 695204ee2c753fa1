"""Runtimes by name: each opens a model, binds an inference that can be timed, and shows the steps to its scores.

Travels to the board: standard library, numpy and a runtime, which is imported late. A model takes float32 [1, *shape]
and has one input and one output. Whatever a runtime raises becomes a Failure, except in the call that is timed.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from device.failure import MODEL, RUNTIME, Failure

STEPS = ("features", "logits", "scores")


def load(*names: str):
    """The first of the modules that can be imported; raises Failure(RUNTIME), which says why, where none can."""
    errors = []
    for name in names:
        try:
            return importlib.import_module(name)
        except Exception as error:
            errors.append(str(error))
    raise Failure(RUNTIME, f"{sys.executable} cannot import the runtime: {'; '.join(errors)}")


@contextmanager
def model_errors(model: Path) -> Iterator[None]:
    """Turns whatever a runtime raises into Failure(MODEL)."""
    try:
        yield
    except Exception as error:
        raise Failure(MODEL, f"{model.name} cannot be loaded or run: {error}") from None


def only(inputs: list, outputs: list, model: Path) -> tuple:
    """The one input and the one output; raises Failure(MODEL) where there are more or fewer."""
    if (len(inputs), len(outputs)) != (1, 1):
        raise Failure(
            MODEL, f"{model.name} has {len(inputs)} inputs and {len(outputs)} outputs; one of each is supported"
        )
    return inputs[0], outputs[0]


def named(names: list[str], values: list) -> dict:
    """The steps on the way from input to scores by name, in their order: those that a model gives beside its scores.

    The first output is ``scores``, whatever its name.
    """
    found = dict(zip(["scores", *names[1:]], values, strict=True))
    return {step: found[step] for step in STEPS if step in found}


class OnnxRuntime:
    """ONNX Runtime on the CPU. Raises Failure(RUNTIME) without the runtime, Failure(MODEL) without a usable model."""

    SUFFIX = ".onnx"
    DISTRIBUTIONS = ("onnxruntime",)

    def __init__(self, model: Path, threads: int):
        self.model, self.session = model, self.open(model, threads)
        source, target = only(self.session.get_inputs(), self.session.get_outputs(), model)
        self.input, self.output = source.name, target.name

    @staticmethod
    def open(model: Path, threads: int):
        """A session with ``threads`` threads for each operator, which run one after the other."""
        onnxruntime = load("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        with model_errors(model):
            return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    @staticmethod
    def version() -> str:
        """Name and version of the runtime."""
        return f"onnxruntime {load('onnxruntime').__version__}"

    def bind(self, row) -> Callable[[], None]:
        """The inference of ``row``, float32 [1, *shape], without arguments: input and output are bound beforehand."""
        with model_errors(self.model):
            binding = self.session.io_binding()
            binding.bind_cpu_input(self.input, row)
            binding.bind_output(self.output)
        return partial(self.session.run_with_iobinding, binding)

    def outputs(self, row):
        """The scores of ``row``, float32 [1, labels]."""
        with model_errors(self.model):
            return self.session.run(None, {self.input: row})[0]

    @classmethod
    def steps(cls, model: Path, row) -> dict:
        """The steps of ``row`` by name: ``features`` and ``logits`` where the model gives them too, and ``scores``."""
        session = cls.open(model, 1)
        with model_errors(model):
            names = [output.name for output in session.get_outputs()]
            return named(names, session.run(None, {session.get_inputs()[0].name: row}))


class LiteRT:
    """LiteRT, or TFLite as it was called before. Raises Failure as OnnxRuntime does."""

    SUFFIX = ".tflite"
    DISTRIBUTIONS = ("ai-edge-litert", "tflite-runtime")
    MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")

    def __init__(self, model: Path, threads: int):
        self.model, self.interpreter = model, self.open(model, threads)
        ends = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        source, target = only(*ends, model)
        self.input, self.output = source["index"], target["index"]

    @staticmethod
    def open(model: Path, threads: int):
        """An interpreter with its tensors allocated; each operator may use ``threads`` threads."""
        runtime = load(*LiteRT.MODULES)
        with model_errors(model):
            interpreter = runtime.Interpreter(str(model), num_threads=threads)
            interpreter.allocate_tensors()
        return interpreter

    @staticmethod
    def version() -> str:
        """Name and version of the runtime."""
        package = sys.modules[load(*LiteRT.MODULES).__package__]
        return f"{package.__name__.replace('_', '-')} {package.__version__}"

    def bind(self, row) -> Callable[[], None]:
        """The inference of ``row``, float32 [1, *shape], without arguments: the input is set beforehand and stays."""
        with model_errors(self.model):
            self.interpreter.set_tensor(self.input, row)
        return self.interpreter.invoke

    def outputs(self, row):
        """The scores of ``row``, float32 [1, labels]."""
        infer = self.bind(row)
        with model_errors(self.model):
            infer()
            return self.interpreter.get_tensor(self.output)

    @classmethod
    def steps(cls, model: Path, row) -> dict:
        """The steps of ``row`` by name: ``features`` and ``logits`` where the model gives them too, and ``scores``."""
        interpreter = cls.open(model, 1)
        with model_errors(model):
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], row)
            interpreter.invoke()
            outputs = interpreter.get_output_details()
            names = [output["name"] for output in outputs]
            return named(names, [interpreter.get_tensor(output["index"]) for output in outputs])


RUNTIMES = {"onnxruntime": OnnxRuntime, "litert": LiteRT}
