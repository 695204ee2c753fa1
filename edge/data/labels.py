"""Labels are checked where they enter: a label becomes a file name, a cell of a table and a word on a page."""

import unicodedata
from collections.abc import Iterable

LONGEST = 200  # bytes in UTF-8: a file name has at most 255, and a label's file has a suffix
PUNCTUATION = " _-'’"


def checked(label: str) -> str:
    """The label in Unicode's composed form (NFC); raises ValueError where it could not name a file or a class.

    Allowed are letters, accents, digits, blanks between them, ``_ - ' ’``; the first is a letter, a digit or ``_``.
    """
    label = unicodedata.normalize("NFC", label)
    strange = [sign for sign in label if sign not in PUNCTUATION and unicodedata.category(sign)[0] not in "LMN"]
    if strange:
        raise ValueError(f"{label!r} has {strange[0]!r}: a label has letters, digits, blanks and _ - ' only")
    if label != label.strip() or not label:
        raise ValueError(f"{label!r} is empty or begins or ends with a blank: take the blank away")
    if label[0] != "_" and unicodedata.category(label[0])[0] not in "LN":
        raise ValueError(f"{label!r} must begin with a letter, a digit or _")
    if len(label.encode()) > LONGEST:
        raise ValueError(f"{label[:20]!r}… has {len(label.encode())} bytes: at most {LONGEST} are allowed")
    return label


def distinct(labels: Iterable[str]) -> list[str]:
    """All labels ``checked``, in order; raises ValueError where two of them differ in nothing but case."""
    composed = [checked(label) for label in labels]
    spelled: dict[str, str] = {}
    for label in composed:
        other = spelled.setdefault(label.casefold(), label)
        if other != label:
            raise ValueError(f"{other!r} and {label!r} differ in case only: spell them alike")
    return composed


def file_name(label: str, suffix: str) -> str:
    """The name of the file that belongs to a label, such as ``yes.png``; raises ValueError as ``checked`` does."""
    return f"{checked(label)}{suffix}"
