"""Prints the peak memory of static int8 quantization with ten times the calibration clips, as a ratio.

`python -m benchmarks.calibration_memory [model.onnx]`; without a model, the default one, not trained.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx

from benchmarks.clone import ROOT, SHORT, row, untrained
from edge.data.shards import Split, Tensor
from edge.models.compression import schemes

CLIPS = (20, 40) if SHORT else (500, 5000)


def quantize(model: Path, clips: Path) -> float:
    """Quantize with the clips of an .npy file; returns this process's peak memory in MiB."""
    stored = np.load(clips, mmap_mode="r", allow_pickle=False)
    split = Split(stored, np.zeros(len(stored), np.int64), Tensor("waveform", stored.shape[1:], scale=1 / 32768))
    with tempfile.TemporaryDirectory() as folder:
        schemes.int8(model, Path(folder, "edge.onnx"), split, SimpleNamespace(per_channel=True, batch=32))
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def main() -> None:
    if sys.argv[1:2] == ["--quantize"]:
        print(quantize(Path(sys.argv[2]), Path(sys.argv[3])))
        return
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else untrained(Path(folder, "model.onnx"))
        samples = onnx.load(model).graph.input[0].type.tensor_type.shape.dim[1].dim_value
        clips = Path(folder, "clips.npy")
        for count in CLIPS:
            random = np.random.default_rng(count)
            stored = np.lib.format.open_memmap(clips, "w+", np.int16, (count, samples))
            for start in range(0, count, 500):
                part = stored[start : start + 500]
                part[:] = random.integers(-9999, 9999, part.shape)
            stored.flush()
            words = [sys.executable, "-m", "benchmarks.calibration_memory", "--quantize", model, clips]
            printed = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
            peaks.append(float(printed.split()[-1]))
    what = f"int8 calibration, peak memory for {CLIPS[1]} clips / {CLIPS[0]} clips"
    row(what, "flat", f"{peaks[1] / peaks[0]:.2f} ({peaks[1]:.0f} MiB / {peaks[0]:.0f} MiB)")


if __name__ == "__main__":
    main()
