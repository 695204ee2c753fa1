"""The entries of devices.yaml, and how each kind of device is reached."""

import re
import shlex
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from edge.core import paths, settings
from edge.core.errors import UserError
from edge.devices.link import Link, call

SSH = ("StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=2")
SSH += ("ServerAliveCountMax=3", "LogLevel=ERROR", "ControlMaster=auto", "ControlPersist=60")

NAME = r"^[\w/.][\w./@+-]*$"  # no word that a program takes for an option
ENTRY = re.compile(r"\w[\w.-]*")  # of an entry: it becomes the name of a file

# What a runtime measures: the model that ships, and the fp32 model of the same run that it is held against.
MODELS = {"onnxruntime": (paths.EDGE, paths.ONNX), "litert": (paths.TFLITE, paths.TFLITE)}


@dataclass(frozen=True)
class Board:
    """What the first contact found: ``python`` as 3.11, ``machine`` as aarch64 or armv7l, version of the C library."""

    python: str
    machine: str
    libc: str


class Limits(settings.Section):
    """Beyond these a measurement is not to be trusted; and what the board spends on trying again."""

    temperature_c: float = Field(80, gt=0)
    clock_share: float = Field(0.95, gt=0, le=1)
    others: float | None = Field(0.5, gt=0)
    attempts: int = Field(3, ge=1)
    cooldown_s: float = Field(60, ge=0)
    storage_mb: int = Field(2000, ge=1)


class Device(settings.Section, ABC):
    """What every entry of devices.yaml has."""

    transport: str
    runtime: Literal["onnxruntime", "litert"]
    threads: int = Field(ge=1, le=64)
    root: str = Field(pattern=NAME)
    timeout: int = Field(ge=1)
    wheels: str | None = Field(pattern=NAME)
    limits: Limits = Limits()

    @abstractmethod
    def interpreter(self) -> list[str]:
        """Command that starts Python there."""

    @abstractmethod
    def connect(self) -> AbstractContextManager[Link]:
        """Context manager that yields a Link."""

    def board(self, found: Board) -> Board:
        """What the jobs run on, where the first contact ``found`` so."""
        return found

    def job_command(self, bundle: str, site: str) -> list[str]:
        """Command prefix for a measuring job; empty: the runner's own Python."""
        return []


class Local(Device):
    """This machine, through the same steps as a board; a relative ``root`` is below the home folder, as with ssh."""

    transport: Literal["local"]
    python: str | None = Field(pattern=NAME)

    def interpreter(self) -> list[str]:
        return [self.python or sys.executable]

    @contextmanager
    def connect(self) -> Iterator[Link]:
        yield Link("this machine", str(Path.home() / self.root), lambda script: ["sh", "-c", script])


class Emulated(Device):
    """A Raspberry Pi 4 under qemu on this machine: the runner is native, the jobs that it starts are the board's."""

    transport: Literal["emulated"]
    wheels: str = Field(pattern=NAME)

    def interpreter(self) -> list[str]:
        return [sys.executable]

    @contextmanager
    def connect(self) -> Iterator[Link]:
        yield Link("emulated Pi 4", str(Path.home() / self.root), lambda script: ["sh", "-c", script])

    def board(self, found: Board) -> Board:
        return Board("3.11", "aarch64", "2.36")

    def job_command(self, bundle: str, site: str) -> list[str]:
        from edge.devices import emulation

        return emulation.command(emulation.sysroot(), f"{bundle}:{site}")


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
        with tempfile.TemporaryDirectory(prefix="edge-", dir="/tmp") as private:  # noqa: S108  a socket's path is short
            config = ["-F", self.ssh_config] if self.ssh_config else []
            options = [word for option in (*SSH, f"ControlPath={private}/s") for word in ("-o", option)]
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


TRANSPORTS: dict[str, type[Device]] = {"local": Local, "ssh": Ssh, "emulated": Emulated}


def load(name: str, path: Path = paths.DEVICES) -> Device:
    """The entry ``name`` of devices.yaml; raises UserError for an unknown device or transport or a wrong value."""
    entries = settings.read(path)
    if not ENTRY.fullmatch(name):
        raise UserError(f"{path}: device = {name!r}: a name has letters, digits, '_', '-' and '.'; it becomes a file's")
    if not isinstance(entry := entries.get(name), dict):
        raise UserError(f"{path}: device = {name!r}: allowed are {', '.join(entries)}")
    if (transport := entry.get("transport")) not in TRANSPORTS:
        raise UserError(f"{path}: {name}.transport = {transport!r}: allowed are {', '.join(TRANSPORTS)}")
    return settings.validate(TRANSPORTS[transport], entry, path, prefix=name)
