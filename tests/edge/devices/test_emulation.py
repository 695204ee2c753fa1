"""The emulated Raspberry Pi 4, really built and run: what it finds that this machine hides, and how it counts."""

import json
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from device.measure import instructions
from edge.core.errors import UserError
from edge.devices import emulation
from tests.edge.devices import board_packages, overflow

INFER = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
numpy.save(sys.argv[3], session.run(None, {"x": numpy.load(sys.argv[2])})[0])
"""
COUNT = """
import json, sys, numpy, onnxruntime
from device.measure.instructions import per_call
counts = []
for model in sys.argv[1:]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {"x": numpy.ones(session.get_inputs()[0].shape, numpy.float32)}
    counts.append(per_call(lambda: session.run(None, feed)))
print(json.dumps(counts))
"""


@pytest.fixture(scope="module")
def sysroot() -> Path:
    """The sysroot, kept between test runs."""
    return board_packages.built(emulation.sysroot)


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> dict[str, Path]:
    """The packages of the current ONNX Runtime and of two older ones, kept between test runs."""
    folder = tmp_path_factory.mktemp("locks")
    locks = {"current": board_packages.CURRENT} | {
        version: board_packages.lock(folder, version) for version in board_packages.OLD
    }
    return {version: board_packages.site(lock) for version, lock in locks.items()}


@pytest.fixture
def code(tmp_path) -> Path:
    """A folder with the part of the bundle that counts, which nothing else changes."""
    (tmp_path / "bundle/device/measure").mkdir(parents=True)
    shutil.copy(instructions.__file__, tmp_path / "bundle/device/measure")
    return tmp_path / "bundle"


def there(sysroot: Path, path: object, script: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run Python code on the emulated board with ``path`` as its PYTHONPATH."""
    words = [*emulation.command(sysroot, str(path)), "-c", script, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")


def convolutions(path: Path, channels: int) -> Path:
    """Write a float32 model x [1, 1, 32, 20] -> y [1, channels, 15, 9] of two convolutions, weights from a seed."""
    draw = np.random.default_rng(0).normal
    weights = {"a": (channels, 1, 4, 4), "b": (channels, channels, 1, 1)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "a"], ["h"], strides=[2, 2]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("Conv", ["r", "b"], ["y"]),
        ],
        "convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 32, 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, 15, 9])],
        [numpy_helper.from_array(draw(size=shape).astype(np.float32), name) for name, shape in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def outputs(sysroot: Path, site: Path, model: Path, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A model's outputs for ``x`` on the emulated board and on this machine."""
    np.save(model.with_suffix(".x.npy"), x)
    done = there(sysroot, site, INFER, model, model.with_suffix(".x.npy"), model.with_suffix(".y.npy"))
    assert done.returncode == 0, done.stderr
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return np.load(model.with_suffix(".y.npy")), session.run(None, {"x": x})[0]


def test_the_board_is_a_pi_4_with_its_own_python(sysroot, monkeypatch):
    """The emulated Python is the one of Raspberry Pi OS, on four cores of a Cortex-A72, and sees nobody's settings."""
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD", "/nowhere/library.so")
    script = "import json, os, platform, ssl, site\nprint(json.dumps([platform.python_version(), platform.machine(),"
    script += "*platform.libc_ver(), open('/proc/cpuinfo').read(), site.ENABLE_USER_SITE, 'HOME' in os.environ]))"
    done = there(sysroot, "", script)
    assert done.returncode == 0, done.stderr
    version, machine, library, release, cpuinfo, *leaks = json.loads(done.stdout)
    assert (version[:5], machine, library, release) == ("3.11.", "aarch64", "glibc", "2.36")
    assert (cpuinfo, leaks) == (emulation.CPUINFO, [False, False])
    assert cpuinfo.count("0xd08") == 4


def test_a_runtime_with_instructions_that_a_pi_4_lacks_dies(sysroot, sites):
    """ONNX Runtime 1.21.0 is killed by SIGILL on import, as on a real board; NumPy and the current version are not."""
    done = there(sysroot, sites["1.21.0"], "import numpy; print('numpy', flush=True); import onnxruntime; print('no')")
    assert (done.returncode, done.stdout) == (-signal.SIGILL, "numpy\n")
    assert there(sysroot, sites["current"], "import onnxruntime").returncode == 0


def test_an_int8_overflow_that_this_machine_hides_is_seen(sysroot, sites, tmp_path):
    """For the worst case 1.29.0 computes -100 on the board; this machine and the current version there compute 100."""
    model = overflow.model(tmp_path / "overflow.onnx")
    wrong, host = outputs(sysroot, sites["1.29.0"], model, overflow.inputs())
    right, _ = outputs(sysroot, sites["current"], model, overflow.inputs())
    assert (host == overflow.RIGHT).all()
    assert (right == overflow.RIGHT).all()
    assert (wrong == -overflow.RIGHT).all()


def test_float_models_compute_what_this_machine_computes(sysroot, sites, tmp_path):
    """Two convolutions in float32 differ from this machine's by rounding only."""
    x = np.random.default_rng(1).normal(size=(1, 1, 32, 20)).astype(np.float32)
    board, host = outputs(sysroot, sites["current"], convolutions(tmp_path / "two.onnx", 16), x)
    assert np.abs(board - host).max() <= 1e-6 * np.abs(host).max()


def test_instructions_repeat_and_follow_the_work(sysroot, sites, code, tmp_path):
    """Three runs count the same within 0.1 %; twice the channels take more than twice the instructions."""
    small, large = convolutions(tmp_path / "small.onnx", 64), convolutions(tmp_path / "large.onnx", 128)
    runs = []
    for _ in range(3):
        done = there(sysroot, f"{code}:{sites['current']}", COUNT, small, large)
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    for model in zip(*runs, strict=True):
        assert max(model) - min(model) <= 0.001 * min(model)
    assert runs[0][1] > 2 * runs[0][0]


def test_a_loop_is_counted_as_long_as_it_is(sysroot, code):
    """Twice the turns of a loop take twice the instructions."""
    script = "from device.measure.instructions import per_call\ndef loop(turns):\n for _ in range(turns): pass\n"
    script += "once, twice, thrice = (per_call(lambda: loop(n)) for n in (10_000, 20_000, 30_000))\n"
    script += "print((thrice - twice) / (twice - once), twice - once)"
    done = there(sysroot, code, script)
    assert done.returncode == 0, done.stderr
    ratio, turns = map(float, done.stdout.split())
    assert ratio == pytest.approx(1, rel=0.001)
    assert turns > 10_000


def test_a_machine_that_counts_nothing_says_so():
    """Outside the emulation the marker does nothing, and a count is refused."""
    with pytest.raises(OSError, match="nothing counts instructions here"):
        instructions.per_call(partial(sum, (1, 2)))


def test_without_debian_packages_nothing_is_left(sysroot, tmp_path, monkeypatch):
    """Where no source has the packages, one line says so, and the next attempt begins anew."""
    (tmp_path / "apt.conf").write_text('Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "/dev/null";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(UserError, match="packages for arm64 are out of reach: connect, and run again .*python3.11"):
        emulation.sysroot(tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_a_machine_that_cannot_emulate_says_what_is_needed(sysroot, tmp_path, monkeypatch):
    """Without QEMU one line names its package; a system that is no Debian 12 is told so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sudo apt install qemu-user"):
        emulation.sysroot(tmp_path / "cache")
    monkeypatch.setattr(emulation, "RELEASE", "sarge")
    with pytest.raises(UserError, match="packages of Debian 12"):
        emulation.sysroot(tmp_path / "cache")
