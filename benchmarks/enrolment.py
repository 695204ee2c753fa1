"""Prints how well three classes are known that were enrolled from 5 and from 10 examples, and what the others lose.

The model never saw these classes in training; examples and test are of different people. Mean of 20 draws of the
examples. Needs the archives in the folder that EDGE_DATA_MIRROR names. The short form takes scikit-learn's digits.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import tasks
from benchmarks import real_speech
from benchmarks.clone import SHORT, Clone, clone, row
from edge.core import paths, settings
from edge.data import shards
from edge.data.shards import Split

KEYWORDS = real_speech.SPEECH_COMMANDS | {"train__epochs": 30, "train__patience": 30, "train__stream__minutes": 1}
SETS = {  # name: task, settings, what is held back, least accuracy on it at 10 examples
    "keywords": ("keyword_spotting", KEYWORDS, ("go", "right", "yes"), 0.65),
    "signs": ("image_classification", {"collect__source": "sign_language_digits"}, ("7", "8", "9"), 0.75),
}
if SHORT:
    SETS = {"digits": ("image_classification", {"train__epochs": 2}, ("7", "8", "9"), 0.0)}
DRAWS, EXAMPLES = (2 if SHORT else 20), (5, 10)


def hold_back(prepared: Path, labels: tuple[str, ...]) -> dict[str, Split]:
    """Take ``labels`` out of the data in ``prepared``; returns what was taken by split, y as an index of ``labels``."""
    spec, held = shards.load_spec(prepared), {}
    known = tuple(label for label in spec.labels if label not in labels)
    for name in shards.SPLITS:
        split = shards.load(prepared, name)
        names, x = np.array(spec.labels)[split.y], np.array(split.x)
        out = np.isin(names, labels)
        held[name] = Split(x[out], np.array([labels.index(label) for label in names[out]]), split.input)
        np.save(prepared / f"{name}.x.npy", x[~out])
        np.save(prepared / f"{name}.y.npy", np.array([known.index(label) for label in names[~out]]))
    replace(spec, labels=known, output=replace(spec.output, shape=(len(known),))).save(prepared)
    return held


def measure(here: Clone, name: str, held: dict[str, Split]) -> None:
    """Print the rows of a set whose model was trained without the classes in ``held``."""
    from edge.models import enrolment, keras_file, training

    task, _, labels, least = SETS[name]
    task, prepared, text = tasks.load(task), here.folder / paths.PREPARED, f"{', '.join(labels)} enrolled in {name}"
    training.deterministic(1, 2)
    spec, (train, val, test) = shards.load_spec(prepared), (shards.load(prepared, s) for s in ("train", "val", "test"))
    model = keras_file.load(here.folder / paths.KERAS, task.layers() | task.head.layers())
    embed, classes = enrolment.embedding(model), len(spec.labels)
    found = enrolment.statistics(embed, train, classes)
    known, unseen, old = (enrolment.embeddings(embed, split) for split in (held["train"], held["test"], test))
    before = task.head.score(test.y, keras_file.predict(model, test))["accuracy"]
    for count in EXAMPLES:
        scores = []
        for draw in range(DRAWS):
            chosen = drawn(held["train"].y, count, draw)
            larger = found.with_classes(known[chosen], held["train"].y[chosen])
            weights, bias = enrolment.discriminant(larger, larger.means)
            new = (unseen @ weights + bias).argmax(axis=1) == held["test"].y + classes
            kept = (old @ weights + bias).argmax(axis=1) == test.y
            scores.append((new.mean(), kept.mean(), np.concatenate((new, kept)).mean()))
        new, kept, both = np.mean(scores, axis=0)
        low, high = np.percentile(scores, (5, 95), axis=0)[:, 0]
        asked = (f"at least {least:.0%}", "at most 1.5 points") if count == 10 else ("-", "-")
        measured = f"{new:.1%} (9 of 10 draws {low:.0%} to {high:.0%}), of all {classes + len(labels)} {both:.1%}"
        row(f"{text} from {count} examples: known, of {len(unseen)} of others", asked[0], measured)
        row(f"{text} from {count} examples: old classes lose", asked[1], f"{lost(before, kept)} of {before:.1%}")
    heat = enrolment.temperature(enrolment.embeddings(embed, val) @ weights + bias, val.y)
    grown, spec = enrolment.extended(model, task.head, None, spec, labels, weights / heat, bias / heat)
    fp32, int8 = shipped(grown, spec, prepared, [(test, test.y), (held["test"], held["test"].y + classes)])
    row(f"{text} from 10 examples: int8 loses", "at most 1 point", f"{lost(fp32, int8)} of {fp32:.1%}")


def lost(before: float, after: float) -> str:
    """The points of accuracy that are lost; what is gained is negative."""
    return f"{round(100 * (before - after), 1) + 0.0:.1f}"  # never -0.0


def drawn(y: np.ndarray, count: int, draw: int) -> np.ndarray:
    """Rows of ``count`` examples of each class."""
    rng = np.random.default_rng(draw)
    rows = [rng.choice(np.flatnonzero(y == label), count, replace=False) for label in range(y.max() + 1)]
    return np.concatenate(rows)


def shipped(model, spec, prepared: Path, tests: list[tuple[Split, np.ndarray]]) -> list[float]:
    """Accuracy of ``model`` as ONNX, fp32 and int8, on all ``tests``: pairs of a split and its classes."""
    from edge.models.compression import schemes
    from edge.models.formats import onnx_export, onnx_file

    found, config = [], settings.Quantize(per_channel=True, batch=32)
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
        source = Path(folder, "model.onnx")
        onnx_export.to_onnx(model, spec, 18, {"task": "enrolment"}, source)
        for scheme in ("fp32", "int8"):
            target = Path(folder, f"{scheme}.onnx")
            schemes.SCHEMES[scheme](source, target, shards.load(prepared, "calibration"), config)
            right = [onnx_file.predict(target, split).argmax(axis=1) == y for split, y in tests]
            found.append(float(np.concatenate(right).mean()))
    return found


def main() -> None:
    for name, (task, changes, labels, least) in SETS.items():
        if reason := real_speech.missing():
            row(f"{', '.join(labels)} enrolled in {name}", f"at least {least:.0%}", reason)
            continue
        with clone() as here:
            here.set("params.yaml", task=task)
            here.set(f"configs/{task}.yaml", **changes)
            here.run("dvc", "repro", "preprocess")
            held = hold_back(here.folder / paths.PREPARED, labels)
            here.run("python", "-m", "stages.train")
            measure(here, name, held)


if __name__ == "__main__":
    main()
