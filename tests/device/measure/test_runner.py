"""The runner alone, as it runs on a board: a process with two folders."""

import csv
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from device import failure
from device.measure import contact, runner
from edge.devices import evaluation
from tests.device import models


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A bundle of a small model and 70 inputs."""
    model = models.linear(tmp_path / "m.onnx")
    evaluation.make_bundle(tmp_path / "bundle", models.local(tmp_path), models.work(model, runs=30))
    return tmp_path / "bundle"


def said(done: subprocess.CompletedProcess) -> list[str]:
    """The lines on stderr; that it waited first is left out: other tests measure on this board at the same time."""
    return [line for line in done.stderr.splitlines() if not line.startswith("waiting: ")]


def run(bundle: Path, results: Path, *child: str, **variables: str) -> subprocess.CompletedProcess:
    """Run the bundle's runner."""
    words = [sys.executable, "-P", "-m", "device.measure.runner", bundle, results, *child]
    options = {"capture_output": True, "text": True, "check": False, "timeout": 120}
    return subprocess.run(words, env=environment(bundle) | variables, **options)


def environment(bundle: Path) -> dict[str, str]:
    """What the host sets: where code is, and where Python may write what it compiles."""
    return os.environ | {"PYTHONPATH": str(bundle), "PYTHONPYCACHEPREFIX": f"{bundle}-bytecode"}


def broken(folder: Path, line: str) -> str:
    """A PYTHONPATH before which ``import onnxruntime`` runs ``line``."""
    (folder / "broken").mkdir()
    (folder / "broken/onnxruntime.py").write_text(line)
    return f"{folder}/broken"


def test_results_are_whole_and_correct(bundle, tmp_path):
    """Outputs equal those of onnxruntime here, one row per run, memory and times are positive, hashes fit."""
    done = run(bundle, tmp_path / "results/r1")
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr
    results = tmp_path / "results/r1"
    assert (results / "complete").read_text().strip() == runner.check_manifest(results)
    report = json.loads((results / "results.json").read_text())
    assert report["run_id"] == "r1"
    assert report["bundle"] == runner.sha256(bundle / "manifest.sha256")
    assert report["model_sha256"] == runner.sha256(tmp_path / "m.onnx")
    assert report["runtime"] == f"onnxruntime {onnxruntime.__version__}"
    assert min(report["peak_memory_mb"].values()) > 0
    for one in report["passes"]:
        for facts in one["models"].values():
            assert min(facts["load_ms"], facts["first_inference_ms"]) > 0 and facts["warmup_runs"] % 2 == 0
    rows = list(csv.DictReader((results / "series.csv").open()))
    assert {(r["model"], r["repeat"]) for r in rows} == {(m, n) for m in ("candidate", "baseline") for n in "012"}
    assert len(rows) == 2 * 30 and min(float(row["ms"]) for row in rows) > 0
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    x = models.clips().astype(np.float32) * np.float32(models.SCALE)
    expected = np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])
    np.testing.assert_array_equal(np.load(results / "outputs.npy"), expected)
    with np.load(results / "steps.npz") as steps:
        np.testing.assert_array_equal(steps["samples"], x[:8])
        np.testing.assert_array_equal(steps["scores"], expected[:8])


def test_models_take_turns(bundle, tmp_path):
    """In time, blocks of five alternate A B B A, B A A B, and each repeat begins with the other model."""
    run(bundle, tmp_path / "results/r1")
    rows = list(csv.DictReader((tmp_path / "results/r1/series.csv").open()))
    for repeat, order in (("0", "ABBA"), ("1", "BAAB")):
        mine = sorted((row for row in rows if row["repeat"] == repeat), key=lambda row: float(row["seconds"]))
        letters = "".join("A" if row["model"] == "candidate" else "B" for row in mine)
        assert letters == "".join(letter * 5 for letter in order)


def test_memory_is_not_that_of_the_parent(bundle, tmp_path):
    """The figure comes from a small process of its own: a large parent does not raise it."""
    code = (
        "import os, sys, numpy; x = numpy.ones(50_000_000); sys.exit(os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:]))"
    )
    words = [
        sys.executable,
        "-c",
        code,
        sys.executable,
        "-P",
        "-m",
        "device.measure.runner",
        bundle,
        tmp_path / "results/r1",
    ]
    subprocess.run(words, check=True, timeout=120, env=environment(bundle))
    memory = json.loads((tmp_path / "results/r1/results.json").read_text())["peak_memory_mb"]
    assert max(memory.values()) < 300


@pytest.mark.parametrize(
    "name", ["candidate.onnx", "baseline.onnx", "inputs.npy", "job.json", "device/measure/work.py"]
)
def test_changed_file_is_refused(bundle, tmp_path, name):
    """One changed byte in any file of the bundle stops the run before a model is touched."""
    with open(bundle / name, "ab") as file:
        file.write(b"\n")
    done = run(bundle, tmp_path / "results/r1")
    assert done.returncode == failure.BUNDLE and name in done.stderr and len(said(done)) == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ("candidate.onnx", "manifest.sha256"))
def test_missing_file_is_refused(bundle, tmp_path, name):
    """A bundle that lacks a file ends in the same status."""
    (bundle / name).unlink()
    assert run(bundle, tmp_path / "results/r1").returncode == failure.BUNDLE


def test_foreign_file_is_refused(bundle, tmp_path):
    """A file that was not sent does not take part."""
    (bundle / "numpy.py").write_text("")
    done = run(bundle, tmp_path / "results/r1")
    assert done.returncode == failure.BUNDLE and "numpy.py" in done.stderr


def test_missing_runtime(bundle, tmp_path):
    """A runtime that cannot be imported ends in a line and a status of its own."""
    path = broken(tmp_path, "raise ImportError('libfoo.so: cannot open')")
    done = run(bundle, tmp_path / "results/r1", PYTHONPATH=f"{path}:{bundle}")
    assert done.returncode == failure.RUNTIME and "libfoo.so" in done.stderr and len(said(done)) == 1


def test_runtime_that_dies(bundle, tmp_path):
    """A runtime that dies of SIGILL when imported is named with its version and the signal."""
    path = broken(tmp_path, "import os; os.kill(os.getpid(), 4)")
    done = run(bundle, tmp_path / "results/r1", PYTHONPATH=f"{path}:{bundle}")
    assert done.returncode == failure.RUNTIME
    assert f"killed by SIGILL while importing onnxruntime {onnxruntime.__version__}" in done.stderr


def test_a_python_that_dies_at_once(bundle, tmp_path):
    """Where not even Python starts, that is what is said, with the signal."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -ILL $$\n")
    python.chmod(0o755)
    done = run(bundle, tmp_path / "results/r1", str(python))
    assert done.returncode == failure.RUNTIME and "killed by SIGILL while starting Python" in done.stderr


def test_broken_model(bundle, tmp_path):
    """A file that is no ONNX model ends in a line and a status of its own."""
    (bundle / "candidate.onnx").write_bytes(b"no model")
    runner.write_manifest(bundle)
    done = run(bundle, tmp_path / "results/r1")
    assert done.returncode == failure.MODEL and done.stderr.count("error: ") == 1


def test_inputs_of_another_shape(bundle, tmp_path):
    """Inputs that the model does not take end in the status of the model."""
    np.save(bundle / "inputs.npy", models.clips(size=7))
    runner.write_manifest(bundle)
    assert run(bundle, tmp_path / "results/r1").returncode == failure.MODEL


def test_unwritable_results(bundle, tmp_path):
    """A results folder that cannot be made ends in a line and a status of its own."""
    done = run(bundle, tmp_path / "m.onnx/r1")
    assert done.returncode == failure.STORAGE and len(said(done)) == 1


def test_second_run_waits(bundle, tmp_path):
    """While the board is held a runner says that it waits, and measures once the board is free."""
    board = os.open(runner.LOCK, os.O_RDONLY)
    fcntl.flock(board, fcntl.LOCK_EX)
    words = [sys.executable, "-P", "-m", "device.measure.runner", bundle, tmp_path / "results/r1"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment(bundle)) as process:
        assert "waiting" in process.stderr.readline()
        assert not (tmp_path / "results").exists()
        os.close(board)
        assert process.wait(120) == 0
    assert (tmp_path / "results/r1/complete").exists()


def test_a_bundle_is_held_and_marked_used_from_the_start(bundle, tmp_path):
    """A runner that still waits for its turn already keeps its bundle from being cleared out, however old it was."""
    os.utime(bundle, (0, 0))
    board = os.open(runner.LOCK, os.O_RDONLY)
    fcntl.flock(board, fcntl.LOCK_EX)
    words = [sys.executable, "-P", "-m", "device.measure.runner", bundle, tmp_path / "results/r1"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment(bundle)) as process:
        assert "waiting" in process.stderr.readline()
        assert not contact.free(bundle) and bundle.stat().st_mtime > 0
        os.close(board)
        assert process.wait(120) == 0
    assert contact.free(bundle)


def test_what_a_dead_run_left_is_reported_and_removed(bundle, tmp_path):
    """The next run names the run that was cut off and clears its folder; finished results stay."""
    (tmp_path / "results/.dead.partial/scratch").mkdir(parents=True)
    (tmp_path / "results/whole").mkdir()
    done = run(bundle, tmp_path / "results/r1")
    assert "an earlier run, dead, was cut off: removed" in done.stderr
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["r1", "whole"]


def test_a_run_goes_on_when_nobody_listens(bundle, tmp_path):
    """A message into a closed pipe, as after a broken link, does not end the run."""
    (tmp_path / "results/.dead.partial").mkdir(parents=True)
    there, here = os.pipe()
    os.close(there)
    words = [sys.executable, "-P", "-m", "device.measure.runner", bundle, tmp_path / "results/r1"]
    buffered = {key: value for key, value in environment(bundle).items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(words, stderr=here, check=False, timeout=120, env=buffered)
    os.close(here)
    assert done.returncode == 0 and (tmp_path / "results/r1/complete").exists()


def test_jobs_hold_the_board_when_the_runner_is_killed(bundle, tmp_path):
    """SIGKILL of the runner alone does not free the board while its job still computes."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho started >&2\nread forever\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    words = [sys.executable, "-P", "-m", "device.measure.runner", bundle, tmp_path / "results/r1", python]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, env=environment(bundle), **pipes) as process:
        assert "started\n" in iter(process.stderr.readline, "")
        process.kill()
        process.wait()
        board, used = (os.open(folder, os.O_RDONLY) for folder in (runner.LOCK, bundle))
        for descriptor in (board, used):
            with pytest.raises(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process.stdin.close()
        for descriptor in (board, used):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.close(descriptor)


def vcgencmd(folder: Path, throttled: str) -> str:
    """A PATH with a ``vcgencmd`` of a board at 1500 MHz and 50 degrees; ``throttled`` is shell that prints the bits."""
    (folder / "bin").mkdir()
    script = f"case $1 in measure_clock) echo 'frequency(48)=1500000000';; get_throttled) {throttled};; *) echo;; esac"
    (folder / "bin/vcgencmd").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin/vcgencmd").chmod(0o755)
    return f"{folder}/bin:{os.environ['PATH']}"


def with_limits(bundle: Path, **changes) -> None:
    """Change the limits in the bundle's job."""
    job = json.loads((bundle / "job.json").read_text())
    job["limits"] |= changes
    (bundle / "job.json").write_text(json.dumps(job))
    runner.write_manifest(bundle)


def test_a_throttled_run_is_made_again(bundle, tmp_path):
    """A run in which the board throttles is rejected with the reason; the next one, without, is the one reported."""
    with_limits(bundle, attempts=2, cooldown_s=0)
    path = vcgencmd(tmp_path, f"mkdir {tmp_path}/hot 2>/dev/null && echo throttled=0x4 || echo throttled=0x0")
    done = run(bundle, tmp_path / "results/r1", PATH=path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "results/r1/results.json").read_text())
    assert report["attempts"] == 2 and "throttled" in report["rejected"][0]
    assert len((tmp_path / "results/r1/series.csv").read_text().splitlines()) == 1 + 2 * 30


def test_a_board_that_keeps_throttling_fails(bundle, tmp_path):
    """After the last attempt there is no result, but a line with the reason and a status of its own."""
    with_limits(bundle, attempts=2, cooldown_s=0)
    done = run(bundle, tmp_path / "results/r1", PATH=vcgencmd(tmp_path, "echo throttled=0x1"))
    assert done.returncode == failure.STATE and "under-voltage" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "results/r1").exists()


def test_a_soak_brings_its_series(bundle, tmp_path):
    """A soak gives a row for each group of blocks, with both models."""
    job = json.loads((bundle / "job.json").read_text()) | {"soak_minutes": 0.005}
    (bundle / "job.json").write_text(json.dumps(job))
    runner.write_manifest(bundle)
    assert run(bundle, tmp_path / "results/r1").returncode == 0
    rows = list(csv.DictReader((tmp_path / "results/r1/soak.csv").open()))
    assert len(rows) > 1 and all(float(row["candidate_ms"]) > 0 and float(row["baseline_ms"]) > 0 for row in rows)


def test_needs_nothing_of_the_project(bundle, tmp_path):
    """The bundle runs from any folder with nothing of the repository importable."""
    shutil.move(bundle, tmp_path / "elsewhere")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "device.measure.runner", "elsewhere", "r1"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "elsewhere", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        timeout=120,
    )
    assert done.returncode == 0 and (tmp_path / "r1/complete").exists()


def named(letter: str) -> str:
    """The name of a bundle, a sha256, that begins with ``letter``."""
    return letter.ljust(64, "0")


def folders(root: Path, **ages: float) -> None:
    """Bundles of 2 MB each below ``root``, last used so many hours ago."""
    for name, hours in ages.items():
        folder = root / "bundles" / named(name)
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 2_000_000)
        used = contact.time.time() - hours * 3600
        os.utime(folder, (used, used))


def first_contact(root: Path, megabytes: float) -> dict:
    """Send the script as the host does."""
    words = [sys.executable, "-", root, str(megabytes)]
    text = Path(contact.__file__).read_text()
    return json.loads(subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout)


def test_first_contact_says_what_the_board_is(tmp_path):
    """Version of Python, machine and C library are those of this process."""
    found = first_contact(tmp_path, 100)
    assert found["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert found["machine"] == os.uname().machine and found["libc"].startswith("2.")


def test_old_and_large_are_pruned(tmp_path):
    """What is older than a week goes, then the longest unused until the rest fits; what was just sent stays."""
    folders(tmp_path, a=200, b=30, c=20, d=0.1)
    first_contact(tmp_path, 4.5)
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == [named("c"), named("d")]


def test_what_is_not_ours_is_never_pruned(tmp_path):
    """Folders, files and links of other names below root stay, however old and large."""
    (tmp_path / "results/thesis").mkdir(parents=True)
    (tmp_path / "results/thesis/data.csv").write_text("x" * 1000)
    (tmp_path / "results/notes.txt").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results" / ("a" * 32)).symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "results").iterdir():
        os.utime(path, (0, 0), follow_symlinks=False)
    before = sorted((tmp_path / "results").iterdir())
    first_contact(tmp_path, 0.0001)
    assert sorted((tmp_path / "results").iterdir()) == before and (tmp_path / "elsewhere").is_dir()


def test_two_contacts_at_once_do_not_meet(tmp_path):
    """Hosts that contact a board at the same time both succeed, and what is old goes once."""
    for round in range(5):
        folders(tmp_path, **dict.fromkeys("abcdef", 500 + round))
        words = [sys.executable, contact.__file__, tmp_path, "0.001"]
        both = [subprocess.Popen(words, stdout=subprocess.DEVNULL) for _ in range(2)]
        assert [process.wait() for process in both] == [0, 0]
        assert list((tmp_path / "bundles").iterdir()) == []


def test_what_is_in_use_is_never_pruned(tmp_path):
    """A bundle that a runner holds stays, however old it is and however little room there is."""
    folders(tmp_path, a=500)
    bundle = tmp_path / "bundles" / named("a")
    held = os.open(bundle, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    first_contact(tmp_path, 0.001)
    assert (bundle / "file").exists()
    os.close(held)
    first_contact(tmp_path, 0.001)
    assert not bundle.exists()
