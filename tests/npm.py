"""Programs of npm that tests run: installed from a package-lock.json, beside it."""

import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000")


def install(folder: Path, untested: str) -> None:
    """Install what package-lock.json in ``folder`` names, unless it is there.

    Skips, and says ``untested`` in capitals, where npm is missing, Node.js is too old, or packages cannot be fetched.
    """
    there = folder / "node_modules/.package-lock.json"
    if there.exists() and there.stat().st_mtime >= (folder / "package-lock.json").stat().st_mtime:
        return
    if not shutil.which("npm"):
        pytest.skip(f"{untested.upper()}: npm is missing, ./setup.sh test installs it")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version[1:].split(".")[0]) < 18:
        pytest.skip(f"{untested.upper()}: node {version} is too old, 18 is needed")
    done = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode or not there.exists():
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        reason = " ".join(done.stderr.split())[-200:]
        pytest.skip(f"{untested.upper()}: npm ci in {folder} could not fetch its packages: {reason}")
