"""The lineage of a model file, read from the file and the repository at hand, and the commands that build it again."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import yaml
from ai_edge_litert.tools import flatbuffer_utils

from edge.core import files
from edge.core.errors import UserError
from edge.models.formats import metadata, tflite
from edge.records import lineage
from tests.device import models

DATA = "d" * 64


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def head(tmp_path, monkeypatch) -> str:
    """A git repository in the working folder; its one commit."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    git("config", "user.name", "Test")
    git("config", "user.email", "test@example.org")
    Path("tasks").mkdir()
    Path("tasks/toy").mkdir()
    Path("tasks/toy/__init__.py").write_text("")
    stages = {name: {"deps": ["tasks/${task}"]} for name in ("convert", "quantize")}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    git("add", ".")
    git("commit", "--quiet", "-m", "Code")
    return git("rev-parse", "HEAD")


def described(path: Path, **entries: str) -> Path:
    """Write a small model with these entries."""
    model = onnx.load(models.linear(path))
    metadata.write(model, entries)
    onnx.save(model, path)
    return path


def commit_lock(model: Path) -> str:
    """Commit a dvc.lock that lists the model; returns the commit."""
    md5 = hashlib.md5(model.read_bytes()).hexdigest()
    stages = {
        "quantize": {"params": {"params.yaml": {"seed": 7}}, "outs": [{"path": "models/edge.onnx", "md5": md5}]},
        "evaluate-on-device": {"params": {"params.yaml": {"seed": 1, "device": "local"}}},  # of an earlier run
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    Path("params.yaml").write_text(yaml.safe_dump({"seed": 7}))
    git("add", "dvc.lock", "params.yaml", "tasks")
    git("commit", "--quiet", "-m", "A run")
    return git("rev-parse", "HEAD")


def test_the_printed_commands_build_the_same_bytes(toy, tmp_path):
    """From the file alone, under another name: entries, seed, settings, and commands that end with equal hashes."""
    shutil.copy(toy.folder / "models/edge.onnx", tmp_path / "from_a_board.onnx")
    text = toy.ok(sys.executable, "-m", "commands.explain", str(tmp_path / "from_a_board.onnx"))
    entries = lineage.entries_of(toy.folder / "models/edge.onnx")
    assert all(f"  {key}: {value}\n" in text for key, value in entries.items())
    assert f"sha256: {files.sha256(toy.folder / 'models/edge.onnx')}\n" in text
    assert '"seed": 1' in text
    assert '"learning_rate": 0.03' in text
    assert "not exact" not in text
    commands = [line.strip() for line in text.partition("rebuild, ")[2].splitlines()[1:]]
    [install] = [line for line in commands if line.endswith("make setup && . .venv/bin/activate")]
    commands.remove(install)  # the tests run in an environment that is set up
    said = toy.ok("bash", "-c", "\n".join(["set -e", f"cd {tmp_path}", *commands]))
    assert "data/prepared/manifest.csv: OK" in said
    assert any(f"models/{name}.onnx: OK" in said for name in ("edge", "model"))


def test_a_run_is_found_on_a_branch_and_in_a_dvc_experiment(head):
    """The commit whose dvc.lock lists the file is found where no branch leads to it, and its seed is printed."""
    model = described(Path("a.onnx"), git_commit=head, data_sha256=DATA, task="toy")
    run = commit_lock(model)
    assert lineage.find_run(model).commit == run
    git("update-ref", "refs/exps/aa/rusty-bell", run)
    git("reset", "--quiet", "--hard", head)
    assert lineage.find_run(model) == (run, "quantize", "models/edge.onnx", {"params.yaml": {"seed": 7}})
    text = lineage.explain(model)
    assert f"git checkout {run}\n" in text
    assert '"seed": 7' in text and "device" not in text
    assert "not exact" not in text


def test_the_code_of_then_and_the_settings_of_the_run(head):
    """Where the run was committed together with newer code, its settings go with the older code."""
    model = described(Path("a.onnx"), git_commit=head, task="toy")
    Path("tasks/toy/__init__.py").write_text("# newer\n")
    run = commit_lock(model)
    text = lineage.explain(model)
    assert f"git checkout {head}\n" in text
    assert f"git checkout {run} -- params.yaml" in text


def test_settings_edited_after_the_run_are_named(head):
    """A params.yaml in the commit of the run that is not what the run had is a doubt, by file and key."""
    model = described(Path("a.onnx"), git_commit=head, task="toy")
    run = commit_lock(model)
    Path("params.yaml").write_text("seed: 8\n")
    git("commit", "--quiet", "--all", "--amend", "-m", run)
    assert "set them as above: params.yaml:seed" in lineage.explain(model)


def test_a_conflict_that_was_committed_does_not_stop_the_search(head):
    """A dvc.lock in history that is no YAML and names the file is passed over."""
    model = described(Path("a.onnx"), git_commit=head, task="toy")
    md5 = hashlib.md5(model.read_bytes()).hexdigest()
    Path("dvc.lock").write_text(f"<<<<<<< HEAD\n  md5: {md5}\n=======\n: {{\n")
    git("add", "dvc.lock")
    git("commit", "--quiet", "-m", "Conflict")
    Path("dvc.lock").unlink()
    git("commit", "--quiet", "--all", "-m", "Gone")
    run = commit_lock(model)
    assert lineage.find_run(model).commit == run


def test_from_a_subfolder_and_outside_of_git(head, tmp_path_factory, monkeypatch):
    """The repository is found from its folders; without one the entries are printed, and no command."""
    model = described(Path("a.onnx"), git_commit=head, task="toy").resolve()
    commit_lock(model)
    monkeypatch.chdir("tasks")
    assert "not exact" not in lineage.explain(model)
    monkeypatch.chdir(tmp_path_factory.mktemp("nowhere"))
    text = lineage.explain(model)
    assert "task: toy" in text
    assert "git clone" not in text


def test_what_cannot_be_rebuilt_exactly_says_so(head):
    """A dirty tree, a commit that is not here, a run that was not committed, and no commit at all are each named."""
    model = described(Path("a.onnx"), git_commit=f"{head}+changes", data_sha256=DATA)
    unknown = lineage.explain(model)
    assert f"not exact: the working tree differed from {head}" in unknown
    assert "not exact: no commit here has a dvc.lock with this file" in unknown
    assert unknown.endswith(f"git checkout {head}")
    commit_lock(model)
    assert "has a dvc.lock" not in lineage.explain(model)
    elsewhere = described(Path("b.onnx"), git_commit="1" * 40)
    assert f"not exact: the repository at hand has no commit {'1' * 40}" in lineage.explain(elsewhere)
    for commit in ("none", "none+changes"):
        nowhere = lineage.explain(described(Path("c.onnx"), git_commit=commit))
        assert "not exact: it was made where git had no commit of the code" in nowhere
        assert "git clone" not in nowhere


@pytest.mark.parametrize("commit", [None, "--output=x", "main; reboot", "1" * 39])
def test_a_model_without_lineage_is_refused(head, commit):
    """A model with no commit, or with words in its place that would reach a command line, is one line."""
    model = described(Path("a.onnx"), **({"git_commit": commit} if commit else {"task": "toy"}))
    with pytest.raises(UserError, match="a.onnx has no lineage"):
        lineage.explain(model)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.onnx", b"", "a.onnx is not a .onnx model: there is no graph in it"),
        ("a.onnx", b"not a model", "a.onnx is not a .onnx model"),
        ("a.tflite", b"", "a.tflite is not a .tflite model"),
        ("a.tflite", b"not a model at all", "a.tflite is not a .tflite model"),
        ("a.tflite", b"\xff\xff\xff\x00TFL3", "a.tflite is not a .tflite model"),
        ("a.h5", b"", "a.h5: lineage is read from .onnx and .tflite files"),
        ("a.onnx", None, "a.onnx is missing"),
    ],
)
def test_what_is_no_model_is_one_line(head, name, content, words):
    """Empty, foreign, damaged and absent files are each refused by name."""
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        lineage.explain(Path(name))


def test_metadata_that_are_no_text_are_one_line(head):
    """Entries of an ONNX file that are no UTF-8, and a TFLite file whose entries are a list or hold a number."""
    model = described(Path("a.onnx"), git_commit=head, task="toys")
    model.write_bytes(model.read_bytes().replace(b"toys", b"\xff\xfe\xfd\xfc"))
    with pytest.raises(UserError, match="a.onnx has no lineage: its metadata are not names and texts"):
        lineage.explain(model)
    for entries in ([head], {"git_commit": 7}):
        model = flatbuffer_utils.read_model_from_bytearray(bytearray(tflite.identity()))
        model.metadata = []
        tflite.write_metadata(model, entries)
        Path("a.tflite").write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
        with pytest.raises(UserError, match="a.tflite has no lineage: its metadata are not names and texts"):
            lineage.explain(Path("a.tflite"))


def test_a_tflite_file_tells_the_same(head):
    """The entries of a TFLite file are read by its suffix."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(tflite.identity()))
    model.metadata = []
    tflite.write_metadata(model, {"git_commit": head, "task": "toy"})
    Path("a.tflite").write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    assert lineage.entries_of(Path("a.tflite")) == {"git_commit": head, "task": "toy"}


def test_text_of_a_file_does_not_reach_the_terminal_raw(head):
    """An escape sequence in the metadata is printed as characters."""
    model = described(Path("a.onnx"), git_commit=head, task="\x1b[2J")
    assert "\x1b" not in lineage.explain(model)
    assert r"\x1b[2J" in lineage.explain(model)


def test_a_long_entry_is_cut_and_settings_are_not(head):
    """A vocabulary of thousands of words is cut, with its length; what a person must set again is whole."""
    long = "word " * 200
    model = described(Path("a.onnx"), git_commit=head, vocabulary=long, settings=long, short="x" * 200)
    text = lineage.explain(model)
    assert f"  vocabulary: {long[:200]}… (1,000 letters)\n" in text
    assert f"  settings: {long}" in text
    assert f"  short: {'x' * 200}\n" in text
