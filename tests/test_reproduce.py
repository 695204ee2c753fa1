"""Two runs from nothing: what differs is found and named, nothing is measured, and no cache stands in for a run."""

import os
from contextlib import contextmanager

import pytest
import yaml

from benchmarks import clone, reproduce
from benchmarks.clone import change
from edge.core.errors import UserError
from tests.conftest import copy_project

MEASUREMENT = "test ! -e measured && mkdir metrics/devices && touch measured metrics/devices/a.txt"  # runs only once
LEAK = """
honest = Sign.prepare


def prepare(self, raw, out, config, seed):
    (out / "noise.bin").write_bytes({noise})
    return honest(self, raw, out, config, seed)


Sign.prepare = prepare
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The toy project with two of its stages and a measurement, after a committed run."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    change(project.folder / "params.yaml", task="toy")
    stages = yaml.safe_load((project.folder / "dvc.yaml").read_text())["stages"]
    kept = {name: stages[name] for name in ("collect", "preprocess")}
    kept["evaluate-on-device"] = {"cmd": MEASUREMENT, "deps": ["data/prepared"], "outs": ["metrics/devices"]}
    (project.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": kept}))
    project.ok("dvc", "repro")
    commit(project)
    return project


def commit(project) -> None:
    project.ok("git", "add", ".")
    project.ok("git", "commit", "--quiet", "-m", "A run")


@contextmanager
def leak(project, noise: str):
    """The project with a stage preprocess that writes the bytes ``noise`` too, committed; afterwards as before."""
    task = project.folder / "tasks/toy/__init__.py"
    before = task.read_text()
    task.write_text(before + LEAK.format(noise=noise))
    commit(project)
    yield
    task.write_text(before)
    commit(project)


@pytest.fixture
def run(project, monkeypatch, capfd, tmp_path):
    """Reproduce the project's last commit, with a cache for all repositories."""
    (tmp_path / "config").write_text(f"[cache]\n    dir = {tmp_path}/cache\n")
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path))
    monkeypatch.setattr(clone, "ROOT", project.folder)

    def run() -> tuple[str, str, str]:
        error = ""
        try:
            reproduce.main()
        except UserError as caught:
            error = str(caught)
        return error, *capfd.readouterr()

    return run


def test_equal_runs_pass(run):
    """Two equal runs pass, nothing is measured, and the hashes are those of the committed dvc.lock."""
    error, out, err = run()
    assert not error, err
    assert out.split("|")[3].strip() == "4 of 4"
    assert "This machine gives the hashes of the committed dvc.lock." in err


def test_an_output_that_differs_is_named(project, run):
    """The path of the clone in one file of a folder: folder, both hashes, file and byte are named, and nothing else."""
    with leak(project, 'b"abc" + Path.cwd().name.encode()'):
        error, out, err = run()
    assert error == "two runs from nothing differ in 1 paths, named above"
    assert out.split("|")[3].strip() == "3 of 4"
    (line,) = (line for line in err.splitlines() if line.startswith("differs: "))
    path, hashes, place = line.removeprefix("differs: ").split(": ")
    assert path == "data/prepared"
    assert len({digest for digest in hashes.split(" and ") if digest.endswith(".dir")}) == 2
    assert place == "data/prepared/noise.bin from byte 3"
    assert "other hashes than the committed dvc.lock for data/prepared." in err


def test_what_depends_on_the_processors_is_named(project, run):
    """The second run has one processor: an output that holds the number of processors is named."""
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("this machine has one processor: the first run had no more than the second")
    with leak(project, 'bytes([len(__import__("os").sched_getaffinity(0))])'):
        error, _, err = run()
    assert error == "two runs from nothing differ in 1 paths, named above"
    assert "data/prepared/noise.bin from byte 0" in err


def test_a_stage_that_fails_is_one_line(project, run):
    """A stage that fails in a clone ends the comparison with an error."""
    path = project.folder / "configs/toy.yaml"
    change(path, collect__source="moon")
    commit(project)
    assert "ended with exit status" in run()[0]


@pytest.mark.parametrize(
    ("first", "second", "offset"),
    [
        (b"", b"", None),
        (b"same", b"same", None),
        (b"abcd", b"abXX", 2),
        (b"abc", b"abcd", 3),
        (b"", b"a", 0),
        (bytes(10), bytes(9) + b"a", 9),
        (bytes(8), bytes(12), 8),
        (bytes(16), bytes(16), None),
    ],
)
def test_the_first_byte_that_differs(tmp_path, monkeypatch, first, second, offset):
    """The offset is right within a block, at its border, and at the end of the shorter file."""
    monkeypatch.setattr(reproduce, "BLOCK", 4)
    (tmp_path / "a").write_bytes(first)
    (tmp_path / "b").write_bytes(second)
    assert reproduce.first_difference(tmp_path / "a", tmp_path / "b") == offset


def test_what_is_in_one_only(tmp_path):
    """What only one dvc.lock or one folder has differs; beyond SHOWN files are counted."""
    outs = {"first": ["both", "gone"], "second": ["both"]}
    for name, paths in outs.items():
        (tmp_path / name / "both").mkdir(parents=True)
        entries = [{"path": path, "md5": f"{name} {path}"} for path in paths]
        (tmp_path / name / "dvc.lock").write_text(yaml.safe_dump({"stages": {"a": {"outs": entries}}}))
    (tmp_path / "first/gone").write_bytes(b"")
    (tmp_path / "first/both/extra").write_bytes(b"")
    assert reproduce.differences(tmp_path / "first", tmp_path / "second") == [
        "both: first both and second both: both/extra is in one clone only",
        "gone: first gone and None: gone is in one clone only",
    ]
    for number in range(6):
        (tmp_path / f"second/both/{number}").write_bytes(b"")
    assert reproduce.differences(tmp_path / "first", tmp_path / "second")[0].endswith(
        "/4 is in one clone only, and 2 more files"
    )
