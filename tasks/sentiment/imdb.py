"""The IMDB reviews in the form of keras.datasets.imdb: lists of word ranks in an .npz, and a JSON of word to rank.

The lists are in arrays of objects, which numpy stores as a pickle. A pickle can run code, so it is read by an unpickler
that knows the three names that such an array needs.
"""

import io
import json
import pickle
from pathlib import Path

import numpy as np

from edge.core.errors import UserError
from edge.data import archive

LABELS = ("negative", "positive")
NEEDED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "_reconstruct"),  # as NumPy before version 2 wrote it
}
DAMAGE = (ValueError, TypeError, KeyError, EOFError, IndexError, AttributeError, MemoryError, RecursionError)


class Unpickler(pickle.Unpickler):
    """Reads arrays of lists of numbers, and nothing that could run code."""

    def find_class(self, module: str, name: str):
        if (module, name) not in NEEDED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which lists of numbers do not need")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def lists(content: bytes) -> list[list[int]]:
    """The lists of whole numbers in a .npy file of objects; raises pickle.UnpicklingError or what is in DAMAGE."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, kind = header(file)
    if kind != np.dtype(object):
        raise ValueError(f"an array of {kind}, not of lists")
    found = Unpickler(file).load()
    if not isinstance(found, np.ndarray) or found.ndim != 1:
        raise ValueError("it is no row of lists")
    for row in found:
        if not isinstance(row, list) or not all(type(value) is int and value > 0 for value in row):
            raise ValueError("a review is no list of ranks from 1 on")
    return list(found)


def texts(path: Path, part: str, words: list[str]) -> list[tuple[str, str]]:
    """(text, label) of the reviews of the half ``part``, "train" or "test", the words in lower case.

    In the file the numbers are ranks; keras.datasets.imdb.load_data adds 3 to them. Raises UserError for a file that is
    not of this form, and for ranks that are not in ``words``.
    """
    with archive.members(path) as members:
        try:
            reviews = lists(members.read(f"x_{part}.npy"))
            answers = np.load(io.BytesIO(members.read(f"y_{part}.npy")), allow_pickle=False)
            if answers.shape != (len(reviews),) or not np.isin(answers, (0, 1)).all():
                raise ValueError(f"y_{part} is no label 0 or 1 for each of {len(reviews)} reviews")
            return [
                (" ".join(words[rank - 1] for rank in review), LABELS[int(label)])
                for review, label in zip(reviews, answers, strict=True)
            ]
        except (pickle.UnpicklingError, *DAMAGE) as error:
            raise UserError(f"{path}: x_{part} and y_{part} cannot be read: {error}: fetch the file again") from None


def ranked(path: Path) -> list[str]:
    """The words of imdb_word_index.json by rank; raises UserError where ranks are missing or one is there twice."""
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        words = sorted(index, key=index.__getitem__)
        if [index[word] for word in words] != list(range(1, len(words) + 1)):
            raise ValueError("the ranks are not 1, 2, 3 …")
        return [word if word.split() == [word] else "<no-word>" for word in words]
    except DAMAGE as error:
        raise UserError(f"{path} cannot be read: {error}: fetch the file again") from None
