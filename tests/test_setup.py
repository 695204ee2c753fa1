"""The set-up script installs what is needed and no more, and says what is missing on a system that it does not know."""

import shutil
import subprocess

import pytest

from tests.imports import ROOT

TOOLS = ("sh", "dirname", "grep", "cat", "printf", "id", "sha256sum")
LOCKS = ("requirements.txt", "requirements-test.txt")
NEEDS = ("run", "emulate", "test")
PIP = '#!/bin/sh\necho "$@" >>pip.log\n'
PYTHON = f"#!/bin/sh\n[ $1 = -c ] && exit 0\nmkdir -p .venv/bin\ncat >.venv/bin/pip <<'END'\n{PIP}END\n"
PYTHON += "chmod +x .venv/bin/pip\necho new environment >>pip.log\n"


def rows() -> list[list[str]]:
    """The lines of packages.txt: need, package, program, purpose."""
    lines = (ROOT / "packages.txt").read_text().splitlines()
    return [line.split(maxsplit=3) for line in lines if not line.startswith("#")]


class Elsewhere:
    """The set-up files on a system without Debian's package tools; its Python and pip only write into ``pip.log``."""

    def __init__(self, folder):
        self.folder, self.programs = folder / "clone", folder / "bin"
        self.folder.mkdir()
        self.programs.mkdir()
        for tool in (*TOOLS, "mkdir", "chmod"):
            (self.programs / tool).symlink_to(shutil.which(tool))
        for name in ("setup.sh", "packages.txt", *LOCKS):
            shutil.copy(ROOT / name, self.folder)

    def install(self, *needs: str) -> None:
        """Put the programs of these needs there, and a Python that makes environments."""
        for need, _, program, _ in rows():
            path = self.programs / program
            if need in needs and program not in ("-", "python3") and not path.exists():
                path.symlink_to(shutil.which("true"))
        (self.programs / "python3.11").write_text(PYTHON)
        (self.programs / "python3.11").chmod(0o755)
        (self.programs / "python3").symlink_to("python3.11")

    def setup(self, *words: str) -> subprocess.CompletedProcess:
        """Run the script."""
        environment = {"PATH": str(self.programs)}
        command = ["sh", "setup.sh", *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def installed(self) -> list[str]:
        """What pip was asked for since the last call, and where an environment was made anew."""
        log = self.folder / "pip.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.split(" -r ")[-1] for line in lines]


@pytest.fixture
def elsewhere(tmp_path) -> Elsewhere:
    return Elsewhere(tmp_path)


def test_missing_programs_are_named_with_their_purpose(elsewhere):
    """Without Debian's tools the script names what is missing and what it is for, and installs nothing."""
    result = elsewhere.setup()
    assert result.returncode == 1
    assert "sox: converts, filters and draws sound" in result.stderr
    assert "flite: speaks" in result.stderr
    assert {path.name for path in elsewhere.folder.iterdir()} == {"setup.sh", "packages.txt", *LOCKS}


@pytest.mark.parametrize(
    ("need", "asked", "not_asked"),
    [
        ("run", {"sox"}, {"qemu-aarch64", "gcc", "chromium", "sshd"}),
        ("emulate", {"sox", "qemu-aarch64", "gcc"}, {"chromium", "sshd"}),
        ("test", {"sox", "qemu-aarch64", "gcc", "chromium"}, set()),
    ],
)
def test_a_need_asks_for_its_own_programs_only(elsewhere, need, asked, not_asked):
    """Running asks for no compiler, emulating for no browser, tests for all."""
    named = {line.split(":")[0].strip() for line in elsewhere.setup(need).stderr.splitlines()[1:]}
    assert asked <= named
    assert not named & not_asked


def test_an_unknown_need_is_refused(elsewhere):
    """A word that is no need ends the script with its usage."""
    result = elsewhere.setup("play")
    assert (result.returncode, result.stderr) == (1, "usage: ./setup.sh [run|emulate|test]\n")


def test_what_the_tests_need_comes_with_the_tests(elsewhere):
    """Running installs one lock; tests add theirs to the same environment; a complete environment is left alone."""
    elsewhere.install(*NEEDS)
    assert elsewhere.setup("run").returncode == 0
    assert elsewhere.installed() == ["new environment", "requirements.txt"]
    assert elsewhere.setup("test").returncode == 0
    assert elsewhere.installed() == ["requirements-test.txt"]
    for need in NEEDS:
        result = elsewhere.setup(need)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert elsewhere.installed() == []


@pytest.mark.parametrize("lock", LOCKS)
def test_another_lock_makes_the_environment_anew(elsewhere, lock):
    """An environment of an earlier lock file, of the tests' as well, keeps none of its packages."""
    elsewhere.install(*NEEDS)
    elsewhere.setup("test")
    elsewhere.installed()
    (elsewhere.folder / lock).write_text("another==1.0\n")
    assert "Installing the Python packages" in elsewhere.setup("test").stdout
    assert elsewhere.installed() == ["new environment", *LOCKS]


def test_an_interrupted_installation_starts_again(elsewhere):
    """Where pip fails, the lock is not noted as installed, and the next run asks pip again."""
    elsewhere.install(*NEEDS)
    elsewhere.setup("run")
    elsewhere.installed()
    pip = elsewhere.folder / ".venv/bin/pip"
    pip.write_text("#!/bin/sh\nexit 1\n")
    assert elsewhere.setup("test").returncode == 1
    pip.write_text(PIP)
    assert elsewhere.setup("test").returncode == 0
    assert elsewhere.installed() == ["requirements-test.txt"]


def test_every_package_line_says_what_it_is_for():
    """packages.txt has need, package, program and purpose on every line, and every need has a package."""
    assert all(len(row) == 4 for row in rows())
    assert {row[0] for row in rows()} == set(NEEDS)


@pytest.mark.parametrize("lock", LOCKS)
def test_requirements_are_locked_with_hashes_and_without_index(lock):
    """Every requirement is pinned and hashed, and no package index is named."""
    text = (ROOT / lock).read_text()
    pins = [line for line in text.splitlines() if line[:1].isalpha()]
    assert len(pins) > 20
    assert all("==" in line and line.endswith("\\") for line in pins)
    assert "://" not in text
    assert "index-url" not in text


def test_both_locks_agree():
    """A package that both locks name has one version: the tests run what the pipeline runs."""
    pins = [
        dict(line.split("\\")[0].strip().split("==") for line in (ROOT / lock).read_text().splitlines() if "==" in line)
        for lock in LOCKS
    ]
    both = set(pins[0]) & set(pins[1])
    assert both
    assert {name: pins[0][name] for name in both} == {name: pins[1][name] for name in both}
