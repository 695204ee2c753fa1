"""One folder per task: the only code that knows the domain. docs/architecture.md has the contract."""

import importlib
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, create_model

from edge.core import paths, settings
from edge.core.errors import UserError
from edge.data import labels
from edge.data.decision import DET, Decision
from edge.data.shards import Spec, Split
from edge.heads import Head


class Task(ABC):
    """What is to be learned: the contract that every ``tasks/<name>/__init__.py`` fills with one object, ``TASK``.

    ``head``, the three sections, ``sources``, ``prepare`` and ``build`` are required; the other methods have a default.
    ``config`` is the section of configs/<name>.yaml that the method's stage reads; ``seed`` is that of params.yaml.
    """

    head: Head  # kind of answer: heads.Classification(), heads.Detection(), heads.Regression()
    Collect: type[settings.Section]  # section `collect`: at least `source`, a name in sources()
    Preprocess: type[settings.Section]  # section `preprocess`
    Train: type[settings.Recipe]  # section `train`

    @abstractmethod
    def sources(self) -> dict[str, Callable]:
        """Sources by name: callables (config, folder, seed) that fill the folder data/raw."""

    @abstractmethod
    def prepare(self, raw: Path, out: Path, config, seed: int) -> dict:
        """From data/raw to data/prepared; returns the counts for metrics/data.json.

        Writes for each of shards.SPLITS ``<split>.x.npy``, integers [n, *shape], and ``<split>.y.npy`` as the head
        reads it; spec.json by Spec.save; manifest.csv with a row an example. Examples of one group (a speaker, a
        document) are in one split. Raises UserError where the data cannot be used.
        """

    @abstractmethod
    def build(self, config, spec: Spec, seed: int):
        """An untrained Keras model, model input [batch, *shape] to the output of its last layer, ``logits``.

        A layer ``features`` ends what never changes in training. Quantization leaves in float what is before
        ``features`` and what is after ``logits``.
        """

    def augment(self, config, spec: Spec, seed: int) -> Callable | None:
        """A callable (x, y, seed) -> (x, y) on a batch of model inputs and stored y inside tf.data; None: no change."""
        return None

    def fine_tune(self, model, config) -> settings.Recipe | None:
        """Make a trained ``model`` ready for a second training; returns the recipe of that, or None: there is none."""
        return None

    def layers(self) -> dict[str, type]:
        """Keras layers of our own in the model, by the name that a .keras file gives them (``edge>LogMel``)."""
        return {}

    def read_example(self, path: Path, spec: Spec, config) -> np.ndarray:
        """A person's own file as one stored example, integers [*shape], prepared as ``prepare`` does it.

        ``config`` is the section `preprocess`. Raises UserError, naming the file, where it cannot be an example; by
        default a task reads no single files.
        """
        raise UserError(f"{path}: {type(self).__name__} reads no single files: it has no read_example")

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """Files in the folder ``out`` that show one stored example to a person: .png, .wav, .txt."""
        (out / "values.txt").write_text(np.array2string(row, threshold=200) + "\n", encoding="utf-8")

    def answer(  # noqa: B027 - a task that draws no answers leaves it empty
        self, row: np.ndarray, y: np.ndarray, output: np.ndarray | None, spec: Spec, out: Path
    ) -> None:
        """Files in ``out`` that show a stored example with what is true, and with what a model says; by default none.

        ``y`` and ``output`` are its row of the stored y and of a model's outputs; ``output`` None: no model was asked.
        """

    def show(self, row: np.ndarray, y: np.ndarray, output: np.ndarray | None, spec: Spec, out: Path) -> None:
        """Write the files of ``answer`` into the empty folder ``out``; where there are none, those of ``example``."""
        self.answer(row, y, output, spec, out)
        if not any(out.iterdir()):
            self.example(row, spec, out)

    def decide(self, predict: Callable, prepared: Path, config, spec: Spec, seed: int) -> Decision:
        """When an answer counts: a threshold that is chosen on the val split, and its price on the test split.

        ``predict`` turns model inputs [n, *shape] into outputs [n, …]; ``config`` is the section `train`. By default
        every answer counts.
        """
        return Decision({}, {}, pd.DataFrame(columns=DET))

    def check(self, config) -> None:  # noqa: B027 - a task without such values leaves it empty
        """Raise UserError where values of different sections do not fit together; ``config`` is the whole config."""


def pictures(
    head: Head, draw: Callable, split: Split, spec: Spec, out: Path, outputs: np.ndarray | None = None
) -> None:
    """Write ``<name>.png`` into ``out`` for each example of a split that a person looks at first.

    ``draw`` is ``Task.show`` or ``Task.answer``; ``outputs`` are what a model says of the split. An example that is not
    drawn has no picture. Raises UserError for a name that could lead out of the folder.
    """
    for name, row in head.shown(split.y, spec).items():
        try:
            target = out / labels.file_name(name, ".png")
        except ValueError as error:
            raise UserError(f"{paths.PREPARED}/spec.json: a label cannot name a picture: {error}") from None
        with tempfile.TemporaryDirectory(prefix="edge-") as folder:
            draw(split.x[row], split.y[row], None if outputs is None else outputs[row], spec, Path(folder))
            for picture in Path(folder).glob("*.png"):
                shutil.move(picture, target)


def names() -> list[str]:
    """The tasks there are, by the name of their folder."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/__init__.py"))


def load(name: str) -> Task:
    """The object TASK of ``tasks/<name>``; raises UserError where there is none, or it misses part of the contract."""
    if name not in names():
        raise UserError(f"params.yaml: task = {name!r}: allowed are {', '.join(names())}")
    where = f"tasks/{name}/__init__.py"
    try:
        task = importlib.import_module(f"tasks.{name}").TASK
    except AttributeError:
        raise UserError(f"{where} has no TASK: see the contract in docs/architecture.md") from None
    except TypeError as error:  # Python's own words for an abstract method that is missing
        raise UserError(f"{where}: {error}: see the contract in docs/architecture.md") from None
    missing = [part for part in ("head", "Collect", "Preprocess", "Train") if not hasattr(task, part)]
    if missing:
        raise UserError(f"{where}: TASK lacks {', '.join(missing)}: see the contract in docs/architecture.md")
    return task


class Budget(settings.Section):
    """What a model may cost before it ships; None: not asked."""

    bytes: int | None = Field(None, ge=1)
    latency_p95_ms: float | None = Field(None, gt=0)
    instructions: int | None = Field(None, ge=1)
    memory_mb: float | None = Field(None, gt=0)


class Params(settings.Section):
    """params.yaml: the four switches a person turns every day, and what a model may cost."""

    task: str
    quant: Literal["fp32", "fp16", "int8", "int8_dynamic"]
    device: str | list[str] = Field(min_length=1)
    seed: int = Field(ge=0, lt=2**31)
    budget: Budget = Budget()

    @property
    def devices(self) -> list[str]:
        """The names in ``device``, one or a list, each once."""
        return list(dict.fromkeys([self.device] if isinstance(self.device, str) else self.device))


class Settings(NamedTuple):
    """Everything a stage is told: the switches, the task, and its validated config."""

    params: Params
    task: Task
    config: Any


def selected() -> Settings:
    """Validate params.yaml and the whole config of its task; raises UserError before any work is done."""
    params = settings.validate(Params, settings.read(paths.PARAMS), paths.PARAMS)
    task = load(params.task)
    devices = settings.read(paths.DEVICES)
    for name in params.devices:
        if name not in devices:
            raise UserError(f"{paths.PARAMS}: device = {name!r}: {paths.DEVICES} has {', '.join(devices)}")
    sections = {
        "collect": task.Collect,
        "preprocess": task.Preprocess,
        "train": task.Train,
        "convert": settings.Convert,
        "quantize": settings.Quantize,
        "evaluate_on_device": settings.EvaluateOnDevice,
        "budget": settings.Goal,
    }
    model = create_model("Config", __base__=settings.Section, **{name: (kind, ...) for name, kind in sections.items()})
    path = paths.CONFIGS / f"{params.task}.yaml"
    config = settings.validate(model, settings.read(path), path)
    try:
        task.check(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return Settings(params, task, config)
