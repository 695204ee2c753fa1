"""Boards on this machine behind a network cable: an ssh server in network, mount and process namespaces of its own.

Each board has an address, a /tmp (so a lock) and processes of its own; the cable can be pulled, slowed and made to lose
everything. All of it goes when the board's first process ends, at the latest when the thread that made the board does.
Needs root, iproute2 and util-linux.
"""

import functools
import ipaddress
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.edge.devices import sshd

SPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
PATIENCE = 60  # seconds after which an event that a test waits for does not happen
NOWHERE = ("neighbour", "replace", "lladdr", "02:00:00:00:00:01", "nud", "permanent", "to")
NETWORK = ipaddress.ip_network("198.18.0.0/15")  # addresses kept for tests of networks, RFC 2544
TRIAL = """
mount -t tmpfs tmpfs /run &&
ip link add name one type veth peer name two &&
tc qdisc add dev one root tbf rate 1mbit burst 32k latency 1s
"""

# $1 is the board's folder, $2 that of Python, which are there beside its own /tmp; the rest starts the ssh server once
# the cable is there.
START = """
set -e
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd /run/board /run/python
mount --bind "$1" /run/board
mount --bind "$2" /run/python
mount -t tmpfs tmpfs /tmp
mkdir -p "$1" "$2"
mount --bind /run/board "$1"
mount --bind /run/python "$2"
shift 2
echo ready
read -r _
exec "$@"
"""


@functools.cache
def missing() -> str:
    """Why boards cannot be made here; empty where they can."""
    words = [*SPACES, "sh", "-c", TRIAL]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return f"NO NETWORK NAMESPACES HERE, so no cable was pulled: {error}"
    return f"NO NETWORK NAMESPACES HERE, so no cable was pulled: {done.stderr.strip()}" if done.returncode else ""


class Board:
    """A running board: ``ssh -F config board`` reaches it; ``folder`` is the same files here and there."""

    def __init__(self, folder: Path, config: str, pid: int, ends: tuple[str, str], addresses: tuple[str, str]) -> None:
        self.folder, self.config, self.pid = folder, config, pid
        (self.here, self.there), (self.host, self.address) = ends, addresses

    def command(self, *words: str) -> str:
        """Run a program of the board; returns what it prints."""
        spaces = ["--net", "--mount", f"--pid=/proc/{self.pid}/ns/pid_for_children"]
        return subprocess.run(
            ["nsenter", f"--target={self.pid}", *spaces, *words], check=True, capture_output=True, text=True
        ).stdout

    def kill(self, name: str, pid: str) -> None:
        """Send a signal to a process, by the number that it has on the board."""
        self.command("sh", "-c", 'kill "$@"', "sh", f"-{name}", pid)

    def beside(self, *words: str) -> None:
        """Run a program of this machine, on its end of the cable."""
        subprocess.run(words, check=True)

    def cut(self) -> None:
        """Pull the cable."""
        self.command("ip", "link", "set", self.there, "down")

    def stall(self) -> None:
        """Lose every packet, both ways, without a word to either side: it is sent to a machine that is not there."""
        self.beside("ip", *NOWHERE, self.address, "dev", self.here)
        self.command("ip", *NOWHERE, self.host, "dev", self.there)

    def throttle(self, rate: str) -> None:
        """Slow the cable down, both ways: a rate as in ``8mbit``."""
        discipline = ("root", "tbf", "rate", rate, "burst", "32k", "latency", "100ms")
        self.beside("tc", "qdisc", "replace", "dev", self.here, *discipline)
        self.command("tc", "qdisc", "replace", "dev", self.there, *discipline)

    def mend(self) -> None:
        """Make the cable whole again, as slow as it was; returns when the board answers."""
        self.command("ip", "link", "set", self.there, "up")
        self.beside("ip", "neighbour", "flush", "dev", self.here, "nud", "all")
        self.command("ip", "neighbour", "flush", "dev", self.there, "nud", "all")
        limit = time.monotonic() + PATIENCE
        while True:
            try:
                return socket.create_connection((self.address, 22), 1).close()
            except OSError:
                assert time.monotonic() < limit, "the board does not answer"
                time.sleep(0.05)

    def hang(self) -> None:
        """Stop the ssh server: it accepts connections and says nothing."""
        signal_first(self.pid, signal.SIGSTOP)

    def counter(self, direction: str) -> int:
        """Bytes that went to (``tx``) or came from (``rx``) the board so far."""
        return int(Path(f"/sys/class/net/{self.here}/statistics/{direction}_bytes").read_text())

    def disk(self, folder: Path, options: str) -> None:
        """A disk of its own for a folder, with options of mount as ``size=1m`` or ``ro``."""
        self.command("mkdir", "-p", str(folder))
        self.command("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))

    def locks(self) -> tuple[int, int]:
        """How many of its processes have locked its /tmp, and how many wait to."""
        status = Path(f"/proc/{self.pid}/root/tmp").stat()
        key = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        waits = ["->" in line for line in Path("/proc/locks").read_text().splitlines() if key in line.split()]
        return waits.count(False), waits.count(True)


def signal_first(pid: int, number: int) -> None:
    """Send a signal to the first process of the board that ``pid`` started; the others end with it."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), number)


def commands(own: int | str = "self") -> list[str]:
    """The command lines of all processes in the network namespace of the process ``own``."""
    namespace, found = Path(f"/proc/{own}/ns/net").readlink(), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if (process / "ns/net").readlink() == namespace:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


@contextmanager
def board(folder: Path, *extra: str) -> Iterator[Board]:
    """A board whose files are in ``folder``, with further lines of the server's config."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = {device.name.rstrip("hb") for device in Path("/sys/class/net").iterdir()}
    number = random.choice([n for n in range(0, NETWORK.num_addresses, 4) if f"edge{n}" not in taken])
    here, there = f"edge{number}h", f"edge{number}b"
    host, address = (str(NETWORK.network_address + number + end) for end in (1, 2))
    server = sshd.prepare(folder, address, 22, *extra)
    config = sshd.client_config(folder, 22, (folder / "host.pub").read_text(), address=address)
    words = ["setpriv", "--pdeathsig", "KILL", *SPACES, "sh", "-c", START, "sh", str(folder), sys.prefix, *server]
    pipe, run = subprocess.PIPE, functools.partial(subprocess.run, check=True)
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
        stack.callback(signal_first, process.pid, signal.SIGKILL)
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        made = Board(folder, config, process.pid, (here, there), (host, address))
        run(["ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", str(process.pid)])
        stack.callback(run, ["ip", "link", "delete", here])
        run(["ip", "address", "add", f"{host}/30", "dev", here])
        run(["ip", "link", "set", here, "up"])
        made.command("ip", "address", "add", f"{address}/30", "dev", there)
        made.command("ip", "link", "set", there, "up")
        process.stdin.write("go\n")
        process.stdin.flush()
        first = process.stderr.readline()
        assert "listening" in first, first + process.stderr.read()
        yield made
