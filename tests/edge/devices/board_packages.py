"""Packages of the emulated board: the current lock file, and those of two older ONNX Runtimes with faults."""

import re
from pathlib import Path

import pytest

from edge.core.errors import UserError
from edge.devices import wheels
from tests.imports import ROOT

BOARD = ("3.11", "aarch64", "2.36")
CURRENT = ROOT / "device/wheels/onnxruntime.txt"
OLD = {
    "1.21.0": "7f9156cf6f8ee133d07a751e6518cf6f84ed37fbf8243156bd4a2c4ee6e073c8",
    "1.29.0": "16925ef8497e2c07e4b5ae15b504079b3ab3f65e22c58efd10dde0f3caea969a",
}


def lock(folder: Path, version: str) -> Path:
    """Write the lock file of an older ONNX Runtime for a 64-bit Pi into ``folder``."""
    numpy = re.search(r"^numpy==.*?(?=^\S)", CURRENT.read_text(), re.MULTILINE | re.DOTALL)[0]
    path = folder / f"onnxruntime-{version}.txt"
    path.write_text(f"{numpy}onnxruntime=={version} --hash=sha256:{OLD[version]}\n")
    return path


def built(build, *arguments):
    """What ``build`` makes; a skip where the packages that it needs cannot be fetched."""
    try:
        return build(*arguments)
    except UserError as error:
        if "out of reach" in str(error) or "Debian 12" in str(error):
            pytest.skip(f"NO EMULATED BOARD WAS RUN: {error}")
        raise


def site(lock: Path) -> Path:
    """The unpacked packages of a lock file, kept between test runs."""
    return built(wheels.site, lock, *BOARD)
