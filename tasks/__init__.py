"""One folder per task: the only code that knows the domain. docs/architecture.md has the contract."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from pydantic import Field, create_model

from edge.core import paths, settings
from edge.core.errors import UserError

CONTRACT = ("LABEL", "Collect", "Preprocess", "Train", "sources", "prepare", "build", "augment", "score", "figures")
CONTRACT += ("example",)


def names() -> list[str]:
    """The tasks there are, by the name of their folder."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/__init__.py"))


def load(name: str) -> ModuleType:
    """Import ``tasks/<name>``; raises UserError for an unknown name or one that misses part of the contract."""
    if name not in names():
        raise UserError(f"params.yaml: task = {name!r}: allowed are {', '.join(names())}")
    task = importlib.import_module(f"tasks.{name}")
    missing = [part for part in CONTRACT if not hasattr(task, part)]
    if missing:
        raise UserError(f"tasks/{name} lacks {', '.join(missing)}: see the task contract in docs/architecture.md")
    return task


class Budget(settings.Section):
    """What a model may cost before it ships; None: not asked."""

    accuracy: float | None = Field(None, ge=0, le=1)
    accuracy_drop: float | None = Field(None, ge=0, le=1)
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
    """Everything a stage is told: the switches, the task's module, and its validated config."""

    params: Params
    task: ModuleType
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
    }
    model = create_model("Config", __base__=settings.Section, **{name: (kind, ...) for name, kind in sections.items()})
    path = paths.CONFIGS / f"{params.task}.yaml"
    return Settings(params, task, settings.validate(model, settings.read(path), path))
