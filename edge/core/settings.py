"""The one reader of YAML: every section is validated, and an error names file, key, value and what is allowed."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from edge.core.errors import UserError

SHOWN = 200  # characters of a wrong value that an error shows


class Section(BaseModel):
    """A section of a config file; unknown keys are errors, values are not coerced between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Recipe(Section):
    """How a model is trained, whatever the task; a task's ``Train`` adds what is its own."""

    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    warmup: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    patience: int = Field(ge=1)
    threads: int = Field(ge=1, le=64)


class Convert(Section):
    """Keras to ONNX."""

    opset: int = Field(ge=14, le=18)
    tolerance: float = Field(gt=0)


class Quantize(Section):
    """Post-training quantization."""

    per_channel: bool
    batch: int = Field(ge=1)


class EvaluateOnDevice(Section):
    """How the device measures."""

    warmup: int = Field(ge=1)
    runs: int = Field(ge=1)
    repeats: int = Field(ge=3)
    soak_minutes: float = Field(ge=0)
    examples: int = Field(ge=1)


class Goal(Section):
    """What the model that ships must reach; None: not asked."""

    score: float | None = Field(None, le=1)
    drop: float | None = Field(None, ge=0)


def read(path: Path) -> dict[str, Any]:
    """Parse a YAML 1.2 mapping, as DVC reads and writes it; raises UserError when it is absent, malformed or none."""
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run from the top of the repository") from None
    except RecursionError:
        raise UserError(f"{path} is not valid YAML: it is nested too deeply; correct its brackets") from None
    except (YAMLError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must be a mapping of keys to values")
    return content


def validate(model: type[BaseModel], content: Any, path: Path, prefix: str = "") -> Any:
    """Validate ``content`` against ``model``; raises UserError naming file, key, value and what is allowed."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {first_error(error, prefix)}") from None


def first_error(error: ValidationError, prefix: str = "") -> str:
    """The first thing that is wrong: key below ``prefix``, value where it is no mapping, and what is allowed."""
    first = error.errors()[0]
    key = ".".join(str(part)[:SHOWN] for part in (prefix, *first["loc"]) if part != "")
    shown = first["type"] != "missing" and isinstance(first["input"], str | int | float | list | None)
    value = f" = {_shown(first['input'])}" if shown else ""
    return f"{key}{value}: {first['msg']}".removeprefix(": ")


def _shown(value: Any) -> str:
    """A value as an error shows it, at most SHOWN characters."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
