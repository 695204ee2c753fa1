"""Boards over a real ssh server on this machine, and locally: one path, and a clear line for each failure."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml

from edge.core import files, settings
from edge.core.errors import UserError
from edge.devices import entries, evaluation, link, results
from stages import evaluate_on_device as stage
from tests.device import models
from tests.device.models import entry, local, ssh
from tests.edge.devices import sshd
from tests.imports import ROOT


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An ssh server for the whole file: the client's config and the port."""
    with sshd.server(tmp_path_factory.mktemp("sshd")) as config_and_port:
        yield config_and_port


@pytest.fixture
def model(tmp_path) -> Path:
    """A small model."""
    return models.linear(tmp_path / "edge.onnx")


def evaluate(board: entries.Device, model: Path) -> results.Results:
    """Measure with little work."""
    return evaluation.evaluate(board, models.work(model))


def python(folder: Path, *lines: str) -> str:
    """A Python interpreter that runs shell ``lines`` before the runner: bundle and results are in $bundle, $results."""
    path = folder / "python"
    args = 'case "$3" in device.measure.runner) bundle=$4 results=$5'
    path.write_text("\n".join(("#!/bin/sh", args, *lines, ";; esac", f'exec {shlex.quote(sys.executable)} "$@"', "")))
    path.chmod(0o755)
    return str(path)


def message(board: entries.Device, model: Path) -> str:
    """The one line with which a measurement fails."""
    with pytest.raises(UserError) as caught:
        evaluate(board, model)
    return str(caught.value)


def test_ssh_gives_what_local_gives(tmp_path, server, model):
    """Outputs over ssh are those of the local path, bit by bit, and the report names model, machine and runtime."""
    here, there = evaluate(local(tmp_path / "a"), model), evaluate(ssh(tmp_path / "b", server[0]), model)
    np.testing.assert_array_equal(here.outputs, there.outputs)
    assert here.outputs.shape == (70, 3) and len(there.series["ms"]) == 60
    assert there.report.model_sha256 == files.sha256(model)
    assert here.report.board == there.report.board
    assert there.report.runtime.startswith("onnxruntime ")


def test_bundle_is_sent_once(tmp_path, server, model):
    """A second run of the same job finds its folder by content and replaces no file; another model gets its own."""
    board = ssh(tmp_path, server[0])
    evaluate(board, model)
    before = {path: path.stat().st_ino for path in (tmp_path / "board/bundles").rglob("*.*")}
    evaluate(board, model)
    assert {path: path.stat().st_ino for path in (tmp_path / "board/bundles").rglob("*.*")} == before
    evaluate(board, models.linear(tmp_path / "other.onnx", seed=5))
    assert len(list((tmp_path / "board/bundles").iterdir())) == 2


def test_corrupted_bundle_is_repaired(tmp_path, server, model):
    """A file that rotted on the board, with size and time unchanged, is sent again."""
    board = ssh(tmp_path, server[0])
    first = evaluate(board, model)
    (rotten,) = (tmp_path / "board/bundles").glob("*/inputs.npy")
    times = rotten.stat()
    rotten.write_bytes(rotten.read_bytes()[:-1] + b"!")
    os.utime(rotten, ns=(times.st_atime_ns, times.st_mtime_ns))
    np.testing.assert_array_equal(evaluate(board, model).outputs, first.outputs)


def test_relative_root_is_below_home(tmp_path, model, monkeypatch):
    """A relative root starts at the home folder, not in the repository."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    evaluate(local(tmp_path, root="cache/edge"), model)
    assert (tmp_path / "home/cache/edge/bundles").is_dir()


def test_changed_host_key(tmp_path, server, model):
    """A board that answers with another key than the known one is refused by name of the cause."""
    other = sshd.generate_key(tmp_path / "other")
    keys = Path(server[0]).parent
    for name in ("user", "user.pub"):
        (tmp_path / name).write_text((keys / name).read_text())
        (tmp_path / name).chmod(0o600)
    config = sshd.client_config(tmp_path, server[1], other)
    assert "host key changed" in message(ssh(tmp_path, config), model)


def test_unknown_host_key(tmp_path, server, model):
    """A board that was never connected to is refused, and nothing is added to known_hosts."""
    sshd.generate_key(tmp_path / "user")
    config = sshd.client_config(tmp_path, server[1], "")
    (tmp_path / "known_hosts").write_text("")
    assert "host key is unknown" in message(ssh(tmp_path, config), model)
    assert (tmp_path / "known_hosts").read_text() == ""


def test_refused_login(tmp_path, server, model):
    """A key that the board does not know is told apart from the rest."""
    sshd.generate_key(tmp_path / "user")
    known = (Path(server[0]).parent / "host.pub").read_text()
    config = sshd.client_config(tmp_path, server[1], known)
    assert "refused the login" in message(ssh(tmp_path, config), model)


def test_unreachable(tmp_path, model):
    """A port where nothing listens is told as such."""
    sshd.generate_key(tmp_path / "user")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        config = sshd.client_config(tmp_path, closed.getsockname()[1], "")
        assert "cannot be reached" in message(ssh(tmp_path, config), model)


@pytest.mark.parametrize("where", ("local", "ssh"))
def test_python_missing(tmp_path, server, model, where):
    """A wrong `python` is named, over both transports."""
    board = local(tmp_path, python="no-python") if where == "local" else ssh(tmp_path, server[0], python="no-python")
    assert "python cannot be started there" in message(board, model)


@pytest.mark.parametrize("name", ("SIGKILL", "SIGILL", "SIGSEGV"))
def test_killed_runner(tmp_path, server, model, name):
    """A runner killed by a signal is told by the signal's name, although ssh alone would only say 255."""
    board = ssh(tmp_path, server[0], python=python(tmp_path, f"kill -{getattr(signal, name).value} $$"))
    assert name in message(board, model)


def test_time_is_limited_on_the_board(tmp_path, server, model):
    """A runner that does not end is stopped by the board itself when its time is up."""
    board = ssh(tmp_path, server[0], python=python(tmp_path, "exec tail -f /dev/null"), timeout=1)
    assert "not finished in 1 s" in message(board, model)


def test_rsync_missing(tmp_path, model):
    """A board without rsync is told as such."""
    (tmp_path / "bin").mkdir()
    for name in ("sh", "timeout"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    force = f'ForceCommand PATH={tmp_path}/bin; eval "$SSH_ORIGINAL_COMMAND"'
    with sshd.server(tmp_path / "sshd", force) as (config, _):
        assert "rsync is missing" in message(ssh(tmp_path, config), model)


def test_chatty_shell(tmp_path, model):
    """A login shell that prints a greeting is named as the cause."""
    force = 'ForceCommand echo welcome to my board; eval "$SSH_ORIGINAL_COMMAND"'
    with sshd.server(tmp_path / "sshd", force) as (config, _):
        assert "start-up file" in message(ssh(tmp_path, config), model)


def test_link_cut_once_is_retried(tmp_path, model):
    """A connection that dies in the middle of a transfer is made again and the run succeeds."""
    cut = f'case "$SSH_ORIGINAL_COMMAND" in rsync*) mkdir {tmp_path}/cut 2>/dev/null && kill -9 $PPID;; esac'
    with sshd.server(tmp_path / "sshd", f'ForceCommand {cut}; eval "$SSH_ORIGINAL_COMMAND"') as (config, _):
        assert evaluate(ssh(tmp_path, config), model).outputs.shape == (70, 3)
    assert (tmp_path / "cut").is_dir()


def test_link_cut_while_measuring(tmp_path, model):
    """A connection that dies during the measurement is an error that says to run again."""
    cut = 'case "$SSH_ORIGINAL_COMMAND" in *device.measure.runner*) kill -9 $PPID;; esac'
    with sshd.server(tmp_path / "sshd", f'ForceCommand {cut}; eval "$SSH_ORIGINAL_COMMAND"') as (config, _):
        assert "run it again" in message(ssh(tmp_path, config), model)


def test_bundle_corrupted_on_the_board(tmp_path, server, model):
    """A bundle that changes between transfer and run is refused by the runner."""
    board = ssh(tmp_path, server[0], python=python(tmp_path, 'printf x >> "$bundle/candidate.onnx"'))
    assert "candidate.onnx is not the file that was sent" in message(board, model)


def test_results_of_another_model(tmp_path, server, model):
    """A board that runs another bundle than the one sent is found out by the model's sha256."""
    other = models.work(models.linear(tmp_path / "other.onnx", seed=9))
    evaluation.make_bundle(tmp_path / "foreign", local(tmp_path), other)
    swap = f'export PYTHONPATH={tmp_path}/foreign; set -- -P -m device.measure.runner {tmp_path}/foreign "$results"'
    assert "results are of another model" in message(ssh(tmp_path, server[0], python=python(tmp_path, swap)), model)


def test_results_of_another_run(tmp_path, model):
    """Results whose run id is not the one sent are refused."""
    run = f'{shlex.quote(sys.executable)} -P -m device.measure.runner "$bundle" {tmp_path}/old'
    swap = f'{run} && cp -r {tmp_path}/old "$results"; exit'
    assert "results are of another run" in message(local(tmp_path, python=python(tmp_path, swap)), model)


@pytest.mark.parametrize("name", ("outputs.npy", "manifest.sha256", "complete"))
def test_damaged_results(tmp_path, model, name):
    """Results that changed after they were written are refused."""
    swap = f'{shlex.quote(sys.executable)} "$@" && printf x >> "$results/{name}"; exit'
    assert "results are damaged" in message(local(tmp_path, python=python(tmp_path, swap)), model)


@pytest.mark.parametrize(
    "damage",
    [
        'rm "$results/complete"; mkfifo "$results/complete"',
        'echo "00  /dev/zero" >> "$results/manifest.sha256"',
        'rm "$results/outputs.npy"; ln -s /dev/zero "$results/outputs.npy"',
    ],
)
def test_a_hostile_board_cannot_hang_the_host(tmp_path, model, damage):
    """Pipes, links and paths elsewhere among the results are neither fetched nor read."""
    swap = f'{shlex.quote(sys.executable)} "$@" && {{ {damage}; }}; exit'
    assert "results are damaged" in message(local(tmp_path, python=python(tmp_path, swap)), model)


REWRITE = """
import io, json, sys, zipfile
from pathlib import Path
import numpy as np
from device.measure import runner
here = Path(sys.argv[1])
report = json.loads((here / "results.json").read_text())
def header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()
def steps(**options):
    with zipfile.ZipFile(here / "steps.npz", "w", **options) as archive:
        for name in ("samples", "scores"):
            archive.writestr(name + ".npy", header((10**9,)) + bytes(10**6))
DAMAGE
(here / "results.json").write_text(json.dumps(report))
(here / runner.COMPLETE).write_text(runner.write_manifest(here))
"""


def dishonest(folder: Path, damage: str) -> str:
    """A Python whose results are whole and well-formed, but for what the Python lines ``damage`` do to them."""
    (folder / "rewrite.py").write_text(REWRITE.replace("DAMAGE", damage))
    rewrite = f'{shlex.quote(sys.executable)} {folder}/rewrite.py "$results"'
    return python(folder, f'{shlex.quote(sys.executable)} "$@" && PYTHONPATH="$bundle" {rewrite}; exit')


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("report = {}", "results.json: run_id: Field required"),
        ("report['peak_memory_mb']['candidate'] = float('nan')", "results.json: peak_memory_mb.candidate = nan"),
        ("report['peak_memory_mb']['candidate'] = -60", "results.json: peak_memory_mb.candidate = -60"),
        ("report['passes'] = []", "results.json: passes = []"),
        ("report['passes'][0]['threads'] = -7", "results.json: passes.0.threads = -7"),
        ("report['passes'][0]['models']['candidate']['load_ms'] = '1'", "passes.0.models.candidate.load_ms = '1'"),
        ("report['state']['free_mb_min'] = 'much'", "results.json: state.free_mb_min = 'much'"),
        ("report['board']['machine'] = 'x' * 10**6", "results.json: board.machine = 'xxx"),
        ("report['attempts'] = 0", "results.json: attempts = 0"),
        ("report['scores'] = {'accuracy': 1.0}", "results.json: scores"),
        ("report = [[]] * 10**6", "results.json"),
        ("np.save(here / 'outputs.npy', np.array(['0.5'] * 70))", "outputs.npy: its header, <U3"),
        ("(here / 'outputs.npy').write_bytes(header((10**12, 3)))", "outputs.npy: its header, float32 (1000000000000"),
        ("steps()", "samples.npy: its header, float32 (1000000000,)"),
        ("steps(compression=zipfile.ZIP_DEFLATED)", "steps.npz: samples.npy is packed"),
        ("np.savez(here / 'steps.npz', other=np.ones(3))", "steps.npz does not hold the steps"),
        ("(here / 'series.csv').write_text('model,ms\\n')", "series.csv: its columns are not model, threads"),
        ("(here / 'series.csv').write_text(TABLE % ('-7', '1.0'))", "series.csv: row 1: threads = '-7'"),
        ("(here / 'series.csv').write_text(TABLE % ('1', 'nan'))", "series.csv: row 1: ms = 'nan'"),
        ("(here / 'series.csv').write_text(TABLE % ('1', '-1.0'))", "series.csv: row 1: ms = '-1.0'"),
        ("(here / 'series.csv').unlink()", "series.csv is missing"),
        ("(here / 'outputs.npy').write_bytes(bytes(65 * 2**20))", "results are damaged"),
    ],
)
def test_nonsense_of_a_hostile_board_is_one_line(tmp_path, model, damage, says):
    """What no board can have measured, or no machine can hold, is refused by board and field."""
    table = "TABLE = 'model,threads,repeat,seconds,ms,temperature_c\\ncandidate,%s,0,1.0,%s,\\n'\n"
    split = models.split(models.clips(), np.zeros(70, int))
    config = settings.EvaluateOnDevice(warmup=2, runs=5, repeats=3, soak_minutes=0, examples=70)
    board = local(tmp_path, python=dishonest(tmp_path, table + damage))
    with pytest.raises(UserError) as caught:
        stage.evaluate("a", board, (model, model), split, config, models.TASK)
    assert says in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("lines[1:] = [line.replace(cells(line)[4], '0.000001') for line in lines[1:]]", "Timing: mean = 1.0"),
        ("lines = [line.replace('e,1,', 'e,9,') for line in lines]", "no pass has 9 threads"),
        ("del lines[1:4]", "do not have the same number of inferences"),
    ],
)
def test_a_series_that_no_board_measured_is_one_line(tmp_path, model, damage, says):
    """A latency of 1 ns, threads that no pass had, and repeats of which rows are gone, are refused by name."""
    read = "path = here / 'series.csv'\nlines = path.read_text().splitlines()\ncells = lambda line: line.split(',')\n"
    write = "\npath.write_text('\\n'.join(lines) + '\\n')"
    test_nonsense_of_a_hostile_board_is_one_line(tmp_path, model, read + damage + write, says)


def test_files_that_no_run_has_stay_on_the_board(tmp_path, model):
    """However many files a board puts beside its results, none but those of a run is fetched."""
    many = "for number in range(2000): (here / f'file{number}').write_text('x')"
    assert "results are damaged" in message(local(tmp_path, python=dishonest(tmp_path, many)), model)


FLOOD = """
import resource
from edge.core import errors
from edge.devices import link
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
here = link.Link("here", "/tmp", lambda script: ["sh", "-c", script])
errors.run(lambda: here.run(["sh", "-c", "exec base64 -w 0 /dev/zero"], 60, show=True))
"""


def test_a_board_that_prints_without_end_is_stopped():
    """Text without a newline and without an end neither fills this machine's memory nor its terminal."""
    done = subprocess.run([sys.executable, "-c", FLOOD], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: here: it printed more than 1,000,000 letters: stopped"
    assert len(done.stderr) < 2_000_000


def test_a_program_that_complains_without_end_is_stopped():
    """rsync and ssh pass on what a board says: of that, too, no more than a megabyte is kept."""
    done = link.call(["sh", "-c", "exec base64 -w 0 /dev/zero >&2"])
    assert done.returncode == -signal.SIGKILL and len(done.stderr) == link.MOST_LETTERS


def test_a_first_contact_that_makes_no_sense(tmp_path, model):
    """What a board answers in place of its facts is shown, without what a terminal would act on."""
    path = tmp_path / "python"
    path.write_text('#!/bin/sh\nprintf \'{"python": "3.x", "machine": "\\033[2J", "libc": ""}\\nRC=abc\\n\'\n')
    path.chmod(0o755)
    said = message(local(tmp_path, python=str(path)), model)
    assert "the first contact gave no facts but" in said and "\x1b" not in said


def test_results_missing(tmp_path, model):
    """A runner that ends well but leaves nothing is an error."""
    assert "No such file" in message(local(tmp_path, python=python(tmp_path, "exit 0")), model)


def test_root_that_cannot_be_made(tmp_path, server, model):
    """A root below a file is an error that shows what the board said."""
    (tmp_path / "board").write_text("")
    assert "Not a directory" in message(ssh(tmp_path, server[0]), model)


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [
        (11, 'rsync: write failed on "x": No space left on device (28)', "disk is full"),
        (23, 'rsync: mkstemp "x" failed: Read-only file system (30)', "read-only"),
        (23, 'rsync: mkstemp "x" failed: Permission denied (13)', "not writable"),
        (30, "rsync error: timeout in data send/receive (code 30)", "link broke (no message)"),
        (99, "strange", "status 99 (strange)"),
    ],
)
def test_explanations(status, text, says):
    """Exit statuses that need a broken board are explained from their status and text."""
    assert says in link.explain(status, text)


def test_words_are_quoted(tmp_path, server):
    """What comes from data reaches a program on the board as one word, whatever is in it."""
    evil = "a b; touch evil $(touch evil) `touch evil` 'x"
    with ssh(tmp_path, server[0]).connect() as board, pytest.raises(UserError) as caught:
        board.run(["sh", "-c", 'printf "%s" "$1"; exit 7', "sh", evil], 10)
    assert evil in str(caught.value)


def test_devices_yaml_of_the_project():
    """The project's own devices.yaml has a valid local device and a valid Pi."""
    path = ROOT / "devices.yaml"
    assert isinstance(entries.load("local", path), entries.Local)
    assert isinstance(entries.load("pi4", path), entries.Ssh)


@pytest.mark.parametrize(
    ("name", "changes", "parts"),
    [
        ("nowhere", {}, ["devices.yaml", "'nowhere'", "board"]),
        ("board", {"transport": "telnet"}, ["board.transport", "'telnet'", "local, ssh, emulated"]),
        ("board", {"threads": 0}, ["board.threads", "0"]),
        ("board", {"colour": "red"}, ["board.colour", "'red'"]),
        ("board", {"root": "-rf"}, ["board.root", "'-rf'"]),
        ("board", {"transport": "ssh", "host": "-oProxyCommand=x"}, ["board.host"]),
        ("board", {"transport": "ssh"}, ["board.host"]),
    ],
)
def test_wrong_entries(tmp_path, name, changes, parts):
    """A wrong entry is one line with the file, the key, its value and what is allowed."""
    path = tmp_path / "devices.yaml"
    path.write_text(yaml.safe_dump({"board": entry(tmp_path) | changes}))
    with pytest.raises(UserError) as caught:
        entries.load(name, path)
    assert all(part in str(caught.value) for part in parts)


RUN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with SIGINT ignored
from edge.core import errors
from edge.devices.link import Link
here = Link("here", "/tmp", lambda script: ["sh", "-c", script])
errors.run(lambda: here.run(["sh", "-c", "sleep 1000 & sleep 1000 & echo ready; wait"], 2000, show=True))
"""


def test_an_interrupt_leaves_no_process_here():
    """Ctrl-C in a run on this machine: one line, status 130, and nothing that it started is alive."""
    words = [sys.executable, "-c", RUN]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True) as process:
        assert process.stderr.readline() == "here: ready\n"
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 4, "shell, timeout, and the two that sleep"
        try:
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(timeout=20) == 130
            assert psutil.wait_procs(children, timeout=20)[1] == []
        finally:
            for one in (process, *children):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        assert process.stderr.read().startswith("error: interrupted")
