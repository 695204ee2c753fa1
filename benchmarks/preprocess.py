"""Preprocessing measured: clips a second against one SoX process a clip, and peak memory as clips grow in number.

    python -m benchmarks.preprocess [--clips 1000] [--few 3000] [--many 30000]

Data are tones in noise, made here. Rows of the results table are printed.
"""

import argparse
import multiprocessing
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.clone import SHORT, row
from edge.core import paths, settings
from edge.core.errors import UserError, run
from edge.modalities.audio import collection, preparation, sox, speech

WORDS = ("low", "high")
ASKED, NO_GOAL = "at least 8 x", "no goal: SoX's own arithmetic"
CHAINS = {  # name -> what is asked, rate of the clips, effects
    "16 kHz, no effects": (ASKED, 16000, {}),
    "8 kHz to 16 kHz": (ASKED, 8000, {}),
    "44.1 kHz to 16 kHz": (NO_GOAL, 44100, {}),
    "16 kHz, trim": (ASKED, 16000, {"trim": 1.0}),
    "8 kHz to 16 kHz, high-pass, low-pass, gain": (NO_GOAL, 8000, {"highpass": 60.0, "lowpass": 7000.0, "gain": -3.0}),
}
CLIPS, FEW, MANY = (20, 100, 200) if SHORT else (1000, 3000, 30000)
ROUNDS = 1 if SHORT else 5


def clips(count: int, rate: int = 16000) -> Iterator[tuple[str, str, str, bytes]]:
    """Rows (id, label, speaker, wav) for ``collection.store``: 0.3 s to 1 s, loud up to the borders."""
    rng = np.random.default_rng(1)
    for number in range(count):
        seconds = np.arange(int(rng.integers(3 * rate // 10, rate))) / rate
        tone = 0.3 * np.sin(2 * np.pi * (300 + 900 * (number % 2)) * seconds)
        wav = speech.encode(tone + rng.normal(0, 0.05, len(seconds)), rate)
        yield f"{number:06}.wav", WORDS[number % 2], f"speaker{number % 200}", wav


def one_by_one(wavs: list[bytes], arguments: list[str]) -> list[np.ndarray]:
    """What is compared against: a SoX process for every clip."""
    words = ["sox", *sox.QUIET, "-t", "wav", "-", *sox.INT16, "-", *arguments]
    done = (subprocess.run(words, input=wav, capture_output=True, check=True) for wav in wavs)
    return [np.frombuffer(each.stdout, "<i2") for each in done]


def together(wavs: list[bytes], arguments: list[str]) -> list[np.ndarray]:
    """What the pipeline does, in its chunks."""
    results = []
    for start in range(0, len(wavs), preparation.CHUNK):
        pcms = [sox.read(wav, ".wav") for wav in wavs[start : start + preparation.CHUNK]]
        results += sox.convert(pcms, arguments)
    return results


def cpu() -> float:
    """Seconds of processor time of this process and of those that it started and that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def speed(count: int, rate: int, chosen: dict, rounds: int = ROUNDS) -> dict[str, float]:
    """Best of ``rounds`` of each way, taken in turns, and the largest difference between their samples."""
    wavs = [wav for *_, wav in clips(count, rate)]
    arguments = sox.effects(16000, **chosen)
    wall, processor, outputs = {}, {}, {}
    for _ in range(rounds):
        for way in (one_by_one, together):
            start, used = time.perf_counter(), cpu()
            outputs[way] = way(wavs, arguments)
            wall[way] = min(wall.get(way, np.inf), time.perf_counter() - start)
            processor[way] = min(processor.get(way, np.inf), cpu() - used)
    pairs = list(zip(outputs[one_by_one], outputs[together], strict=True))
    assert all(len(a) == len(b) for a, b in pairs), "clips differ in length"
    return {
        "clips_per_second": round(count / wall[together]),
        "one_by_one_per_second": round(count / wall[one_by_one]),
        "ratio": round(wall[one_by_one] / wall[together], 1),
        "processor_time_ratio": round(processor[one_by_one] / processor[together], 1),
        "max_lsb": int(max(np.abs(a.astype(int) - b).max(initial=0) for a, b in pairs)),
    }


def memory(count: int) -> float:
    """Peak memory in MiB of preparing ``count`` clips, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        raw.mkdir()
        collection.store(raw, "benchmark", WORDS, clips(count))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_prepare, (raw, Path(folder, "prepared")))


def _prepare(raw: Path, out: Path) -> float:
    from tasks import keyword_spotting

    config = paths.CONFIGS / "keyword_spotting.yaml"
    section = settings.validate(keyword_spotting.Preprocess, settings.read(config)["preprocess"], config, "preprocess")
    out.mkdir()
    preparation.prepare(raw, out, section)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024  # ru_maxrss would begin at the parent's memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=CLIPS, help="clips whose conversion is timed")
    parser.add_argument("--few", type=int, default=FEW, help="clips of the smaller preparation")
    parser.add_argument("--many", type=int, default=MANY, help="clips of the larger preparation")
    args = parser.parse_args()
    if min(args.clips, args.few, args.many) < 1:
        raise UserError("--clips, --few and --many must be 1 or more")
    for name, (asked, *chain) in CHAINS.items():
        found = speed(args.clips, *chain)
        rates = f"{found['clips_per_second']:,} against {found['one_by_one_per_second']:,}"
        measured = f"{found['ratio']} x ({rates}), {found['processor_time_ratio']} x by processor time"
        measured += f", samples differ by {found['max_lsb']} at most"
        row(f"SoX, {name}: clips a second against a process for each clip", asked, measured)
    few, many = memory(args.few), memory(args.many)
    what = f"Peak memory of preparing {args.many:,} clips against {args.few:,}"
    row(what, "at most 1.2 x", f"{many / few:.2f} x ({many:.0f} MiB)")


if __name__ == "__main__":
    run(main)
