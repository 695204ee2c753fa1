"""What the model that ships gets wrong on the test split: the confusion matrix, and the worst examples to look at."""

import numpy as np

import tasks
from edge.core import paths
from edge.judge.report import pictures
from edge.judge.report.page import NONE, Data, Figure, Section, Share, Table, percent
from edge.judge.report.revisions import Revision, same

WORST, MEDIA_LETTERS = 10, 1_500_000  # examples that are shown, and most letters of their HTML


def confusion(before: Revision, after: Revision) -> Section:
    """Which label was answered for which, by the model that ships, on the test split."""
    answers, labels = after.answers, after.answers.spec.labels
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (answers.split.y, answers.given), 1)
    new, old = recalls(after), recalls(before) if before.answers else {}
    rows = []
    for label, row in zip(labels, counts, strict=True):
        cells = [Share(str(count), float(count / max(row.sum(), 1))) for count in row]
        shares = [percent(found[label]) if label in found else NONE for found in (new, old)]
        rows.append([Data(label), *cells, *shares])
    wrong = [(int(counts[i, j]), i, j) for i, j in zip(*np.nonzero(counts), strict=True) if i != j]
    often = [
        [Data(labels[i]), Data(labels[j]), str(count)]
        for count, i, j in sorted(wrong, key=lambda one: (-one[0], *one[1:]))
    ]
    head = ["label", *map(Data, labels), "recall", "recall before"]
    section = Section(
        "Confusion", notes=["models/edge.onnx on the whole test split, on this machine. A row is a true label."]
    )
    section.tables.append(Table("Answers by true label", head, rows))
    if often:
        section.tables.append(Table("Most frequent confusions", ["label", "answered", "examples"], often[:WORST]))
    return section


def recalls(side: Revision) -> dict[str, float]:
    """The share of right answers of each label that the test split has."""
    y = side.answers.split.y
    return {
        label: side.answers.right[y == i].mean() for i, label in enumerate(side.answers.spec.labels) if (y == i).any()
    }


def worst(before: Revision, after: Revision) -> Section:
    """The wrong answers that the model was surest of, to look at or listen to."""
    answers, labels = after.answers, after.answers.spec.labels
    sure = answers.scores.max(axis=1)
    wrong = [row for row in np.argsort(-sure, kind="stable") if not answers.right[row]]
    section = Section("Worst errors", notes=[f"{len(wrong)} of {len(answers.right)} test examples are answered wrong."])
    if not wrong:
        return section
    paired = before.answers and same(before, after, paths.PREPARED)
    rows, room = [], MEDIA_LETTERS
    for row in wrong[:WORST]:
        label, given = Data(labels[answers.split.y[row]]), Data(labels[answers.given[row]])
        then = Data(labels[before.answers.given[row]]) if paired else NONE
        rows.append([str(row), label, given, percent(sure[row]), then])
        try:
            task = tasks.load(after.params[f"{paths.PARAMS}:task"])
            shown = pictures.example(task, answers.split.x[row], answers.spec, f"test example {row}")
        except Exception as error:  # noqa: BLE001 - the task at hand may not be the one that prepared the data
            section.notes.append(f"Test example {row} cannot be shown ({type(error).__name__}).")
            continue
        room -= len(shown)
        if room > 0:
            caption = [f"Test example {row}: ", label, ", answered ", given, f", {percent(sure[row])} sure"]
            section.figures.append(Figure(shown, caption))
    if len(section.figures) < len(rows):
        section.notes.append(f"{len(rows) - len(section.figures)} are not shown: the report would be too large.")
    head = ["row of the test split", "label", "answered", "sure", "answered before"]
    section.tables.append(Table("Wrong answers, the surest first", head, rows))
    return section
