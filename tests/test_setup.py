"""The set-up script says what is missing, and changes nothing on a system that it does not know."""

import hashlib
import shutil
import subprocess

import pytest

from tests.imports import ROOT

TOOLS = ("sh", "dirname", "grep", "cat", "printf", "id", "sha256sum")


@pytest.fixture
def elsewhere(tmp_path):
    """A copy of the set-up files, and a PATH of a system without Debian's package tools."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool))
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("setup.sh", "packages.txt", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    return folder, {"PATH": str(programs)}


def test_missing_programs_are_named_with_their_purpose(elsewhere):
    """Without Debian's tools the script names what is missing and what it is for, and installs nothing."""
    folder, environment = elsewhere
    result = subprocess.run(
        ["sh", "setup.sh"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "sox: converts, filters and draws sound" in result.stderr
    assert "flite: speaks" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["packages.txt", "requirements.txt", "setup.sh"]


def test_a_complete_environment_is_left_alone(elsewhere):
    """With every program there and a stamp of this lock file nothing is done; another lock file is installed."""
    folder, environment = elsewhere
    lines = [line.split() for line in (folder / "packages.txt").read_text().splitlines() if not line.startswith("#")]
    for program in {line[1] for line in lines} - {"-"}:
        (folder.parent / "bin" / program).symlink_to(shutil.which("true"))
    (folder / ".venv").mkdir()
    digest = hashlib.sha256((folder / "requirements.txt").read_bytes()).hexdigest()
    (folder / ".venv/.complete").write_text(f"{digest}  -\n")
    options = {"cwd": folder, "env": environment, "capture_output": True, "text": True, "check": False}
    result = subprocess.run(["sh", "setup.sh"], **options)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (folder / "requirements.txt").write_text("another==1.0\n")
    assert "Installing Python packages" in subprocess.run(["sh", "setup.sh"], **options).stdout


def test_every_package_line_says_what_it_is_for():
    """packages.txt has package, program and purpose on every line."""
    lines = [line for line in (ROOT / "packages.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(len(line.split(maxsplit=2)) == 3 for line in lines)


def test_requirements_are_locked_with_hashes_and_without_index():
    """Every requirement is pinned and hashed, and no package index is named."""
    text = (ROOT / "requirements.txt").read_text()
    pins = [line for line in text.splitlines() if line[:1].isalpha()]
    assert len(pins) > 100
    assert all("==" in line and line.endswith("\\") for line in pins)
    assert "://" not in text
    assert "index-url" not in text
