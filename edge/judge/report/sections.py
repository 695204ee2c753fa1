"""The sections of a report: the answer, each device, mistakes, parameters, data, code, and every other metric."""

import json
import re
from pathlib import Path

from edge.core import paths
from edge.core.errors import UserError
from edge.devices import entries
from edge.judge import budget
from edge.judge.report import mistakes, pictures
from edge.judge.report.page import BAD, GOOD, NONE, TONES, Data, Figure, Page, Section, Table, interval, number
from edge.judge.report.revisions import Revision, same
from edge.judge.verdicts import Change, at, on_device, score, since, size
from edge.records import git, measurement, metrics
from edge.records.measurement import Measurement
from edge.records.tree import WORKSPACE

COMMITS, FILES, NAMED = 50, 60, 5  # commits, changed files, and reasons to run again that are listed
HASH, SHORT = re.compile("[0-9a-f]{32,}"), 12  # letters of a hash that are shown


def build(before: Revision, after: Revision) -> Page:
    """The whole report; raises UserError where ``after`` has no run."""
    if not after.stages:
        raise UserError(f"{after.name} has no dvc.lock with a run: dvc repro makes one")
    changes = [score(before, after), size(before, after)]
    changes += [line for name in after.devices for line in on_device(name, before, after)]
    judged = limits(after)
    sections = [summary(before, after, changes, judged)]
    sections += [section for name in after.devices for section in device(name, before, after)]
    if after.answers:
        sections += [mistakes.confusion(before, after), mistakes.worst(before, after)]
    sections += [parameters(before, after), data(before, after), code(before, after), others(before, after)]
    sections[0].warnings += [
        f"{side.name}: {path} {why}" for side in (before, after) if side.stages for path, why in side.absent.items()
    ]
    task = after.params.get(f"{paths.PARAMS}:task", "")
    return Page(f"{task}: {title(after)} against {title(before)}", answer(changes, judged, after), sections)


def title(side: Revision) -> str:
    """How a revision is called, with its commit."""
    short = (side.commit or "no commit")[:8]
    based = f"workspace on {short}" if side.name == WORKSPACE else f"{side.name} ({short})"
    return short if side.commit and side.commit.startswith(side.name) else based


def answer(changes: list[Change], judged: list[budget.Row] | str, after: Revision) -> str:
    """Better, worse or undecided, and whether the budget is kept, in few words."""
    named = {
        "Better": [f"{one.what} {one.verdict}" for one in changes if TONES[one.verdict] == GOOD],
        "Worse": [f"{one.what} {one.verdict}" for one in changes if TONES[one.verdict] == BAD],
        "Undecided": [one.what for one in changes if one.verdict == "undecided"],
        "Unchanged": [one.what for one in changes if one.verdict == "same"],
    }
    found = [f"{word}: {', '.join(what)}." for word, what in named.items() if what]
    if isinstance(judged, str):
        found.append(f"Budget not known: {judged}.")
    else:
        missed = [budget.describe(row) for row in judged if not row.met]
        found.append(f"Budget missed: {'; '.join(missed)}." if missed else "Budget kept.")
    if all(measured.transport != "ssh" for measured in after.devices.values()):
        found.append("No real board was measured.")
    return " ".join(found)


def limits(after: Revision) -> list[budget.Row] | str:
    """Every limit and what was measured, or why that is not known."""
    if after.name != WORKSPACE:
        return f"it is judged in the workspace, check {after.name} out"
    try:
        return budget.rows()
    except UserError as error:
        return str(error).rstrip(".")


def summary(before: Revision, after: Revision, changes: list[Change], judged: list[budget.Row] | str) -> Section:
    """The answer in tables."""
    section = Section(
        "Answer", notes=["A difference whose interval is not beyond 0 is undecided; of cost, beyond 0.5 %."]
    )
    if not before.stages:
        section.warnings.append(f"{before.name} has no run: there is nothing to compare with")
    if changed := after.stale():
        more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
        section.warnings.append(f"Not as in the last run: {', '.join(changed[:NAMED])}{more}; dvc repro runs it again")
    if gone := sorted(before.devices.keys() - after.devices.keys()):
        section.warnings.append(f"Measured before, and not now: {', '.join(gone)}")
    old, new = before.budget, after.budget
    limits = [f"{key} {old.get(key)} -> {new.get(key)}" for key in sorted(old | new) if old.get(key) != new.get(key)]
    if old and limits:
        section.warnings.append(f"The budget itself differs: {', '.join(limits)}")
    rows = [[one.what, one.verdict, one.before, one.after, one.change] for one in changes]
    head = ["figure", "verdict", "before", "after", "change (95 % interval)"]
    section.tables.append(Table("What changed", head, rows))
    if isinstance(judged, list):
        rows = [
            [
                row.name,
                "met" if row.met else "missed",
                number(row.asked),
                number(row.measured),
                Data(row.device),
                row.note,
            ]
            for row in judged
        ]
        head = ["limit", "verdict", "asked", "measured", "where", "note"]
        section.tables.append(Table("Budget", head, rows))
    return section


def trust(measured: Measurement) -> list[str]:
    """Why the figures of a device are not to be taken as they are; docs/devices.md explains each."""
    doubts = {
        "Measured on this machine, not on a board: compare verdicts, not milliseconds": measured.transport == "local",
        "Emulated: instructions are not time, and no latency is known": measured.transport == "emulated",
        "Not every answer is the one of this machine (parity.agreement below 1)": measured.parity.agreement < 1,
        "Candidate and fp32 baseline are the same file: no difference is expected": (
            measured.model_sha256 == measured.baseline_sha256
        ),
    }
    if measured.latency:
        busy, blind = measured.state.others_max or 0, measured.state.clock_mhz_min is None
        doubts |= {
            f"Other processes kept up to {number(busy)} cores busy while it was measured": (
                busy > entries.Limits().others
            ),
            "Not every warm-up settled (steady below 1): raise evaluate_on_device.warmup": measured.steady < 1,
            f"Measurements that were rejected before this one: {measured.attempts - 1}": measured.attempts > 1,
            "The board does not tell its clock, so throttling would go unseen": measured.transport == "ssh" and blind,
        }
    return [doubt for doubt, holds in doubts.items() if holds]


def device(name: str, before: Revision, after: Revision) -> list[Section]:
    """Latency by number of threads with verdicts, and its series; everything else that is known of the device."""
    now, then = after.devices[name], before.devices.get(name)
    doubts = trust(now)
    older = [f"Before: {doubt}" for doubt in (trust(then) if then else []) if doubt not in doubts]
    section = Section(f"Device {name}", warnings=doubts + older)
    if now.latency:
        quantiles = ("p50", "p90", "p95", "p99")
        head = ["threads", *(f"{q} ms" for q in quantiles), "against fp32 (95 % interval)", "verdict", "p50 before"]
        head += ["since before (95 % interval)", "verdict"]
        rows = []
        for threads, latency in now.latency.items():
            [old] = at(threads, then)
            shares = [share / 100 for share in (latency.change_percent, latency.low_percent, latency.high_percent)]
            row = [threads.removeprefix("threads_")]
            row += [number(getattr(latency.candidate_ms, quantile)) for quantile in quantiles]
            row += [interval(*shares), latency.verdict, number(old.candidate_ms.p50 if old else None)]
            rows.append([*row, *since(then, now, threads)])
        section.tables.append(Table("Latency of an inference, raw input to scores", head, rows))
        section.notes.append(
            "A percentile is left out (–) where there are too few runs for it. Candidate: the model that ships. "
            "Baseline: the fp32 model of the same run, measured in turns with it."
        )
    if (series := after.series(name)) is not None and len(series):
        caption = ["Every measured inference; the scale of milliseconds is logarithmic"]
        section.figures.append(Figure(pictures.latency(series, name), caption))
    rest = [measurement.content(side, without="latency") if side else {} for side in (then, now)]
    table = compared("Board, scores, memory, start, state and parity", *map(metrics.flat, rest))
    return [section, Section(f"All else on {name}", tables=[table], level=3)]


def parameters(before: Revision, after: Revision) -> Section:
    """Parameters with which the runs differ."""
    table = compared("Parameters that differ", before.params, after.params, only_changed=True)
    return Section("Parameters", tables=[table]) if table.rows else Section("Parameters", notes=["None differs."])


def data(before: Revision, after: Revision) -> Section:
    """Hash and size of what the stages wrote, and counts of the data."""
    rows = []
    for path in sorted(before.outputs | after.outputs):
        cells = [described(side.outputs.get(path)) for side in (before, after)]
        rows.append([Data(path), *cells, "same" if same(before, after, Path(path)) else "changed"])
    section = Section(
        "Data and models", tables=[Table("Outputs in dvc.lock", ["path", "before", "after", "content"], rows)]
    )
    counts = [metrics.flat(side.metrics.get("data", {})) for side in (before, after)]
    section.tables.append(compared("Counts of the data", *counts))
    return section


def described(output: dict | None) -> str:
    """The hash of an output, in short, and its size."""
    if output is None:
        return NONE
    count = f", {output['nfiles']} files" if "nfiles" in output else ""
    return f"{output.get('md5', 'changed since')[:8]}, {number(output.get('size'))} bytes{count}"


def code(before: Revision, after: Revision) -> Section:
    """Commits of ``after`` that ``before`` lacks, and changed files."""
    section = Section("Code")
    commits = filter(
        None, git.output("log", "-z", "--format=%h%x09%cs%x09%s", f"{before.commit}..{after.commit}").split("\0")
    )
    rows = [[Data(commit), date, Data(subject)] for commit, date, subject in (one.split("\t", 2) for one in commits)]
    ends = [before.commit] if after.name == WORKSPACE else [before.commit, after.commit]
    changed = filter(None, git.output("diff", "--numstat", "--no-renames", *ends).split("\n"))
    lines = [[Data(path), added, removed] for added, removed, path in (one.split("\t", 2) for one in changed)]
    if after.name == WORKSPACE:
        new = filter(None, git.output("ls-files", "-z", "--others", "--exclude-standard").split("\0"))
        lines += [[Data(path), "not in git", NONE] for path in new]
    lost = git.output("rev-list", "--count", f"{after.commit}..{before.commit}")
    if lost not in ("", "0"):
        section.notes.append(f"Commits of {before.name} that {after.name} lacks: {lost}.")
    if not rows and not lines:
        section.notes.append("Nothing changed.")
    files = "Changed lines, with what is not committed" if after.name == WORKSPACE else "Changed lines"
    section.tables += cut("Commits that came", ["commit", "date", "subject"], rows, COMMITS)
    section.tables += cut(files, ["file", "added", "removed"], lines, FILES)
    return section


def cut(caption: str, head: list[str], rows: list[list], most: int) -> list[Table]:
    """A table of the first rows, whose caption says how many there are; none where there are none."""
    if len(rows) > most:
        caption = f"{caption} (first {most} of {len(rows)})"
    return [Table(caption, head, rows[:most])] if rows else []


def others(before: Revision, after: Revision) -> Section:
    """Every figure of the stages before the device."""
    flat = [
        metrics.flat({key: value for key, value in side.metrics.items() if key != "data"}) for side in (before, after)
    ]
    return Section("All other metrics", tables=[compared("Metrics of train, convert and quantize", *flat)])


def compared(caption: str, before: dict, after: dict, only_changed: bool = False) -> Table:
    """Flat values of two revisions side by side."""
    rows = []
    for key in sorted(before | after):
        old, new = before.get(key), after.get(key)
        if not only_changed or old != new:
            change = f"{'+' * (new > old)}{number(new - old)}" if numeric(old) and numeric(new) and new != old else ""
            rows.append([Data(key), cell(old), cell(new), change])
    return Table(caption, ["name", "before", "after", "change"], rows)


def numeric(value: object) -> bool:
    """Whether a value is a figure."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def cell(value: object) -> str:
    """A value of a metrics or params file as a cell."""
    if value is None:
        return NONE
    if numeric(value):
        return number(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return Data(text[:SHORT] if HASH.fullmatch(text) else text)
