"""One path from models to checked results: first contact, packages, bundle, run on the board, results back."""

import json
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device.measure import contact, runner
from device.runtimes import RUNTIMES
from edge.core import files
from edge.core.errors import UserError
from edge.devices import entries, parity, results, wheels
from edge.devices.link import Link

CODE = Path(runner.__file__).parents[1]


@dataclass(frozen=True)
class Work:
    """What a board is to do: two models for the same inputs, ``stored`` integers [n, *shape] x ``scale``."""

    candidate: Path
    baseline: Path
    stored: np.ndarray
    scale: float
    warmup: int
    runs: int
    repeats: int
    soak_minutes: float


def evaluate(device: entries.Device, work: Work) -> results.Results:
    """Do ``work`` on the device; raises UserError."""
    with tempfile.TemporaryDirectory(prefix="edge-") as temporary, device.connect() as link:
        bundle, received = Path(temporary, "bundle"), Path(temporary, "results")
        digest, run_id = make_bundle(bundle, device, work), uuid.uuid4().hex
        board = first_contact(link, device)
        site_there = send_site(link, device, board)
        bundle_there, results_there = f"{link.root}/bundles/{digest}", f"{link.root}/results/{run_id}"
        link.push(str(bundle), bundle_there)
        job_command = device.job_command(bundle_there, site_there)
        path = ":".join(filter(None, (bundle_there, site_there)))
        caches = [f"PYTHONPATH={path}", f"PYTHONPYCACHEPREFIX={link.root}/bytecode/{digest}"]
        caches.append("PYTHONDONTWRITEBYTECODE=")  # else every job compiles all that it imports anew
        words = [
            "env",
            *caches,
            *device.interpreter(),
            "-P",
            "-m",
            "device.measure.runner",
            bundle_there,
            results_there,
            *job_command,
        ]
        link.run(words, device.timeout, show=True, lost="; run it again: it waits for the run there, which goes on")
        link.pull(results_there, str(received), results.NAMES, results.MOST_MB)
        return results.read(received, link.name, run_id, digest, files.sha256(work.candidate))


def make_bundle(folder: Path, device: entries.Device, work: Work) -> str:
    """Write what travels; returns the sha256 of its manifest. Equal content gives an equal sha256."""
    suffix = RUNTIMES[device.runtime].SUFFIX
    folder.mkdir()
    shutil.copytree(CODE, folder / "device", ignore=shutil.ignore_patterns("__pycache__", "wheels"))
    for role in ("candidate", "baseline"):
        shutil.copy(getattr(work, role), folder / f"{role}{suffix}")
    (folder / f"steps{suffix}").write_bytes(parity.with_steps(work.candidate))
    (folder / f"identity{suffix}").write_bytes(parity.identity(suffix))
    np.save(folder / "inputs.npy", work.stored, allow_pickle=False)
    models = {name: f"{name}{suffix}" for name in ("candidate", "baseline", "steps", "identity")}
    job = {key: getattr(work, key) for key in ("scale", "warmup", "runs", "repeats", "soak_minutes")}
    job |= {"runtime": device.runtime, "threads": device.threads, "limits": device.limits.model_dump()}
    files.write_json(folder / "job.json", job | models | {"instructions": isinstance(device, entries.Emulated)})
    return runner.write_manifest(folder)


def first_contact(link: Link, device: entries.Device) -> entries.Board:
    """What the board is; makes its folders and clears out old ones; raises UserError."""
    words = [*device.interpreter(), "-", link.root, str(device.limits.storage_mb)]
    lines = link.run(words, device.timeout, Path(contact.__file__).read_text(encoding="utf-8"))
    try:
        found = entries.Board(**json.loads(lines[-1]))
        old = tuple(map(int, found.python.split("."))) < (3, 11)
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"{link.name}: the first contact gave no facts but {lines[-1]!r}") from None
    if old:
        raise UserError(f"{link.name}: Python {found.python} is too old: 3.11 or newer is needed")
    return device.board(found)


def send_site(link: Link, device: entries.Device, board: entries.Board) -> str:
    """Send the packages that ``wheels`` names, once; returns their folder there, or '' where ``wheels`` is null."""
    if device.wheels is None:
        return ""
    site = wheels.site(Path(device.wheels), board.python, board.machine, board.libc)
    there = f"{link.root}/sites/{site.name}"
    link.push(str(site), there)
    return there
