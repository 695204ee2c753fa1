"""What is done with a model on a board, a process each: ``python -m device.measure.work <job> <bundle> <out> …``.

A process that dies of a signal takes nothing else with it, memory is that of one job, and each repeat of a measurement
gets a memory layout of its own. Jobs write their results into the folder ``out``. Only this module and runtimes need
numpy and the runtime.
"""

import gc
import importlib.metadata
import json
import statistics
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns

from device import health
from device.failure import MODEL, RUNTIME, Failure, guarded
from device.measure import instructions
from device.runtimes import RUNTIMES

ROLES = ("candidate", "baseline")
BLOCK = 5  # inferences of one model in a row; A B B A are four blocks
STEADY = 0.02  # two warm-up windows in a row agree within this share
WINDOWS = 20  # warm-up ends after so many windows, steady or not
SAMPLE_SECONDS = 0.25  # at least so long between two looks at the state of the board
STEPS = 8  # rows of which features are brought back
BATCH = 64  # rows of inputs.npy in memory as float32 at a time


def open_model(bundle: Path, job: dict, name: str, threads: int):
    """The session of one of the bundle's models."""
    return RUNTIMES[job["runtime"]](bundle / job[name], threads)


def inputs(bundle: Path, job: dict, rows: slice):
    """Model inputs, float32 [rows, *shape]."""
    import numpy as np

    from device.tensors import model_input

    stored = np.load(bundle / "inputs.npy", mmap_mode="r", allow_pickle=False)
    return model_input(stored[rows], job["scale"])


def one_node(bundle: Path, job: dict) -> None:
    """Run the model of one node: after that the runtime's libraries are loaded."""
    import numpy as np

    open_model(bundle, job, "identity", 1).outputs(np.ones((1, 1), np.float32))


def preflight(bundle: Path, job: dict, out: Path) -> None:
    """Import each native library, run a model of one node: preflight.txt says how far it got, board.json where."""
    stage, runtime = out / "preflight.txt", RUNTIMES[job["runtime"]]
    stage.write_text(f"importing {installed('numpy')}", encoding="utf-8")
    try:
        importlib.import_module("numpy")
    except ImportError as error:
        raise Failure(RUNTIME, f"{installed('numpy')} cannot be imported: {error}") from None
    stage.write_text(f"importing {installed(*runtime.DISTRIBUTIONS)}", encoding="utf-8")
    version = runtime.version()
    stage.write_text(f"running a model of one node with {version}", encoding="utf-8")
    one_node(bundle, job)
    facts = health.fingerprint()
    if job["instructions"]:  # kernel, cores and memory are those of the machine that emulates
        facts = {key: facts[key] for key in ("machine", "os", "python")}
    (out / "board.json").write_text(json.dumps({"board": facts, "runtime": version}), encoding="utf-8")


def installed(*names: str) -> str:
    """The first of the packages that is installed, with its version; all names where none says so."""
    for name in names:
        with suppress(importlib.metadata.PackageNotFoundError):
            return f"{name} {importlib.metadata.version(name)}"
    return " or ".join(names)


def memory(bundle: Path, job: dict, out: Path, role: str) -> None:
    """What the memory of a run is made of: load, and a few inferences. The parent reads the peak."""
    infer = open_model(bundle, job, role, 1).bind(inputs(bundle, job, slice(0, 1)))
    for _ in range(3):
        infer()


def timed(infer: Callable[[], None], runs: int) -> list[tuple[int, int]]:
    """Start and duration of each of ``runs`` inferences, nanoseconds."""
    clock, times = perf_counter_ns, [(0, 0)] * runs
    for index in range(runs):
        start = clock()
        infer()
        times[index] = (start, clock() - start)
    return times


def warm_up(infer: Callable[[], None], window: int) -> tuple[int, bool]:
    """Run windows of inferences until two medians agree: how many inferences that took, and whether it got steady."""
    before = None
    for count in range(1, WINDOWS + 1):
        median = statistics.median(duration for _, duration in timed(infer, window))
        if before is not None and abs(median - before) <= STEADY * before:
            return count * window, True
        before = median
    return WINDOWS * window, False


def start(bundle: Path, job: dict, role: str, threads: int) -> tuple[Callable[[], None], dict]:
    """A model's bound inference, and what its start cost."""
    row = inputs(bundle, job, slice(0, 1))
    begin = perf_counter_ns()
    session = open_model(bundle, job, role, threads)
    load = perf_counter_ns() - begin
    infer = session.bind(row)
    ((_, first),) = timed(infer, 1)
    return infer, {"load_ms": load / 1e6, "first_inference_ms": first / 1e6}


def latency(bundle: Path, job: dict, out: Path, threads: str, repeat: str) -> None:
    """One repeat: both models in one process, blocks in the order A B B A, B A A B, …, so that drift hits both alike.

    The state of the board is read between blocks, never while one is timed. The first inference of a block is not
    counted: threads of the other model may still be spinning.
    """
    sampler = health.Sampler()
    samples = [sampler.sample()]
    gc.disable()
    one_node(bundle, job)
    first, second = ROLES if int(repeat) % 2 == 0 else ROLES[::-1]
    infer, facts = {}, {}
    for role in (first, second):
        infer[role], facts[role] = start(bundle, job, role, int(threads))
    for role in (first, second):
        runs, steady = warm_up(infer[role], job["warmup"])
        facts[role] |= {"warmup_runs": runs, "steady": steady}
    samples.append(sampler.sample())
    samples[0]["clock_mhz"] = samples[1]["clock_mhz"]  # an idle board may clock down: the clock counts from here on
    rows = []
    for _ in range(-(-job["runs"] // (job["repeats"] * 2 * BLOCK))):
        if perf_counter_ns() / 1e9 - samples[-1]["seconds"] > SAMPLE_SECONDS:
            samples.append(sampler.sample())
        for role in (first, second, second, first):
            infer[role]()
            rows += [(role, begin, duration, len(samples) - 1) for begin, duration in timed(infer[role], BLOCK)]
        first, second = second, first
    samples.append(sampler.sample())
    lines = (
        f"{role},{threads},{repeat},{begin / 1e9:.6f},{duration / 1e6:.6f},{samples[look]['temperature_c'] or ''}\n"
        for role, begin, duration, look in rows
    )
    (out / "series.csv").write_text("".join(lines), encoding="utf-8")
    (out / "pass.json").write_text(
        json.dumps({"threads": int(threads), "models": facts, "samples": samples}), encoding="utf-8"
    )


def soak(bundle: Path, job: dict, out: Path, threads: str) -> None:
    """Keep both models busy for minutes: medians of each block, and what the board says, to rank at start and end."""
    sampler = health.Sampler()
    samples = [sampler.sample()]
    gc.disable()
    infer = {role: start(bundle, job, role, int(threads))[0] for role in ROLES}
    for role in ROLES:
        warm_up(infer[role], job["warmup"])
    samples.append(sampler.sample())
    samples[0]["clock_mhz"] = samples[1]["clock_mhz"]
    begin, first, second = perf_counter_ns(), *ROLES
    end, rows = begin + int(job["soak_minutes"] * 60e9), []
    while (now := perf_counter_ns()) < end:
        if now / 1e9 - samples[-1]["seconds"] > SAMPLE_SECONDS:
            samples.append(sampler.sample())
        medians = {role: [] for role in ROLES}
        for role in (first, second, second, first):
            infer[role]()
            medians[role] += [duration for _, duration in timed(infer[role], BLOCK)]
        temperature = samples[-1]["temperature_c"] or ""
        values = [f"{statistics.median(medians[role]) / 1e6:.6f}" for role in ROLES]
        rows.append(f"{(now - begin) / 1e9:.3f},{','.join(values)},{temperature}\n")
        first, second = second, first
    samples.append(sampler.sample())
    (out / "soak.csv").write_text("seconds,candidate_ms,baseline_ms,temperature_c\n" + "".join(rows), encoding="utf-8")
    (out / "soak.json").write_text(json.dumps({"threads": int(threads), "samples": samples}), encoding="utf-8")


def outputs(bundle: Path, job: dict, out: Path) -> None:
    """Scores of the candidate for every input, and each step of the first ones: outputs.npy, steps.npz."""
    import numpy as np

    session, rows = open_model(bundle, job, "candidate", 1), []
    count = len(np.load(bundle / "inputs.npy", mmap_mode="r", allow_pickle=False))
    for begin in range(0, count, BATCH):
        batch = inputs(bundle, job, slice(begin, begin + BATCH))
        rows += [session.outputs(batch[row : row + 1]) for row in range(len(batch))]
    np.save(out / "outputs.npy", np.concatenate(rows))
    samples = inputs(bundle, job, slice(0, STEPS))
    runtime = RUNTIMES[job["runtime"]]
    steps = [runtime.steps(bundle / job["steps"], samples[row : row + 1]) for row in range(len(samples))]
    np.savez(out / "steps.npz", samples=samples, **{key: np.concatenate([s[key] for s in steps]) for key in steps[0]})


def count(bundle: Path, job: dict, out: Path) -> None:
    """Guest instructions of an inference of each model, less those of a model of one node: instructions.json."""
    row, gauge = inputs(bundle, job, slice(0, 1)), {}
    import numpy as np

    for name in ("identity", *ROLES):
        session = open_model(bundle, job, name, 1)
        gauge[name] = instructions.per_call(session.bind(np.ones((1, 1), np.float32) if name == "identity" else row))
    (out / "instructions.json").write_text(
        json.dumps({role: gauge[role] - gauge["identity"] for role in ROLES}), encoding="utf-8"
    )


JOBS = {job.__name__: job for job in (preflight, memory, latency, soak, outputs, count)}


def main() -> None:
    job, bundle, out, *rest = sys.argv[1:]
    folder = Path(bundle)

    def work() -> None:
        settings = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        try:
            JOBS[job](folder, settings, Path(out), *rest)
        except (Failure, OSError):
            raise
        except Exception as error:
            raise Failure(MODEL, f"{job}: the model cannot be loaded or run: {error}") from None

    sys.exit(guarded(work))


if __name__ == "__main__":
    main()
