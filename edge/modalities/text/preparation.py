"""From labelled texts to shards of word indices: read as a stream, three times, so memory holds hashes and words only.

First every text is hashed, to find duplicates and contradictions; then the words of the train split are counted; then
the indices are written.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from edge.data.rejected import CONTRADICTION, DUPLICATE, Rejected, Table
from edge.data.shards import Spec, Tensor
from edge.data.splits import check_labels, repeated, split_of
from edge.data.writer import Splits
from edge.modalities.text import words
from edge.modalities.text.lines import Text

EMPTY = "no words"
REASONS = (EMPTY, DUPLICATE, CONTRADICTION)
TENTHS = 10  # log ratios are stored as whole tenths: rounding costs no accuracy and most of the letters


class Read(NamedTuple):
    """A text that can be used: its words, a hash of them, and its place among all such texts."""

    place: int
    text: Text
    tokens: list[str]
    digest: str


def prepare(
    texts: Callable[[], Iterable[Text]],
    out: Path,
    config,
    labels: tuple[str, ...],
    what: str,
    ranked: list[str] | None = None,
    entries: dict | None = None,
) -> dict:
    """Write shards of word indices int16 [n, length] and labels, spec.json, manifest.csv and rejected.csv.

    ``config`` is an Intake with ``length``, indices of an example; ``vocabulary``, indices at most; ``seen``, training
    texts that a word must be in; ``unique``, each word of a text once; and ``fold``, see splits.split_of.
    ``texts`` gives all texts in the same order whenever it is called; ``what`` names them in messages. ``ranked`` are
    the words in keras' order where the source has them: indices are then those of keras.datasets.imdb. Otherwise the
    words are those of the train split. ``entries`` are further metadata. Returns the counts. Raises UserError where
    too many texts are faulty or a split lacks a label.
    """
    pattern = re.compile(words.KERAS_WORD if ranked else words.WORD)
    kept, cut, unknown_only = Counter(), 0, 0
    with (
        Splits(out, (words.DTYPE.__name__, (config.length,)), ("int64", ())) as splits,
        Table(out / "manifest.csv", "file", "line", "label", "split", "sha256") as manifest,
        Rejected(out) as rejected,
    ):
        left_out = repeated((read.digest, read.text.label) for read in readable(texts, pattern, rejected))

        def usable(doing: str) -> Iterator[tuple[Read, str]]:
            for read in tqdm(readable(texts, pattern), doing, unit="text"):
                if read.place not in left_out:
                    yield read, place_of(read, config)

        counts = count((read for read, split in usable("counting words") if split == "train"), labels)
        reserved = words.KERAS if ranked else words.OURS
        chosen = (ranked or frequent(counts, config.seen))[: config.vocabulary - len(reserved)]
        rules = {"pattern": pattern.pattern, "unique": config.unique, "length": config.length, "reserved": reserved}
        metadata = {"text": rules, "vocabulary": " ".join(chosen), "log_ratio": log_ratio(counts, chosen, labels)}
        metadata |= entries or {}
        encode = words.Words(metadata)
        for read in readable(texts, pattern):
            if read.place in left_out:
                rejected.reject(read.text.file, read.text.line, left_out[read.place])
        for read, split in usable("writing indices"):
            indices = encode.indices(read.tokens)
            splits.add(split, indices, labels.index(read.text.label))
            manifest.add(read.text.file, read.text.line, read.text.label, split, read.digest)
            kept[read.text.label, split] += 1
            cut += len(set(read.tokens) if config.unique else read.tokens) + len(encode.start) > config.length
            unknown_only += not encode.known(indices)
    rejected.check(kept.total(), config.max_rejected, what)
    check_labels(kept, labels, what)
    Spec(Tensor("words", (config.length,)), Tensor("scores", (len(labels),)), labels, metadata).save(out)
    reasons = dict.fromkeys(REASONS, 0) | rejected.counts
    found = {"rejected": reasons, "cut": cut, "only_unknown_words": unknown_only, "vocabulary": len(encode.names)}
    return splits.counts | found


def readable(texts: Callable[[], Iterable[Text]], pattern: re.Pattern, rejected: Rejected | None = None):
    """The texts that have words, in order, as Read; the others go into ``rejected``."""
    place = 0
    for text in texts():
        found = [] if text.fault else words.tokens(text.text, pattern)
        if found:
            digest = hashlib.sha256(" ".join(found).encode("utf-8", "surrogatepass")).hexdigest()
            yield Read(place, text, found, digest)
            place += 1
        elif rejected is not None:
            rejected.reject(text.file, text.line, text.fault or EMPTY)


def place_of(read: Read, config) -> str:
    """The split of a text: as its maker says where it does, else by its group or its own words."""
    if read.text.part == "test":
        return "test"
    config = config.model_copy(update={"test": 0.0}) if read.text.part else config
    return split_of(read.text.group or read.digest, read.digest, config, config.fold)


def count(reads: Iterable[Read], labels: tuple[str, ...]) -> dict[str, Counter]:
    """In how many texts of each label a word occurs."""
    found = {label: Counter() for label in labels}
    for read in reads:
        found[read.text.label].update(set(read.tokens))
    return found


def frequent(counts: dict[str, Counter], seen: int) -> list[str]:
    """The words of at least ``seen`` texts, the most frequent first, equals in the order of the alphabet."""
    total = sum(counts.values(), Counter())
    return sorted((word for word, number in total.items() if number >= seen), key=lambda word: (-total[word], word))


def log_ratio(counts: dict[str, Counter], chosen: list[str], labels: tuple[str, ...]) -> list[str]:
    """How much a word speaks for a label: log of its share there over its share elsewhere (Wang and Manning 2012).

    Counts of texts with one added; a text of whole tenths with blanks between for each label, in the order of
    ``chosen``. Of two labels the second alone, since the first has the opposite.
    """
    table = np.array([[counts[label][word] + 1.0 for word in chosen] for label in labels])
    rest = table.sum(axis=0) - table + 1 - (len(labels) - 1)
    ratios = np.log(table / table.sum(axis=1, keepdims=True)) - np.log(rest / rest.sum(axis=1, keepdims=True))
    rows = ratios[1:] if len(labels) == 2 else ratios
    return [" ".join(str(round(TENTHS * value)) for value in row) for row in rows]


def start(metadata: dict) -> np.ndarray:
    """The weights that ``log_ratio`` gives a model to start from, float32 [indices, 1 or labels]; 0 for no word."""
    rows = [np.array(row.split(), np.float32) / TENTHS for row in metadata["log_ratio"]]
    return np.pad(np.stack(rows, axis=1), ((words.Words(metadata).first, 0), (0, 0)))
