"""Prints the peak memory of preparing a hundred times as many pictures, as a ratio, and pictures a second.

`python -m benchmarks.picture_memory [--few 1000] [--many 100000]`. Pictures are noise, JPEG of 100 x 100 pixels, made
here: half a gigabyte of files.
"""

import argparse
import io
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.clone import SHORT, row
from edge.core import paths, settings
from edge.core.errors import UserError, run
from edge.modalities.vision import collection

FEW, MANY = (100, 300) if SHORT else (1000, 100_000)


def pictures(count: int) -> Iterator[tuple[str, str, str, bytes]]:
    """Rows (id, label, group, JPEG) for ``collection.store``, no two alike."""
    from PIL import Image

    rng = np.random.default_rng(1)
    for number in range(count):
        coarse = rng.integers(0, 256, (10, 10, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(coarse).resize((100, 100)).save(file, "JPEG")
        yield f"{number:06}.jpg", f"label{number % 2}", f"group{number % 200}", file.getvalue()


def memory(count: int) -> tuple[float, float]:
    """Peak memory in MiB and seconds of preparing ``count`` pictures, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        raw.mkdir()
        collection.store(raw, "benchmark", pictures(count))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_prepare, (raw, Path(folder, "prepared")))


def _prepare(raw: Path, out: Path) -> tuple[float, float]:
    from tasks.image_classification import TASK

    config = paths.CONFIGS / "image_classification.yaml"
    section = settings.validate(TASK.Preprocess, settings.read(config)["preprocess"], config, "preprocess")
    out.mkdir()
    start = time.perf_counter()
    TASK.prepare(raw, out, section, 1)
    seconds = time.perf_counter() - start
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024, seconds  # ru_maxrss would begin at the parent's memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=FEW, help="pictures of the smaller preparation")
    parser.add_argument("--many", type=int, default=MANY, help="pictures of the larger preparation")
    args = parser.parse_args()
    if min(args.few, args.many) < 100:
        raise UserError("--few and --many must be 100 or more")
    few, _ = memory(args.few)
    many, seconds = memory(args.many)
    what = f"Peak memory of preparing {args.many:,} pictures against {args.few:,}"
    row(what, "at most 1.2 x", f"{many / few:.2f} x ({many:.0f} MiB)")
    row("Pictures of 100 x 100 pixels prepared a second", "no goal", f"{args.many / seconds:,.0f}")


if __name__ == "__main__":
    run(main)
