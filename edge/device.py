"""How the host talks to a board: an entry of devices.yaml, its transport, one path from model to checked results."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from device import runner
from edge import files, paths, settings
from edge.errors import UserError

RSYNC = ("rsync", "-a", "-s", "--delete", "--checksum", "--partial-dir=.rsync-partial", "--timeout=20")
SSH = ("StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=2")
SSH += ("ServerAliveCountMax=3", "LogLevel=ERROR", "ControlMaster=auto", "ControlPersist=60")
RETRY_SECONDS = (1, 5)  # pauses before another attempt where the link broke during a transfer
KILL_SECONDS = 10  # what a runner gets to stop after its time is up
KEEP_DAYS = 7  # bundles and results on the board that nobody used for so long are removed

NAME = r"^[\w/.][\w./@+-]*$"  # no word that a program takes for an option
LINK = "it cannot be reached, or the link broke"

# Exit statuses of ssh, mkdir and rsync, a text on their stderr, and what to say; the first row that fits.
FAILURES = (
    (
        (255,),
        "IDENTIFICATION HAS CHANGED",
        "its host key changed; if that is expected: ssh-keygen -R, connect once by hand",
    ),
    ((255,), "host key is known", "its host key is unknown: connect once by hand with ssh and accept it"),
    ((255,), "Host key verification failed", "its host key is not the known one: connect once by hand with ssh"),
    ((255,), "Permission denied", "it refused the login: ssh-copy-id installs your key there"),
    ((12, 127), "not found", "rsync is missing there: sudo apt install rsync"),
    ((2, 12), "is your shell clean", "its login shell prints text in a start-up file, which breaks rsync: silence it"),
    ((1, 11, 12, 23), "No space left", "its disk is full"),
    ((1, 11, 23), "Read-only file system", "the folder `root` is on a read-only file system"),
    ((1, 11, 23), "Permission denied", "the folder `root` is not writable"),
    ((10, 12, 30, 255), "", LINK),
)
SIGNALS = {
    signal.SIGILL: "the runtime has instructions that this processor lacks: install another version",
    signal.SIGKILL: "out of memory, or still busy when the time in `timeout` was up",
}


@dataclass(frozen=True)
class Link:
    """An open way to a board.

    ``shell`` turns a shell script into the words that run it there; ``rsync`` are options, ``prefix`` precedes a path
    there; ``root`` is the folder of bundles and results.
    """

    name: str
    root: str
    shell: Callable[[str], list[str]]
    rsync: tuple[str, ...] = ()
    prefix: str = ""


class Device(settings.Section):
    """What every entry of devices.yaml has."""

    transport: str
    threads: int = Field(ge=1, le=64)
    root: str = Field(pattern=NAME)
    timeout: int = Field(ge=1)

    def interpreter(self) -> list[str]:
        """The words that start Python there."""
        raise NotImplementedError

    def connect(self):
        """Context manager that yields a Link."""
        raise NotImplementedError


class Local(Device):
    """This machine, through the same steps as a board; a relative ``root`` is below the home folder, as with ssh."""

    transport: Literal["local"]
    python: str | None = Field(pattern=NAME)

    def interpreter(self) -> list[str]:
        return [self.python or sys.executable]

    @contextmanager
    def connect(self) -> Iterator[Link]:
        yield Link("this machine", str(Path.home() / self.root), lambda script: ["sh", "-c", script])


class Ssh(Device):
    """A board behind ssh: ``host`` is an alias in the user's ssh config, or in the file ``ssh_config``."""

    transport: Literal["ssh"]
    python: str = Field(pattern=NAME)
    host: str = Field(pattern=NAME)
    ssh_config: str | None = None

    def interpreter(self) -> list[str]:
        return [self.python]

    @contextmanager
    def connect(self) -> Iterator[Link]:
        """One connection, shared by all steps through a socket in a private folder."""
        with tempfile.TemporaryDirectory(prefix="edge-ssh-") as private:
            config = ["-F", self.ssh_config] if self.ssh_config else []
            options = [word for option in (*SSH, f"ControlPath={private}/socket") for word in ("-o", option)]
            ssh = ["ssh", *config, *options]
            try:
                yield Link(
                    self.host,
                    self.root,
                    lambda script: [*ssh, self.host, f"exec sh -c {shlex.quote(script)}"],
                    ("-e", shlex.join(ssh)),
                    f"{self.host}:",
                )
            finally:
                call([*ssh, "-O", "exit", self.host])


TRANSPORTS: dict[str, type[Device]] = {"local": Local, "ssh": Ssh}


@dataclass(frozen=True)
class Results:
    """A checked measurement: the runner's report, latencies int64 [runs] in nanoseconds, and outputs [n, ...]."""

    report: dict
    latencies: np.ndarray
    outputs: np.ndarray


def load(name: str, path: Path = paths.DEVICES) -> Device:
    """The entry ``name`` of devices.yaml; raises UserError for an unknown device or transport or a wrong value."""
    entries = settings.read(path)
    if not isinstance(entry := entries.get(name), dict):
        raise UserError(f"{path}: device = {name!r}: allowed are {', '.join(entries)}")
    if (transport := entry.get("transport")) not in TRANSPORTS:
        raise UserError(f"{path}: {name}.transport = {transport!r}: allowed are {', '.join(TRANSPORTS)}")
    return settings.validate(TRANSPORTS[transport], entry, path, prefix=name)


def evaluate(device: Device, model: Path, stored: np.ndarray, scale: float, warmup: int, runs: int) -> Results:
    """Measure ``model`` on the device, and run it on ``stored`` integers [n, *shape] x ``scale``; raises UserError."""
    job = {"runs": runs, "scale": scale, "threads": device.threads, "warmup": warmup}
    with tempfile.TemporaryDirectory(prefix="edge-") as temporary, device.connect() as link:
        bundle, results = Path(temporary, "bundle"), Path(temporary, "results")
        digest, run_id = make_bundle(bundle, model, stored, job), uuid.uuid4().hex
        bundle_there, results_there = f"{link.root}/bundles/{digest}", f"{link.root}/results/{run_id}"
        prepare(link)
        transfer(link, f"{bundle}/", f"{link.prefix}{bundle_there}/")
        words = [*device.interpreter(), f"{bundle_there}/runner.py", bundle_there, results_there]
        run(link, words, device.timeout)
        transfer(link, f"{link.prefix}{results_there}/", f"{results}/")
        return read_results(results, link, run_id, digest, runner.sha256(bundle / "model.onnx"))


def make_bundle(folder: Path, model: Path, stored: np.ndarray, job: dict) -> str:
    """Write what travels; returns the sha256 of its manifest. Equal content gives an equal sha256."""
    folder.mkdir()
    shutil.copy(model, folder / "model.onnx")
    shutil.copy(runner.__file__, folder / "runner.py")
    np.save(folder / "inputs.npy", stored, allow_pickle=False)
    files.write_json(folder / "job.json", job)
    return runner.write_manifest(folder, runner.BUNDLE_FILES)


def prepare(link: Link) -> None:
    """Open the connection, make the folders on the board and clear out old ones; raises UserError."""
    folders = shlex.join([f"{link.root}/bundles", f"{link.root}/results"])
    old = f"-mindepth 1 -maxdepth 1 -mtime +{KEEP_DAYS} -exec rm -rf {{}} +"
    done = call(link.shell(f"mkdir -p {folders} && find {folders} {old}"))
    if done.returncode:
        raise UserError(f"{link.name}: {explain(done.returncode, done.stderr)}")


def transfer(link: Link, source: str, target: str) -> None:
    """Make the folder ``target`` equal to ``source``, again where the link broke; raises UserError."""
    for pause in (*RETRY_SECONDS, None):
        done = call([*RSYNC, *link.rsync, source, target])
        if done.returncode == 0:
            return
        if pause is None or cause(done.returncode, done.stderr) != LINK:
            raise UserError(f"{link.name}: {explain(done.returncode, done.stderr)}")
        time.sleep(pause)


def run(link: Link, words: list[str], timeout: int) -> None:
    """Run a program there for at most ``timeout`` seconds, showing what it prints; raises UserError where it fails."""
    command = shlex.join(["timeout", "-k", str(KILL_SECONDS), str(timeout), *words])
    status, lines = None, [""]
    with subprocess.Popen(
        link.shell(f"{command}; rc=$?; echo; echo RC=$rc; exit $rc"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout:
            if line.startswith("RC="):
                status = int(line[3:])
            elif line.strip():
                lines.append(line.strip())
                print(f"{link.name}: {lines[-1]}", file=sys.stderr, flush=True)
    if status is None:
        raise UserError(
            f"{link.name}: {explain(process.returncode, lines[-1])}; run it again, it waits for the first run"
        )
    if status == 124:
        raise UserError(f"{link.name}: not finished in {timeout} s, the `timeout` of devices.yaml ({lines[-1]})")
    if status in (126, 127):
        raise UserError(f"{link.name}: python = {words[0]!r} cannot be started there ({lines[-1]})")
    if status - 128 in set(signal.Signals):
        killer = signal.Signals(status - 128)
        raise UserError(f"{link.name}: the runner was killed by {killer.name}: {SIGNALS.get(killer, 'it crashed')}")
    if status:
        raise UserError(f"{link.name}: {lines[-1].removeprefix('error: ') or f'the runner ended with status {status}'}")


def read_results(folder: Path, link: Link, run_id: str, bundle: str, model_sha256: str) -> Results:
    """Check that the results are whole and of this run, bundle and model, and read them; raises UserError."""
    try:
        complete = (folder / runner.COMPLETE).read_text().strip()
        whole = complete == runner.check_manifest(folder, runner.RESULT_FILES)
    except (OSError, runner.Failure) as error:
        raise UserError(f"{link.name}: the results are damaged: {error}") from None
    if not whole:
        raise UserError(f"{link.name}: the results are damaged: their manifest is not the one that was written")
    report = json.loads((folder / "results.json").read_text())
    for key, sent in {"run_id": run_id, "model_sha256": model_sha256, "bundle": bundle}.items():
        if report[key] != sent:
            raise UserError(
                f"{link.name}: the results are of another {key.split('_')[0]}: {report[key]}, sent was {sent}"
            )
    outputs = np.load(folder / "outputs.npy", allow_pickle=False)
    return Results(report, np.load(folder / "latencies.npy", allow_pickle=False), outputs)


def call(words: list[str]) -> subprocess.CompletedProcess:
    """Run a program of this machine and capture its text, in English; raises UserError where it is not installed."""
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "errors": "replace", "check": False}
    try:
        return subprocess.run(words, env=os.environ | {"LC_ALL": "C"}, **options)
    except FileNotFoundError:
        raise UserError(f"{words[0]} is not installed on this machine: sudo apt install {words[0]}") from None


def cause(status: int, text: str) -> str:
    """What an exit status of ssh, mkdir or rsync with this text on stderr means."""
    says = (says for statuses, part, says in FAILURES if status in statuses and part in text)
    return next(says, f"failed with status {status}")


def explain(status: int, text: str) -> str:
    """The cause, and the last line of the text that says more than an exit status."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("rsync error:")]
    return f"{cause(status, text)} ({(lines or ['no message'])[-1]})"


def measured(metrics: Path, model: Path) -> dict:
    """The content of metrics/device.json; raises UserError where it is absent or measured another model."""
    try:
        content, digest = json.loads(metrics.read_text()), files.sha256(model)
    except (OSError, ValueError) as error:
        raise UserError(f"{metrics} cannot be used, run dvc repro: {error}") from None
    if content.get("model_sha256") != digest:
        raise UserError(f"{metrics} measured another model: run dvc repro")
    return content
