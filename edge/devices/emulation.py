"""A Raspberry Pi 4 on this machine: QEMU runs Debian's 64-bit ARM Python, and counts the instructions that it executes.

It runs the very packages and bundle that go to a board, and dies where a Cortex-A72 lacks an instruction. It tells
nothing about time. Debian's qemu-user is needed: the static build loads no plugin.
"""

import hashlib
import json
import platform
import shutil
import sys
from pathlib import Path

from device.measure import instructions
from edge.core import files
from edge.core.errors import UserError
from edge.devices.link import call
from edge.devices.wheels import build_once

CACHE = Path.home() / ".cache/edge/emulated-pi4"
RELEASE = "bookworm"  # what Raspberry Pi OS of that name is made of: Python 3.11, glibc 2.36
PACKAGES = ("python3.11", "libstdc++6")
COUNTER = Path(__file__).with_name("count_instructions.c")

CORE = """processor\t: {core}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
CPUINFO = "".join(CORE.format(core=core) for core in range(4)) + "Model\t\t: Raspberry Pi 4 Model B (emulated)\n"


def sysroot(cache: Path = CACHE) -> Path:
    """The folder with the board's Python, its libraries and the counter, made at the first call and kept in ``cache``.

    Raises UserError where the machine is not Debian 12, a program is missing, or the packages are out of reach.
    """
    parts = [RELEASE, PACKAGES, CPUINFO, instructions.MARKER, COUNTER.read_text(encoding="utf-8")]
    return build_once(cache / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16], build)


def build(folder: Path) -> None:
    """Make the sysroot in ``folder``; raises UserError."""
    if platform.freedesktop_os_release().get("VERSION_CODENAME") != RELEASE:
        raise UserError(f"the emulated Pi 4 is made of packages of Debian 12 ({RELEASE}): use it on that system")
    if not shutil.which("qemu-aarch64"):
        raise UserError("the emulated Pi 4 needs QEMU: sudo apt install qemu-user")
    print("fetching the Python of an emulated Pi 4, once", file=sys.stderr, flush=True)
    unpack(folder)
    (folder / "proc").mkdir()
    (folder / "proc/cpuinfo").write_text(CPUINFO, encoding="utf-8")
    gcc = ["gcc", "-O2", "-shared", "-fPIC", f"-DMARKER={instructions.MARKER}", str(COUNTER)]
    run_or_explain("the compiler cannot build the counter", *gcc, "-o", str(folder / "counter.so"))


def unpack(folder: Path) -> None:
    """Fetch Debian packages for arm64 and unpack them, without touching those of this machine; raises UserError."""
    apt = folder / "apt"
    for needed in ("state/lists/partial", "cache/archives/partial"):
        (apt / needed).mkdir(parents=True)
    (apt / "status").touch()
    options = [f"Dir::State={apt}/state", f"Dir::State::status={apt}/status", f"Dir::Cache={apt}/cache"]
    options += ["APT::Architecture=arm64", "APT::Architectures=arm64", "APT::Sandbox::User=root"]
    get = ["apt-get", "-qq", *[word for option in options for word in ("-o", option)]]
    call([*get, "update"])  # one source out of reach need not matter; where it does, the next step says so
    reach = "Debian's packages for arm64 are out of reach: connect, and run again"
    run_or_explain(reach, *get, "--yes", "--no-install-recommends", "--download-only", "install", *PACKAGES)
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        run_or_explain("a package cannot be unpacked", "dpkg-deb", "--extract", str(package), str(folder))
    files.remove(apt)


def run_or_explain(otherwise: str, *command: str) -> None:
    """Run a program that must succeed; raises UserError with ``otherwise`` and its first line that is no warning."""
    result = call(list(command))
    if result.returncode:
        why = next((line for line in result.stderr.splitlines() if not line.startswith("W:")), "no message")
        raise UserError(f"the emulated Pi 4: {otherwise} ({why})")


def command(sysroot: Path, path: str) -> list[str]:
    """The words that start Python on the emulated board; ``path`` is its PYTHONPATH.

    It sees the files of this machine but none of its environment; where all is equal, so is each count of instructions.
    """
    environment = {
        "OPENBLAS_NUM_THREADS": "1",  # the counter wants one thread
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": path,
        "PYTHONPYCACHEPREFIX": f"{sysroot}/bytecode",
        "PYTHONSAFEPATH": "1",
    }
    variables = [word for name, value in environment.items() for word in ("-E", f"{name}={value}")]
    qemu = ["env", "-i", "qemu-aarch64", "-cpu", "cortex-a72", "-seed", "1", "-L", str(sysroot), *variables]
    return [*qemu, "-plugin", f"{sysroot}/counter.so", f"{sysroot}/usr/bin/python3.11"]
