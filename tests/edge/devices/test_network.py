"""Boards behind a cable that is pulled, slowed or silent, and boards that are broken: a clear line for each failure."""

import struct
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from device import failure
from edge.core import errors, files
from edge.core.errors import UserError
from edge.devices import entries, evaluation, results
from tests.device import models
from tests.edge.devices import network, sshd

pytestmark = pytest.mark.skipif(bool(network.missing()), reason=network.missing())

SIZE = 200_000  # inputs of the large model; its file has 12 bytes for each
LABELS = 20_000  # outputs of the wide model
SLOW = "16mbit"  # the large model takes more than a second
PART = 1_000_000  # bytes of it that are on their way when the cable fails
UNREACHABLE = "board: it cannot be reached, or the link broke"


def entry(board: network.Board, **changes) -> entries.Device:
    """The board as an entry of devices.yaml."""
    return models.ssh(board.folder, board.config, **changes)


def evaluate(device: entries.Device, model: Path, **changes) -> results.Results:
    """Measure with little work."""
    return evaluation.evaluate(device, models.work(model, **{"runs": 1, "repeats": 1} | changes))


def message(device: entries.Device, model: Path, **changes) -> str:
    """The one line with which a measurement fails."""
    with pytest.raises(UserError) as caught:
        evaluate(device, model, **changes)
    return str(caught.value)


@pytest.fixture
def board(tmp_path) -> Iterator[network.Board]:
    """A board for one test."""
    with network.board(tmp_path / "board") as made:
        yield made


@pytest.fixture
def model(tmp_path) -> Path:
    """A small model."""
    return models.linear(tmp_path / "edge.onnx")


@contextmanager
def beside(call: Callable, *arguments, **named) -> Iterator[Future]:
    """Run a function beside the block."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call, *arguments, **named)


def until(true: Callable[[], object], run: Future | None = None) -> None:
    """Wait for a condition, while ``run`` has not ended."""
    limit = time.monotonic() + network.PATIENCE
    while not true():
        assert time.monotonic() < limit, "it did not happen"
        assert run is None or not run.done(), run.exception() or run.result()
        time.sleep(0.01)


def connected(board: network.Board) -> bool:
    """Whether an ssh client of this machine is there for the board."""
    return any(f"ssh -F {board.config}" in words for words in network.commands())


def bundles(board: network.Board, pattern: str) -> list[Path]:
    """Files in the board's bundles."""
    return list((board.folder / "board/bundles").glob(pattern))


def arriving(board: network.Board) -> bool:
    """Whether a part of the large model has come, under rsync's temporary name."""
    return any(path.stat().st_size > PART for path in bundles(board, "*/.*.onnx.*"))


def complete(board: network.Board) -> list[Path]:
    """Results that are whole on the board."""
    return list((board.folder / "board/results").glob("[!.]*/complete"))


def python(board: network.Board, *lines: str) -> str:
    """A Python of the board that runs shell ``lines`` before the runner, and keeps its process number in `pids`."""
    path = board.folder / "python"
    first = f'case "$3" in device.measure.runner) echo $$ >> {board.folder}/pids'
    path.write_text("\n".join(("#!/bin/sh", first, *lines, ";; esac", f'exec {sys.executable} "$@"', "")))
    path.chmod(0o755)
    return str(path)


def hold(board: network.Board, run: Future) -> str:
    """Stop the run in the middle: it holds the board; returns its process number."""
    until(lambda: board.locks() == (1, 0), run)
    pid = (board.folder / "pids").read_text().split()[-1]
    board.kill("STOP", pid)
    return pid


def transfers(board: network.Board) -> bool:
    """Whether an rsync of the board is alive."""
    return any("rsync --server" in words for words in network.commands(board.pid))


def sending(board: network.Board, fail: Callable[[], None]) -> None:
    """The connection dies in the middle of a file and the cable works again: it is sent again, nothing is left over."""
    large, stored = models.linear(board.folder / "large.onnx", SIZE), {"stored": models.clips(2, SIZE)}
    board.throttle(SLOW)
    with beside(evaluate, entry(board), large, **stored) as run:
        until(lambda: arriving(board), run)
        fail()
        until(lambda: not connected(board), run)
        board.mend()
        assert run.result().report.model_sha256 == files.sha256(large)
    until(lambda: not transfers(board))
    assert evaluate(entry(board), large, **stored).report.model_sha256 == files.sha256(large)
    assert not bundles(board, "*/.*/*")


def sending_for_good(board: network.Board, fail: Callable[[], None]) -> None:
    """The cable stays broken: no model there looks whole; an evaluation later sends only what is missing."""
    large, stored = models.linear(board.folder / "large.onnx", SIZE), {"stored": models.clips(2, SIZE)}
    board.throttle(SLOW)
    with beside(message, entry(board), large, **stored) as run:
        until(lambda: arriving(board), run)
        fail()
        assert run.result().startswith(UNREACHABLE)
    assert not bundles(board, "*/*.onnx")
    board.mend()
    until(lambda: bundles(board, "*/.rsync-partial/*.onnx"))
    before = board.counter("tx")
    assert evaluate(entry(board), large, **stored).report.model_sha256 == files.sha256(large)
    everything = sum(path.stat().st_size for path in bundles(board, "*/**/*") if path.is_file())
    assert board.counter("tx") - before < everything - PART / 2
    assert not bundles(board, "*/.*")


def measuring(board: network.Board, fail: Callable[[], None]) -> None:
    """The run goes on without the cable; the next evaluation waits for it, and both leave whole results."""
    model, device = models.linear(board.folder / "edge.onnx"), entry(board, python=python(board))
    with beside(message, device, model) as run:
        first = hold(board, run)
        fail()
        said = run.result()
        assert said.startswith(UNREACHABLE) and "run it again: it waits" in said
    assert not complete(board)
    board.mend()
    with beside(evaluate, device, model) as run:
        until(lambda: board.locks() == (1, 1), run)
        board.kill("CONT", first)
        assert run.result().outputs.shape == (70, 3)
    assert len(complete(board)) == 2


def fetching(board: network.Board, fail: Callable[[], None]) -> None:
    """The connection dies while results come back and the cable works again: they are fetched again, whole."""
    wide = models.linear(board.folder / "wide.onnx", labels=LABELS)
    board.throttle(SLOW)
    with beside(evaluate, entry(board), wide) as run:
        until(lambda: complete(board), run)
        before = board.counter("rx")
        until(lambda: board.counter("rx") > before + PART, run)
        fail()
        until(lambda: not connected(board), run)
        board.mend()
        assert run.result().outputs.shape == (70, LABELS)
    assert len(complete(board)) == 1


def absent(board: network.Board, fail: Callable[[], None]) -> None:
    """The board does not answer at all."""
    fail()
    assert message(entry(board), models.linear(board.folder / "edge.onnx")).startswith(UNREACHABLE)


CASES = [(case, fault) for case in (sending, measuring, fetching, absent) for fault in ("cut", "stall")]
CASES += [(sending_for_good, "cut"), (absent, "hang")]


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Iterator[dict[tuple, Future]]:
    """Every case on a board of its own, all at the same time: they wait more than they work."""
    folder = tmp_path_factory.mktemp("cases")

    def do(case: Callable, fault: str) -> None:
        with network.board(folder / f"{case.__name__}-{fault}") as board:
            case(board, getattr(board, fault))

    with ThreadPoolExecutor(len(CASES)) as pool:
        yield {(case, fault): pool.submit(do, case, fault) for case, fault in CASES}


@pytest.mark.parametrize(("case", "fault"), CASES)
def test_broken_cable(cases, case, fault):
    """A cable that is pulled or loses everything, and a server that hangs: the case says what must happen."""
    cases[case, fault].result()


def test_changed_host_key(board, tmp_path, model):
    """A board that answers with another key than the known one is refused, and nothing is sent."""
    config = sshd.client_config(board.folder, 22, sshd.generate_key(tmp_path / "other"), address=board.address)
    assert "host key changed" in message(entry(board, ssh_config=config), model)
    assert not (board.folder / "board").exists()


def test_disk_full_while_sending(board):
    """A disk that is too small for the model is named, and nothing there looks like a whole model."""
    board.disk(board.folder / "board", "size=2m")
    large = models.linear(board.folder / "large.onnx", SIZE)
    assert "disk is full" in message(entry(board), large, stored=models.clips(1, SIZE))
    words = ["find", str(board.folder / "board"), "-name", "*.onnx", "-not", "-path", "*/.rsync-partial/*"]
    assert board.command(*words) == ""


def test_disk_full_while_measuring(board, model):
    """A disk that fills up before the results are written is named, and no results look whole."""
    root = board.folder / "board"
    board.disk(root, "size=2m")
    fill = python(board, f"dd if=/dev/zero of={root}/other 2>/dev/null")
    assert "disk full" in message(entry(board, python=fill), model)
    assert board.command("find", str(root), "-name", "complete") == ""


def test_leftover_of_another_transfer(board, model):
    """A part of a file that another transfer left beside a whole bundle does not make it useless."""
    first = evaluate(entry(board), model)
    (bundle,) = bundles(board, "*")
    (bundle / ".rsync-partial").mkdir()
    (bundle / ".rsync-partial/inputs.npy").write_text("part")
    np.testing.assert_array_equal(evaluate(entry(board), model).outputs, first.outputs)


def test_read_only_root(board, model):
    """A folder on a read-only file system is named."""
    board.disk(board.folder / "board", "ro")
    assert "read-only file system" in message(entry(board), model).lower()


@pytest.mark.parametrize("content", ("", "#!/no/such/interpreter\n"))
def test_python_that_cannot_be_started(board, model, content):
    """A `python` without the right to run, or for an interpreter that is not there, is named."""
    path = board.folder / "python"
    path.write_text(content)
    path.chmod(0o755 if content else 0o644)
    assert "cannot be started" in message(entry(board, python=str(path)), model)


def test_python_for_another_processor(board, model):
    """A `python` that is a program for aarch64 is named as such, on a board that is none."""
    path = board.folder / "python"
    header = struct.pack(
        "<4s5B7xHHI3QI6H", b"\x7fELF", 2, 1, 1, 0, 0, 2, 183, 1, 0x400078, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    path.write_bytes(header + struct.pack("<2I6Q", 1, 5, 0, 0x400000, 0x400000, 0x1000, 0x1000, 0x1000))
    path.chmod(0o755)
    said = message(entry(board, python=str(path)), model)
    assert "cannot be started" in said and "Exec format error" in said


def test_killed_while_measuring(board, model):
    """A run that is killed in the middle is told by the signal; it leaves no whole results, and the board is free."""
    device = entry(board, python=python(board))
    with beside(message, device, model) as run:
        board.kill("KILL", hold(board, run))
        assert "SIGKILL" in run.result()
    until(lambda: board.locks() == (0, 0))
    assert not complete(board)
    assert evaluate(device, model).outputs.shape == (70, 3)
    assert not list((board.folder / "board/results").glob(".*"))


def test_two_at_the_same_time(board, model, capsys):
    """Of two evaluations the second says that it waits for the first; both succeed."""
    device = entry(board, python=python(board))
    with beside(evaluate, device, model) as one:
        first = hold(board, one)
        with beside(evaluate, device, model) as two:
            until(lambda: board.locks() == (1, 1), two)
            board.kill("CONT", first)
            np.testing.assert_array_equal(one.result().outputs, two.result().outputs)
    assert capsys.readouterr().err.count("waiting: another run holds this board") == 1
    assert len(complete(board)) == 2


def test_boards_do_not_wait_for_each_other(board, tmp_path, model):
    """Two boards on this machine hold locks of their own: one finishes while the other is held."""
    with beside(evaluate, entry(board, python=python(board)), model) as run:
        first = hold(board, run)
        with network.board(tmp_path / "other") as other:
            assert evaluate(entry(other), model).outputs.shape == (70, 3)
        assert not run.done()
        board.kill("CONT", first)


def test_failure_as_a_person_sees_it(board, model, capsys):
    """One line, the exit status of a board that cannot store, no trace-back; the metrics before are as they were."""
    metrics = board.folder / "device.json"
    metrics.write_text('{"model_sha256": "of another model"}\n')
    board.disk(board.folder / "board", "ro")
    with pytest.raises(SystemExit) as caught:
        errors.run(lambda: files.write_json(metrics, evaluate(entry(board), model).report))
    assert caught.value.code == failure.STORAGE
    assert metrics.read_text() == '{"model_sha256": "of another model"}\n'
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: board: ") and "read-only" in line.lower()
