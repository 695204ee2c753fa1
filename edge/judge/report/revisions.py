"""What git and DVC know of a run, in the workspace or at any revision, without running a stage."""

import io
import json
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import tasks
from edge.core import files, paths
from edge.core.errors import UserError
from edge.data import shards
from edge.devices import entries
from edge.heads import Head
from edge.models.formats import metadata, onnx_file
from edge.records import git, lock, measurement, metrics, status
from edge.records.measurement import Measurement
from edge.records.tree import WORKSPACE, Tree

LOCK = Path("dvc.lock")
METRICS = ("data", "train", "convert", "quantize")
TEST = tuple(paths.PREPARED / name for name in ("test.x.npy", "test.y.npy", "spec.json"))


@dataclass(frozen=True)
class Answers:
    """What the model that ships says of the test split: ``outputs`` [n, …] as the ``head`` of the task has them."""

    head: Head
    split: shards.Split
    spec: shards.Spec
    outputs: np.ndarray

    @cached_property
    def right(self) -> np.ndarray:
        """How right each example is, float64 [n], 0 to 1."""
        return self.head.right(self.split.y, self.outputs)

    @cached_property
    def score(self) -> float:
        """The headline."""
        return self.head.score(self.split.y, self.outputs)[self.head.headline]

    @cached_property
    def table(self) -> pd.DataFrame:
        """Columns example, actual, predicted."""
        return self.head.answers(self.split.y, self.outputs, self.spec)


class Revision:
    """A run: ``commit`` holds it, or is what the workspace is based on; ``absent`` names files that could not be read.

    Raises UserError where ``name`` is neither WORKSPACE nor a commit, branch, tag or DVC experiment.
    """

    def __init__(self, name: str):
        self.name, self.absent, self.tree = name, {}, Tree(name)
        self.commit = self.tree.commit

    def fetch(self, path: Path, target: Path) -> bool:
        """Copy a file of this run to ``target``; False, and a line in ``absent``, where neither git nor DVC has it."""
        try:
            self.tree.copy(path, target)
        except Exception as error:  # noqa: BLE001 - whatever a storage does, the report says so and goes on
            where = "the workspace" if self.name == WORKSPACE else "git or DVC's cache"
            kind = "" if isinstance(error, FileNotFoundError) else f" ({type(error).__name__})"
            self.absent[str(path)] = f"is not in {where}{kind}"
        return str(path) not in self.absent

    def read(self, path: Path) -> bytes:
        """The content of a file of this run; empty, and a line in ``absent``, where there is none."""
        with tempfile.TemporaryDirectory(prefix="edge-") as folder:
            target = Path(folder, path.name)
            return target.read_bytes() if self.fetch(path, target) else b""

    @cached_property
    def stages(self) -> dict:
        """The stages in dvc.lock, by name; empty where there was no run. Raises UserError where it cannot be read."""
        try:
            return (YAML(typ="safe", pure=True).load(self.read(LOCK)) or {}).get("stages", {})
        except (YAMLError, AttributeError):
            raise UserError(f"{self.name}: {LOCK} is not as DVC writes it: a conflict? docs/ci.md ends one") from None

    @cached_property
    def params(self) -> dict:
        """Every parameter that the run read, ``<file>:<key>``: what was run with, not what the files say since."""
        found = lock.parameters(self.stages, lock.upstream(self.stages, *self.stages)).items()
        return {f"{file}:{key}": value for file, values in found for key, value in metrics.flat(values).items()}

    @cached_property
    def outputs(self) -> dict[str, dict]:
        """md5 and size in bytes of each output, and ``nfiles`` of a folder, by path.

        In the workspace an output that was changed since the run has its size only, and one that was removed is
        left out.
        """
        listed = {out["path"]: out for stage in self.stages.values() for out in stage.get("outs", ())}
        for path, state in self.changes.get("changed outs", {}).items():
            listed.pop(path, None)
            if state == "modified" and Path(path).is_file():
                listed[path] = {"path": path, "size": Path(path).stat().st_size}
        return listed

    @cached_property
    def changes(self) -> dict[str, dict[str, str]]:
        """What `dvc status` says of the workspace, of ``changed deps`` and ``changed outs``, by path: a state.

        Empty for any other revision. Raises UserError where DVC cannot read the project.
        """
        return status.changes() if self.name == WORKSPACE and self.stages else {}

    @cached_property
    def head(self) -> Head | None:
        """The head of the task that was run; None where this checkout has no such task."""
        try:
            return tasks.load(self.params.get(f"{paths.PARAMS}:task", "")).head
        except UserError:
            return None

    @cached_property
    def labels(self) -> tuple[str, ...] | None:
        """The labels of the prepared data; None where they are absent."""
        content = self.read(paths.PREPARED / "spec.json") if self.stages else b""
        return tuple(json.loads(content)["labels"]) if content else None

    @cached_property
    def budget(self) -> dict:
        """``budget`` of params.yaml and of the task's config as one; empty where there is none, or no such file."""
        found = {}
        for path in (paths.PARAMS, paths.CONFIGS / f"{self.params.get(f'{paths.PARAMS}:task')}.yaml"):
            try:
                found |= (YAML(typ="safe", pure=True).load(self.read(path)) or {}).get("budget") or {}
            except (YAMLError, AttributeError, TypeError):
                continue
        return found

    @cached_property
    def metrics(self) -> dict[str, dict]:
        """The metrics files of the stages before the device, by name."""
        read = {name: self.json(paths.METRICS / f"{name}.json") for name in METRICS if self.stages}
        return {name: content for name, content in read.items() if content}

    def json(self, path: Path) -> dict:
        """The content of a metrics file of this run; empty, and a line in ``absent``, where there is none to read."""
        try:
            return json.loads(self.read(path) or "{}")
        except ValueError:
            self.absent[str(path)] = "is not JSON: dvc repro writes it again"
            return {}

    @cached_property
    def devices(self) -> dict[str, Measurement]:
        """What each device measured in the run, by name; a file of another form, device or model is ``absent``."""
        named, found = self.params.get(f"{paths.PARAMS}:device", []), {}
        for name in dict.fromkeys([named] if isinstance(named, str) else named):
            if not entries.ENTRY.fullmatch(name):
                self.absent[repr(name)] = "is no name of a device"
                continue
            path = str(measurement.file(name))
            if content := self.read(Path(path)):
                try:
                    found[name] = measurement.parse(content, name, self.sha256)
                except UserError as error:
                    self.absent[path] = str(error).removeprefix(f"{path} ")
        return found

    def series(self, device: str) -> pd.DataFrame | None:
        """Each measured inference on a device (model, threads, repeat, seconds, ms, …), where there are any."""
        if self.devices[device].latency is None:
            return None
        content = self.read(measurement.plot(device))
        return pd.read_csv(io.BytesIO(content)) if content else None

    def sha256(self, model: Path) -> str | None:
        """The sha256 of a model file that devices measure; None where it is not known."""
        with tempfile.TemporaryDirectory(prefix="edge-") as folder:
            target = Path(folder, "model")
            if self.fetch(model, target):
                return files.sha256(target)
        return self.metrics.get("quantize", {}).get("model_sha256") if model == paths.EDGE else None

    @cached_property
    def answers(self) -> Answers | None:
        """The answers of models/edge.onnx on this machine; None where model or test split are absent or damaged."""
        if not self.stages or self.head is None:
            return None
        with tempfile.TemporaryDirectory(prefix="edge-") as name:
            folder = Path(name)
            if not all(self.fetch(path, folder / path.name) for path in (paths.EDGE, *TEST)):
                return None
            try:
                split = shards.load(folder, "test")
                outputs = onnx_file.predict(folder / paths.EDGE.name, split)
                carried = metadata.read(onnx.load(folder / paths.EDGE.name))
                known = tuple(json.loads(carried["labels"]))  # with those that were enrolled
                spec = replace(shards.load_spec(folder), labels=known)
                answers = Answers(self.head, split, spec, outputs)
                answers.score, answers.table  # noqa: B018 - what cannot be scored is found here
                return answers  # split.x stays mapped when its file is gone
            except Exception as error:  # noqa: BLE001 - whatever a damaged model or split makes of itself
                self.absent[str(paths.EDGE)] = f"gives no answers to the test split ({type(error).__name__})"
                return None

    def stale(self) -> list[str]:
        """Inputs and outputs that are in the workspace other than in its run; empty for any other revision."""
        states = {path: state for found in self.changes.values() for path, state in found.items()}
        return [path for path, state in states.items() if state != "not in cache"]


def previous() -> str:
    """What the workspace is held against by default: HEAD, or the run before, where HEAD has the workspace's run."""
    here = LOCK.read_text(encoding="utf-8").strip() if LOCK.exists() else ""
    if git.output("show", f"HEAD:{LOCK}") != here:
        return "HEAD"
    for commit in git.output("log", "--format=%H", "--", str(LOCK)).split():
        if git.output("show", f"{commit}:{LOCK}") not in ("", here):
            return commit
    return "HEAD"


def same(before: Revision, after: Revision, path: Path) -> bool:
    """Whether an output is the same in both runs."""
    old, new = (side.outputs.get(str(path), {}).get("md5") for side in (before, after))
    return old is not None and old == new
