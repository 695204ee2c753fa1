"""Examples of classes that a trained classifier shall know too: a folder a label, in it a person's own files."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge.core.errors import UserError
from edge.data.labels import distinct
from edge.data.shards import Spec
from edge.data.splits import repeated

LEAST = 5  # examples of a label: the mean of fewer says little of the class
NAMED = 5  # faults that an error names


class Enrolled(NamedTuple):
    """New ``labels`` and their ``folders``; their examples, stored integers ``x`` [n, *shape].

    ``y``, int64 [n], is the index among the new labels; ``sha256`` a hash of the labels and of all examples.
    """

    labels: tuple[str, ...]
    folders: tuple[Path, ...]
    x: np.ndarray
    y: np.ndarray
    sha256: str


def read(folder: Path, spec: Spec, read_example: Callable, config) -> Enrolled | None:
    """The examples in ``folder``; None where it has no folder of a label, or is none itself.

    ``read_example(path, spec, config)`` is the task's: a file as a stored example, integers [*shape]. Files beside the
    folders and hidden files are not looked at. Raises UserError with every fault: a name that is no label or is one of
    ``spec.labels``, fewer than LEAST examples, a file that cannot be read, the same example twice.
    """
    places = sorted(place for place in folder.glob("[!.]*") if place.is_dir())
    if not places:
        return None
    try:
        labels = distinct([*spec.labels, *(place.name for place in places)])[len(spec.labels) :]
    except ValueError as error:
        raise UserError(f"a folder in {folder}: {error}") from None
    faults, rows, y, read_from = [], [], [], []
    for number, (place, label) in enumerate(zip(places, labels, strict=True)):
        if label in spec.labels:
            faults.append(f"{place}: the model knows {label} already, remove or rename the folder")
        paths = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        if len(paths) < LEAST:
            faults.append(f"{place} has {len(paths)} files: {LEAST} to 10 examples are needed, more are better")
        for path in paths:
            if not path.is_file():
                faults.append(f"{path} is no file: a class has its files in one folder")
                continue
            try:
                rows.append(read_example(path, spec, config))
            except UserError as error:
                faults.append(str(error))
            else:
                y.append(number)
                read_from.append(path)
    digests = [hashlib.sha256(row.tobytes()).hexdigest() for row in rows]
    reasons = repeated(zip(digests, map(str, y), strict=True))
    faults += [f"{read_from[index]}: {reason}, the same example is there twice" for index, reason in reasons.items()]
    if faults:
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        raise UserError("; ".join(faults[:NAMED]) + more)
    listed = "\n".join(f"{labels[number]}/{digest}" for number, digest in zip(y, digests, strict=True))
    digest = hashlib.sha256(listed.encode()).hexdigest()
    return Enrolled(tuple(labels), tuple(places), np.stack(rows), np.array(y), digest)
