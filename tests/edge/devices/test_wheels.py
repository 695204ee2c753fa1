"""The board's packages, fetched by a real pip: from a folder of small wheels, unless a test says more."""

import hashlib
import re
import threading
import zipfile

import pytest

from edge.core.errors import UserError
from edge.devices import wheels
from tests.imports import ROOT

WHEELS = ROOT / "device/wheels"
BOARD = ("3.11", "aarch64", "2.36")


def wheel(folder, tag: str, version: str = "1.0") -> str:
    """Write a wheel whose only module says for which platform it is; returns its sha256."""
    path = folder / f"toy-{version}-{tag}.whl"
    info = f"toy-{version}.dist-info"
    members = {
        "toy.py": f"TAG = {tag!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: toy\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (members | {f"{info}/RECORD": record}).items():
            archive.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder of wheels in place of an index, and a lock file for all of them."""
    folder = tmp_path / "shop"
    folder.mkdir()
    tags = ("cp311-cp311-manylinux_2_28_aarch64", "cp313-cp313-manylinux_2_28_aarch64")
    tags += ("cp311-cp311-manylinux2014_armv7l", "cp311-cp311-manylinux_2_28_x86_64")
    hashes = [f"--hash=sha256:{wheel(folder, tag)}" for tag in tags]
    lock = tmp_path / "toys.txt"
    lock.write_text("toy==1.0 \\\n    " + " \\\n    ".join(hashes) + "\n")
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return lock


@pytest.mark.parametrize(
    ("python", "machine", "tag"),
    [
        ("3.11", "aarch64", "cp311-cp311-manylinux_2_28_aarch64"),
        ("3.13", "aarch64", "cp313-cp313-manylinux_2_28_aarch64"),
        ("3.11", "armv7l", "cp311-cp311-manylinux2014_armv7l"),
        ("3.11", "x86_64", "cp311-cp311-manylinux_2_28_x86_64"),
    ],
)
def test_the_wheel_is_the_boards(shop, tmp_path, python, machine, tag):
    """What is unpacked is the wheel for the board's processor and Python, whatever this machine is."""
    site = wheels.site(shop, python, machine, "2.36", tmp_path / "cache")
    assert (site / "toy.py").read_text() == f"TAG = {tag!r}\n"


def test_a_site_is_fetched_once(shop, tmp_path, capfd, monkeypatch):
    """The first call says what it fetches; the second one gives the same folder, silently and without the wheels."""
    first = wheels.site(shop, *BOARD, tmp_path / "cache")
    assert "fetching toy 1.0 for aarch64, Python 3.11, glibc 2.36, once" in capfd.readouterr().err
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert wheels.site(shop, *BOARD, tmp_path / "cache") == first
    assert capfd.readouterr().err == ""


def test_another_board_or_another_lock_has_another_site(shop, tmp_path):
    """Lock file, Python, processor and C library are all part of the folder's name."""
    boards = [BOARD, ("3.13", "aarch64", "2.36"), ("3.11", "x86_64", "2.36"), ("3.11", "aarch64", "2.41")]
    names = {wheels.site(shop, *board, tmp_path / "cache").name for board in boards}
    shop.write_text(shop.read_text() + "# changed\n")
    names.add(wheels.site(shop, *BOARD, tmp_path / "cache").name)
    assert len(names) == 5


@pytest.mark.parametrize(
    "board", [("3.9", "aarch64", "2.31"), ("3.11", "aarch64", "2.27"), ("3.11", "riscv64", "2.36")]
)
def test_a_board_without_a_wheel_is_told_what_has_one(shop, tmp_path, board):
    """An old Python, an old C library or another processor: one line names the package and the systems that have it."""
    with pytest.raises(UserError, match=r"toy==1.0 has no wheel for .*64-bit Raspberry Pi OS.*litert-armv7l.txt$"):
        wheels.site(shop, *board, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


@pytest.mark.parametrize("board", [("3.11", "aarch64", ""), ("2.7", "aarch64", "2.36"), ("3.11", "../x", "2.36")])
def test_what_is_no_board_stops_before_pip(shop, tmp_path, board):
    """A board without glibc, with Python 2, or with words that are none of these is refused."""
    with pytest.raises(UserError, match="no wheels for a board with Python"):
        wheels.site(shop, *board, tmp_path / "cache")


def test_a_wheel_that_was_tampered_with_is_refused(shop, tmp_path):
    """Content other than what is locked is one line of error and leaves nothing in the way of the right wheel."""
    path = tmp_path / "shop/toy-1.0-cp311-cp311-manylinux_2_28_aarch64.whl"
    right = path.read_bytes()
    path.write_bytes(right + b"\0")
    with pytest.raises(UserError, match="pip failed .*HASHES"):
        wheels.site(shop, *BOARD, tmp_path / "cache")
    path.write_bytes(right)
    assert (wheels.site(shop, *BOARD, tmp_path / "cache") / "toy.py").exists()


def test_without_a_network_the_person_is_told(shop, tmp_path, monkeypatch):
    """An index that nobody answers for is not taken for a wheel that does not exist."""
    for name, value in {"NO_INDEX": "0", "FIND_LINKS": "", "INDEX_URL": "http://127.0.0.1:9/", "RETRIES": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(UserError, match="the package index is out of reach"):
        wheels.site(shop, *BOARD, tmp_path / "cache")


def test_two_at_once_build_once(tmp_path):
    """While one builds, a second one waits and takes what the first one made."""
    started, again, builds = threading.Event(), threading.Event(), []

    def build(folder):
        builds.append(folder)
        (started if len(builds) == 1 else again).set()
        again.wait(0.5)

    workers = [threading.Thread(target=wheels.build_once, args=(tmp_path / "x", build)) for _ in range(2)]
    workers[0].start()
    started.wait()
    workers[1].start()
    for worker in workers:
        worker.join()
    assert len(builds) == 1
    assert (tmp_path / "x").is_dir()


def test_locks_are_pinned_hashed_and_the_hosts():
    """Every lock file pins and hashes, names no index, and has the versions of the host where it can."""
    host = re.findall(r"^([\w.-]+==\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    for path in sorted(WHEELS.glob("*.txt")):
        pins = [line for line in path.read_text().splitlines() if line[:1].isalpha()]
        assert pins
        assert all("==" in line and line.endswith("\\") for line in pins)
        assert "://" not in path.read_text()
        assert ";" not in path.read_text()  # pip judges such a condition by this machine, not by the board
        if "armv7l" not in path.name:
            assert {pin.removesuffix(" \\") for pin in pins} <= set(host)


def test_the_real_packages_of_a_32_bit_board(tmp_path):
    """The packages of the 32-bit board hold a library for 32-bit ARM and no NumPy; ONNX Runtime has none."""
    try:
        site = wheels.site(WHEELS / "litert-armv7l.txt", "3.11", "armv7l", "2.36", tmp_path)
    except UserError as error:
        if "out of reach" in str(error):
            pytest.skip(f"NO PACKAGES OF A 32-BIT BOARD WERE FETCHED: {error}")
        raise
    header = next(site.glob("tflite_runtime/*.so")).read_bytes()[:20]
    assert (header[:5], header[18]) == (b"\x7fELF\x01", 40)
    assert not (site / "numpy").exists()
    with pytest.raises(
        UserError, match="has no wheel for armv7l.*for 32-bit bookworm in device/wheels/litert-armv7l.txt"
    ):
        wheels.site(WHEELS / "onnxruntime.txt", "3.11", "armv7l", "2.36", tmp_path)
