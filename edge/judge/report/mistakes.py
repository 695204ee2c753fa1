"""What the model that ships gets wrong on the test split: the confusion matrix, and the worst examples to look at."""

import numpy as np
import pandas as pd

import tasks
from edge.core import paths
from edge.judge.report import pictures
from edge.judge.report.page import NONE, Data, Figure, Section, Share, Table, percent
from edge.judge.report.revisions import Revision, same

WORST, MEDIA_LETTERS = 10, 1_500_000  # examples that are shown, and most letters of their HTML
ANSWERS = 5  # answers of an example that are listed


def confusion(before: Revision, after: Revision) -> Section:
    """Which answer was given for which, by the model that ships, on the test split."""
    table, labels = after.answers.table, names(after)
    counts = pd.crosstab(table.actual, table.predicted).reindex(index=labels, columns=labels, fill_value=0)
    new, old = recalls(after), recalls(before) if before.answers else {}
    rows = []
    for label, row in counts.iterrows():
        cells = [Share(str(count), float(count / max(row.sum(), 1))) for count in row]
        shares = [percent(found[label]) if label in found else NONE for found in (new, old)]
        rows.append([Data(label), *cells, *shares])
    wrong = [(int(counts.at[i, j]), i, j) for i in labels for j in labels if i != j and counts.at[i, j]]
    often = [[Data(i), Data(j), str(count)] for count, i, j in sorted(wrong, key=lambda found: -found[0])]
    head = ["label", *map(Data, labels), "recall", "recall before"]
    section = Section(
        "Confusion", notes=["models/edge.onnx on the whole test split, on this machine. A row is a true label."]
    )
    section.tables.append(Table("Answers by true label", head, rows))
    if often:
        section.tables.append(Table("Most frequent confusions", ["label", "answered", "times"], often[:WORST]))
    return section


def names(side: Revision) -> list[str]:
    """The labels in their order; where answers are ranges of values or boxes, what else there is after them."""
    answers = side.answers
    return list(dict.fromkeys([*answers.spec.labels, *answers.table.actual, *answers.table.predicted]))


def recalls(side: Revision) -> dict[str, float]:
    """The share of right answers of each label that the test split has."""
    table = side.answers.table
    return (table.actual == table.predicted).groupby(table.actual).mean().to_dict()


def worst(before: Revision, after: Revision) -> Section:
    """The examples that the model got most wrong; of equals those it was surest of, to look at or listen to."""
    answers = after.answers
    right, sure = answers.right, answers.head.confidence(answers.outputs)
    order = np.lexsort((-sure, right))
    wrong = [int(row) for row in order if right[row] < 1]
    notes = [f"{len(wrong)} of {len(right)} test examples are not wholly right."]
    section = Section("Worst errors", notes=notes)
    if not wrong:
        return section
    paired = before.answers and same(before, after, paths.PREPARED)
    rows, room = [], MEDIA_LETTERS
    for row in wrong[:WORST]:
        label, given = told(after, row, "actual"), told(after, row, "predicted")
        then = told(before, row, "predicted") if paired else NONE
        rows.append([str(row), label, given, percent(right[row]), percent(sure[row]), then])
        try:
            task = tasks.load(after.params[f"{paths.PARAMS}:task"])
            known = answers.split.x[row], answers.split.y[row], answers.outputs[row]
            shown = pictures.example(task, *known, answers.spec, f"test example {row}")
        except Exception as error:  # noqa: BLE001 - the task at hand may not be the one that prepared the data
            section.notes.append(f"Test example {row} cannot be shown ({type(error).__name__}).")
            continue
        room -= len(shown)
        if room > 0:
            caption = [f"Test example {row}: ", label, ", answered ", given, f", {percent(sure[row])} sure"]
            section.figures.append(Figure(shown, caption))
    if len(section.figures) < len(rows):
        section.notes.append(f"{len(rows) - len(section.figures)} are not shown: the report would be too large.")
    head = ["row of the test split", "true", "answered", "right", "sure", "answered before"]
    section.tables.append(Table("The most wrong answers, the surest first", head, rows))
    return section


def told(side: Revision, row: int, column: str) -> Data:
    """What is true of an example, or was answered, as text; of many boxes the first five."""
    table = side.answers.table
    values = table.loc[table.example == row, column].tolist()
    more = f" and {len(values) - ANSWERS} more" if len(values) > ANSWERS else ""
    return Data(", ".join(values[:ANSWERS]) + more)
