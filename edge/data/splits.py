"""Which split an example belongs to, and what must not happen between splits: leaks, gaps and contradictions."""

import sys
from collections import Counter
from collections.abc import Iterable

from pydantic import Field

from edge.core.errors import UserError
from edge.core.settings import Section
from edge.data import shards
from edge.data.rejected import CONTRADICTION, DUPLICATE


class Intake(Section):
    """Settings of `preprocess` that every task has whose examples are split by a hash: a task adds its own."""

    val: float = Field(ge=0, lt=0.5)
    test: float = Field(ge=0, lt=0.5)
    calibration: float = Field(gt=0, lt=0.5)
    max_rejected: float = Field(ge=0, le=1)


def split_of(group: str, digest: str, config: Intake, fold: int = 0) -> str:
    """The split of an example: test and val by its group (a person, a document), calibration by its content.

    ``digest`` is a hash of the content. A group that leaks nothing is the content itself: ``split_of(digest, digest,
    config)``. The split follows from the two names alone, and so it stays as data grow. ``fold`` k tests the k-th share
    of the groups: with test = 0.1 the folds 0 to 9 test each group once.
    """
    place = (shards.share(group, "split") - fold * config.test) % 1
    if place < config.test:
        return "test"
    if place < config.test + config.val:
        return "val"
    return "calibration" if shards.share(digest, "calibration") < config.calibration else "train"


def repeated(examples: Iterable[tuple[str | bytes, str]]) -> dict[int, str]:
    """What to leave out of ``examples``, pairs (digest of the content, what is true of it): index -> reason.

    The first of equal examples stays, the others are duplicates. Where equal content has different truths, nobody knows
    which is right: all of them are contradictions.
    """
    digests, truths = [], []
    for digest, truth in examples:
        digests.append(digest)
        truths.append(sys.intern(truth))
    first: dict[str | bytes, int] = {}
    contradictory = {digest for i, digest in enumerate(digests) if truths[first.setdefault(digest, i)] != truths[i]}
    found = {}
    for index, digest in enumerate(digests):
        if digest in contradictory:
            found[index] = CONTRADICTION
        elif first[digest] != index:
            found[index] = DUPLICATE
    return found


def check_labels(kept: Counter, labels: Iterable[str], what: str) -> None:
    """Raise UserError where a split lacks a label; ``kept`` counts examples by (label, split), ``what`` names them.

    Example: ``check_labels(kept, labels, "pictures")``. Calibration needs any example, not each label.
    """
    for split in ("train", "val", "test"):
        for label in labels:
            if not kept[label, split]:
                total = sum(kept[label, other] for other in shards.SPLITS)
                change = "lower preprocess.val or preprocess.test" if split == "train" else f"raise preprocess.{split}"
                raise UserError(
                    f"split {split} has none of the {total} {what} of {label}: collect more from other groups, or "
                    f"{change}"
                )
    if not any(kept[label, "calibration"] for label in labels):
        raise UserError(f"none of the {what} is left for calibration: collect more, or raise preprocess.calibration")
