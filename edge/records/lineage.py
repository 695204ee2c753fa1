"""Where a model file comes from and how to build it again, from the file alone.

The file names task, labels, seed, settings, quantization, code, data and its parents. A commit whose dvc.lock lists
this very file is looked for in the repository at hand, DVC experiments included: it has code and settings to check out.
"""

import hashlib
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import onnx
from google.protobuf.message import DecodeError

from edge.core import files, paths
from edge.core.errors import UserError
from edge.models.formats import metadata
from edge.records import git, lock

COMMIT = re.compile(r"(?P<code>none|[0-9a-f]{40})(\+changes)?")
LONGEST = 200  # letters of an entry that are shown: a vocabulary has thousands
WHOLE = ("settings", "quantize")  # what a person sets again to rebuild
SETTINGS = ("params.yaml", "configs", "devices.yaml", "requirements.txt")


class Run(NamedTuple):
    """A run that made the file: the commit of its dvc.lock, DVC's stage, the path there, and parameters up to it."""

    commit: str
    stage: str
    path: str
    params: dict


def onnx_metadata(path: Path) -> dict[str, str]:
    """The entries of an ONNX file; raises ValueError where it is not a model."""
    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise ValueError(error) from None
    if not model.graph.node:
        raise ValueError("there is no graph in it")
    return metadata.read(model)


def tflite_metadata(path: Path) -> dict[str, str]:
    """The entries of a TFLite file; raises ValueError where it is not a model."""
    from edge.models.formats import tflite  # so that an ONNX file is explained without LiteRT

    tflite.Interpreter(path)  # checks every offset of the file
    return tflite.read_metadata(path)


READERS = {".onnx": onnx_metadata, ".tflite": tflite_metadata}


def entries_of(path: Path) -> dict[str, str]:
    """The entries that the pipeline wrote into a model file; raises UserError where there are none."""
    if path.suffix not in READERS:
        raise UserError(f"{path}: lineage is read from {' and '.join(READERS)} files")
    if not path.is_file():
        raise UserError(f"{path} is missing: name a model file")
    try:
        entries = READERS[path.suffix](path)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of its parser
        raise UserError(f"{path} is not a {path.suffix} model: {error}") from None
    if not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
        raise UserError(f"{path} has no lineage: its metadata are not names and texts")
    if not COMMIT.fullmatch(entries.get("git_commit", "")):
        raise UserError(f"{path} has no lineage: its metadata name no git_commit, so this pipeline did not write it")
    return entries


def find_run(path: Path) -> Run | None:
    """The first commit, on any branch or in any DVC experiment, whose dvc.lock lists the bytes of this file."""
    with open(path, "rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    search = ("log", "--all", "--reverse", "--diff-merges=first-parent", "--no-patch", "--format=%H", f"-S{md5}")
    search += ("--", ":/dvc.lock")
    for commit in git.output(*search).split():
        stages = lock.content(commit, "dvc.lock").get("stages", {})
        for name, stage in stages.items():
            for output in stage.get("outs", []):
                if output.get("md5") == md5:
                    return Run(commit, name, output["path"], lock.parameters(stages, lock.upstream(stages, name)))
    return None


def rebuild(repository: str, entries: dict[str, str], code: str, run: Run | None, digest: str) -> list[str]:
    """Shell lines that build the file again in a folder of its own, as far as what is known goes."""
    there, data = shlex.quote(repository), entries.get("data_sha256", "")
    lines = [f"git clone {there} rebuild && cd rebuild"]
    if run is None:
        return [*lines, f"git checkout {code}"]
    lines.append(f"git fetch {there} {run.commit}")
    if same_code(entries, code, run):
        lines.append(f"git checkout {run.commit}")
    else:
        lines += [f"git checkout {code}", f"git checkout {run.commit} -- {' '.join(SETTINGS)}"]
    return lines + [
        "make setup && . .venv/bin/activate",
        f"dvc repro {run.stage}",
        f"echo {shlex.quote(f'{data}  {paths.PREPARED}/manifest.csv')} | sha256sum --check",
        f"echo {shlex.quote(f'{digest}  {run.path}')} | sha256sum --check",
    ]


def same_code(entries: dict[str, str], code: str, run: Run) -> bool:
    """Whether the commit of the run has the code that made the file, be it committed or changed since."""
    if entries["git_commit"] != code:
        return True  # what was changed is in the commit of the run, if anywhere
    stages = ("convert", "quantize")  # one writes the entry; the other may have copied the file
    return code in {git.code_commit(stage, entries.get("task", ""), run.commit) for stage in stages}


def edited(run: Run) -> list[str]:
    """Parameters that the files in the commit of the run have other than the run itself, ``<file>:<key>``."""
    found = []
    for file, values in run.params.items():
        there = lock.content(run.commit, file)
        found += [f"{file}:{key}" for key, value in values.items() if there.get(key) != value]
    return found


def doubts(entries: dict[str, str], code: str, run: Run | None) -> list[str]:
    """Why a rebuilt file may not have the same bytes; empty where nothing is known against it."""
    if code == "none":
        return ["it was made where git had no commit of the code: the code is not known, there is nothing to rebuild"]
    changes, found = entries["git_commit"] != code, []
    if git.output("cat-file", "-t", code) != "commit":
        found.append(f"the repository at hand has no commit {code}: run this in the one that made the model")
    if changes:
        found.append(
            f"the working tree differed from {code}; what was not committed with the run is lost, and as the file says "
            "+changes, no clean rebuild has its bytes"
        )
    if "enrolled" in entries:
        found.append("the examples of what is enrolled are in no commit: put the same files into data/enrolled/<task>")
    if run and (other := edited(run)):
        found.append(f"in the commit of the run these are other than in the run, set them as above: {', '.join(other)}")
    if run is None:
        found.append(
            "no commit here has a dvc.lock with this file: commit dvc.lock where the run is here; else set params.yaml "
            "and the config of the task as task, seed, settings and quantize say above, then dvc repro"
        )
    return found


def explain(path: Path) -> str:
    """The lineage of a model file and the commands that build it again, as text; raises UserError."""
    entries, digest, run = entries_of(path), files.sha256(path), find_run(path)
    code, repository = COMMIT.fullmatch(entries["git_commit"])["code"], git.output("rev-parse", "--show-toplevel")
    lines = [str(path), f"  sha256: {digest}"]
    lines += [f"  {printable(key)}: {printable(shown(key, value))}" for key, value in sorted(entries.items())]
    if run:
        lines += [f"run: {run.commit} lists it as {run.path}, made by {run.stage}"]
        lines += [f"  {file}: {json.dumps(values, sort_keys=True)}" for file, values in sorted(run.params.items())]
    lines += [f"not exact: {doubt}" for doubt in doubts(entries, code, run)]
    if code != "none" and repository:
        commands = rebuild(repository, entries, code, run, digest)
        lines += ["rebuild, on a processor of the same family:", *(f"  {command}" for command in commands)]
    return "\n".join(lines)


def shown(key: str, value: str) -> str:
    """The value of an entry, cut where it is long and nobody needs all of it to rebuild the file."""
    if len(value) <= LONGEST or key in WHOLE:
        return value
    return f"{value[:LONGEST]}… ({len(value):,} letters)"


def printable(text: str) -> str:
    """Text of a file as it is, or quoted where it holds what a terminal would act on."""
    return text if text.isprintable() else repr(text)
