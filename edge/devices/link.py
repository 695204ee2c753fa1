"""An open way to a board: programs that run there, folders that go over and come back, and what each failure means."""

import collections
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from edge.core.errors import UserError

PLAIN = ("--no-links", "--no-devices", "--no-specials")  # what a board may send: files
RSYNC = ("rsync", "-a", "-O", "-s", "--delete", "--checksum", "--partial-dir=.rsync-partial", "--timeout=20")
RETRY_SECONDS = (1, 15)  # pauses before another attempt where the link broke during a transfer
KEEP_LINES = 100  # of what a program there prints
LINE_LETTERS = 1000  # of a line; the rest counts as the next line
MOST_LETTERS = 1_000_000  # of all that a program there may print
KILL_SECONDS = 10  # what a program gets to stop after its time is up

LINK = "it cannot be reached, or the link broke"
BUSY = "another host sends the same files at the same time: run it again"

# Exit statuses of ssh and rsync, a text on their stderr, and what to say; the first row that fits.
FAILURES = (
    (
        (255,),
        "IDENTIFICATION HAS CHANGED",
        "its host key changed; if that is expected: ssh-keygen -R, connect once by hand",
    ),
    ((255,), "host key is known", "its host key is unknown: connect once by hand with ssh and accept it"),
    ((255,), "Host key verification failed", "its host key is not the known one: connect once by hand with ssh"),
    ((255,), "Could not resolve hostname", "no such host: ~/.ssh/config wants an entry `Host` of this name"),
    ((255,), "Permission denied", "it refused the login: ssh-copy-id installs your key there"),
    ((12, 127), "not found", "rsync is missing there: sudo apt install rsync"),
    ((2, 12), "is your shell clean", "its login shell prints text in a start-up file, which breaks rsync: silence it"),
    ((11, 12, 23), "No space left", "its disk is full"),
    ((11, 23), "Read-only file system", "the folder `root` is on a read-only file system"),
    ((11, 23), "Permission denied", "the folder `root` is not writable"),
    ((23,), "rename", BUSY),
    ((24,), "", BUSY),
    ((10, 12, 30, 255), "", LINK),
)
SIGNALS = {signal.SIGKILL: "out of memory, or still busy when the time in `timeout` was up"}


@dataclass(frozen=True)
class Link:
    """An open way to a board.

    ``shell`` turns a shell script into the words that run it there; ``rsync`` are options, ``prefix`` precedes a path
    there; ``root`` is the folder of bundles, sites and results.
    """

    name: str
    root: str
    shell: Callable[[str], list[str]]
    rsync: tuple[str, ...] = ()
    prefix: str = ""

    def push(self, source: str, target: str) -> None:
        """Make the folder ``target`` there equal to ``source`` here; raises UserError."""
        self.transfer(f"{source}/", f"{self.prefix}{target}/")

    def pull(self, source: str, target: str, names: tuple[str, ...], most_mb: int) -> None:
        """Fetch the files ``names`` of the folder ``source`` there into ``target`` here; raises UserError.

        Whatever else is there stays there, and so does a file of more than ``most_mb`` MiB.
        """
        wanted = [f"--include=/{name}" for name in names]
        self.transfer(f"{self.prefix}{source}/", f"{target}/", *PLAIN, f"--max-size={most_mb}m", *wanted, "--exclude=*")

    def transfer(self, source: str, target: str, *options: str) -> None:
        """rsync, again where the link broke or another host was at it; raises UserError."""
        for pause in (*RETRY_SECONDS, None):
            done = call([*RSYNC, *self.rsync, *options, source, target])
            if done.returncode == 0:
                return
            if pause is None or cause(done.returncode, done.stderr) not in (LINK, BUSY):
                raise UserError(f"{self.name}: {explain(done.returncode, done.stderr)}", done.returncode)
            time.sleep(pause)

    def run(self, words: list[str], timeout: int, script: str = "", show: bool = False, lost: str = "") -> list[str]:
        """Run a program there for at most ``timeout`` seconds, ``script`` as its input; returns the lines it printed.

        ``show`` prints them as they come. Where it fails, its status and last line are explained, and ``lost`` is added
        where the link broke: raises UserError.
        """
        # the shell in between starts a program as the kernel does: timeout would hand a file it cannot run to a shell
        command = shlex.join(["timeout", "-k", str(KILL_SECONDS), str(timeout), "sh", "-c", 'exec "$@"', "sh", *words])
        status, lines = None, collections.deque([""], KEEP_LINES)
        with subprocess.Popen(
            self.shell(f"{command}; rc=$?; echo; echo RC=$rc; exit $rc"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                with contextlib.suppress(BrokenPipeError):  # it ended without reading: its status says why
                    process.stdin.write(script)
                    process.stdin.close()
                room = MOST_LETTERS
                while line := process.stdout.readline(LINE_LETTERS):
                    room -= len(line)
                    if room < 0:
                        stop(process.pid)
                        process.kill()
                        raise UserError(f"{self.name}: it printed more than {MOST_LETTERS:,} letters: stopped")
                    if found := re.fullmatch(r"RC=(\d{1,3})", line.strip()):
                        status = int(found[1])
                    elif line.strip():
                        lines.append("".join(letter if letter.isprintable() else "?" for letter in line.strip()))
                        if show:
                            sys.stderr.write(f"{self.name}: {lines[-1]}\n")
            except KeyboardInterrupt:
                stop(process.pid)
                raise
        if status is None:
            text = f"{self.name}: {explain(process.returncode, chr(10).join(lines))}{lost}"
            raise UserError(text, process.returncode)
        if status:
            raise UserError(f"{self.name}: {ended(status, words, timeout, lines[-1])}", status)
        return list(lines)


def stop(pid: int) -> None:
    """Kill what a process of this machine started, and all that these started: a process group does not hold them."""
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def ended(status: int, words: list[str], timeout: int, last: str) -> str:
    """What the exit status of a program there means; ``last`` is the last line it printed."""
    if status == 124:
        return f"not finished in {timeout} s, the `timeout` of devices.yaml ({last})"
    if status in (126, 127):
        return f"python cannot be started there: {last or words[0]}"
    if status - 128 in set(signal.Signals):
        killer = signal.Signals(status - 128)
        return f"killed by {killer.name}: {SIGNALS.get(killer, 'it crashed')}"
    return last.removeprefix("error: ") or f"it ended with status {status}"


def call(words: list[str]) -> subprocess.CompletedProcess:
    """Run a program of this machine in English; keeps the text on stderr, at most MOST_LETTERS of it.

    A program that prints more is killed: a board may be what speaks. Raises UserError where it is not installed.
    """
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    try:
        process = subprocess.Popen(words, env=os.environ | {"LC_ALL": "C"}, text=True, errors="replace", **pipes)
    except FileNotFoundError:
        raise UserError(f"{words[0]} is not installed on this machine: sudo apt install {words[0]}") from None
    with process:
        try:
            text = process.stderr.read(MOST_LETTERS)
            if len(text) == MOST_LETTERS:
                stop(process.pid)
                process.kill()
        except KeyboardInterrupt:
            stop(process.pid)
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, None, text)


def cause(status: int, text: str) -> str:
    """What an exit status of ssh or rsync with this text on stderr means."""
    says = (says for statuses, part, says in FAILURES if status in statuses and part in text)
    return next(says, f"failed with status {status}")


def explain(status: int, text: str) -> str:
    """The cause, and the last line of the text that says more than an exit status."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("rsync error:")]
    return f"{cause(status, text)} ({(lines or ['no message'])[-1]})"
