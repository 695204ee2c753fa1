"""Holds the model to ``budget`` of params.yaml and of the task's config; docs/budget.md has the rules.

It fails closed: what was not measured, is not a number, or is of another model counts as missed.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

import tasks
from edge.core import paths
from edge.core.errors import UserError
from edge.core.settings import Goal
from edge.devices import entries
from edge.records import git, measurement, metrics, status
from edge.records.measurement import Measurement

HEADERS = ("limit", "where", "asked", "measured", "", "note")
DECIMALS = 9  # 0.92 - 0.9 is 0.020000000000000018
NO_BOARD = "no real board was at hand"
NO_P95 = "a number of threads has no p95: it needs 130 inferences, evaluate_on_device.repeats x runs"


class Row(NamedTuple):
    """One limit at one place: a device, or a file where there is none. ``measured`` is None without a usable figure."""

    name: str
    device: str
    asked: float | None
    measured: float | None
    met: bool
    note: str = ""


class Measured(NamedTuple):
    """A named device: how it is reached, and what it measured, None where ``error`` says why that cannot be used."""

    transport: str
    found: Measurement | None
    error: str


def rows() -> list[Row]:
    """Every limit of params.yaml against what was measured; raises UserError where params.yaml is wrong."""
    params, task, config = tasks.selected()
    found = {name: read(name) for name in params.devices}
    judged = judge_all(params.budget, config.budget, task.head.headline, found)
    if all(measures(name) != paths.EDGE for name in params.devices):
        judged.append(Row("metrics", str(paths.EDGE), None, None, False, "no device that is named measures it"))
    return judged


def measures(name: str) -> Path:
    """The model that the device ``name`` measures."""
    return entries.MODELS[entries.load(name).runtime][0]


def check() -> None:
    """Raise UserError naming every limit that is missed."""
    refuse([describe(row) for row in rows() if not row.met])


def check_committed() -> None:
    """The gate, on a run that git has: raises UserError where figures, budget or code are other than committed.

    So the commit in the audit line holds what let the model pass.
    """
    changed = git.output("diff", "--name-only", "HEAD").splitlines()
    outputs = status.changes("quantize", "evaluate-on-device")["changed outs"]
    changed += [path for path, state in outputs.items() if state in ("modified", "new")]
    if changed:
        raise UserError(f"not as committed: {', '.join(dict.fromkeys(changed))}: dvc repro, git commit, then promote")
    check()


def refuse(missed: list[str]) -> None:
    """Raise UserError with what is missed, if anything is."""
    if missed:
        raise UserError(f"budget missed: {'; '.join(missed)}")


def read(name: str) -> Measured:
    """What the device ``name`` measured, checked to be of its model at hand, of this device, and by its transport."""
    transport, model = entries.load(name).transport, str(measures(name))
    try:
        found = measurement.read(name)
    except UserError as error:
        return Measured(transport, None, str(error))
    if (found.transport, found.model) != (transport, model):
        there = f"{found.model} by {found.transport}, not {model} by {transport}"
        return Measured(transport, None, f"{measurement.file(name)} measured {there}: run dvc repro")
    return Measured(transport, found, "")


def judge_all(budget: tasks.Budget, goal: Goal, headline: str, found: dict[str, Measured]) -> list[Row]:
    """Every limit of ``budget`` and ``goal`` against devices by name and metrics/quantize.json.

    ``headline`` is the name of the task's score; it names the limits of ``goal`` as well.
    """
    asked = budget.model_dump(exclude_none=True)
    judged = [Row("metrics", name, None, None, False, one.error) for name, one in found.items() if one.error]
    if not asked and goal.score is None and goal.drop is None:
        where = f"{paths.PARAMS} or of the task's config"
        return [Row("budget", "", None, None, False, f"no budget: set a key of budget in {where}")]
    if goal.score is not None:
        judged += [score(goal.score, headline, name, one) for name, one in found.items()]
    if goal.drop is not None:
        judged.append(drop(goal.drop, headline))
    if "bytes" in asked:
        used = {one.found.model for one in found.values() if one.found}
        for path in paths.SHIPPED:
            if path == paths.EDGE or str(path) in used:
                judged.append(judge(asked, "bytes", str(path), path.stat().st_size if path.is_file() else None))
    return judged + time(asked, found) + memory(asked, found)


def score(asked: float, headline: str, name: str, one: Measured) -> Row:
    """The headline on the device ``name``."""
    reached = one.found.scores.get(headline) if one.found else None
    if reached is None or reached > 1:  # a headline is at most 1
        return Row(headline, name, asked, None, False, "not measured")
    reached = round(reached, DECIMALS)
    return Row(headline, name, asked, reached, reached >= asked)


def drop(asked: float, headline: str) -> Row:
    """What quantization lost of the headline."""
    name, place = f"{headline}_drop", str(paths.EDGE)
    try:
        lost = round(metrics.quantization_drop(), DECIMALS)
    except UserError as error:
        return Row(name, place, asked, None, False, str(error))
    return Row(name, place, asked, lost, lost <= asked)


def judge(
    asked: dict, name: str, place: str, value: float | None, note: str = "", missing: str = "not measured"
) -> Row:
    """Hold a cost to its limit; ``missing`` is the note where there is none."""
    if value is None or not 0 < value <= sys.float_info.max:
        return Row(name, place, asked[name], None, False, missing)
    value = round(value, DECIMALS)
    return Row(name, place, asked[name], value, value <= asked[name], note)


def time(asked: dict, found: dict[str, Measured]) -> list[Row]:
    """Latency on real boards; without one, instructions on the emulated one; without that too, latency here."""
    real, emulated, local = (of_transport(found, transport) for transport in ("ssh", "emulated", "local"))
    if "latency_p95_ms" not in asked:
        if "instructions" in asked and not emulated:
            why = "no emulated board is named in device: name one, or set latency_p95_ms instead"
            return [judge(asked, "instructions", "", None, missing=why)]
        return [instructions(asked, name, one) for name, one in emulated.items() if "instructions" in asked]
    if real:
        return [latency(asked, name, one) for name, one in real.items()]
    if not emulated:
        return [latency(asked, name, one, NO_BOARD) for name, one in local.items()]
    if "instructions" in asked:
        return [instructions(asked, name, one, NO_BOARD) for name, one in emulated.items()]
    why = f"{NO_BOARD}, and the emulated one has no latency: set budget.instructions"
    return [judge(asked, "latency_p95_ms", name, None, missing=why) for name in emulated]


def latency(asked: dict, name: str, one: Measured, note: str = "") -> Row:
    """The least p95 of the candidate over numbers of threads; not measured where any of them lacks it."""
    if one.found is None or one.found.latency is None:
        return judge(asked, "latency_p95_ms", name, None)
    each = [at_count.candidate_ms.p95 for at_count in one.found.latency.values()]
    least = None if None in each else min(each)
    return judge(asked, "latency_p95_ms", name, least, note, NO_P95)


def instructions(asked: dict, name: str, one: Measured, note: str = "") -> Row:
    """The candidate's instructions of an inference."""
    counts = one.found.instructions if one.found else None
    return judge(asked, "instructions", name, counts.candidate if counts else None, note)


def memory(asked: dict, found: dict[str, Measured]) -> list[Row]:
    """The candidate's peak on every real board; without one, here; the emulated one has none."""
    if "memory_mb" not in asked:
        return []
    best = of_transport(found, "ssh") or of_transport(found, "local")
    if not best:
        why = "only emulated boards, which have none: name another in device, such as [emulated-pi4, local]"
        return [judge(asked, "memory_mb", "", None, missing=why)]
    note = "" if of_transport(found, "ssh") else NO_BOARD
    peaks = {name: one.found.peak_memory_mb if one.found else None for name, one in best.items()}
    return [judge(asked, "memory_mb", name, peak.candidate if peak else None, note) for name, peak in peaks.items()]


def of_transport(found: dict[str, Measured], transport: str) -> dict[str, Measured]:
    """The devices that are reached so."""
    return {name: one for name, one in found.items() if one.transport == transport}


def describe(row: Row) -> str:
    """A row as part of a sentence."""
    asked = "" if row.asked is None else f"asked {number(row.asked)}, measured {number(row.measured)}"
    return " ".join(filter(None, (row.name, row.device, asked, f"({row.note})" if row.note else "")))


def number(value: float | None) -> str:
    """A figure in as many digits as a person reads; "none" for None."""
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) and value < 1e6 else f"{value:.0f}"


def table(judged: list[Row], markdown: bool) -> str:
    """The rows as aligned text, or as a Markdown table."""
    lines = [
        (row.name, row.device, number(row.asked), number(row.measured), "met" if row.met else "missed", row.note)
        for row in judged
    ]
    if markdown:
        lines = [[" ".join(cell.split()).replace("|", r"\|") for cell in line] for line in lines]
    return tabulate(lines, headers=HEADERS, tablefmt="github" if markdown else "plain", disable_numparse=True)
