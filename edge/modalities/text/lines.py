"""Files with a text a line, as a source leaves them in data/raw, and what is read from there."""

import codecs
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from edge.core.errors import UserError
from edge.data.labels import checked

LONGEST = 1 << 20  # bytes of a line that are read: half a novel
SOURCE = "source.json"


class Lines(NamedTuple):
    """A file of data/raw: its name, the label of its lines, and ``part``: "train" or "test" where its maker says so."""

    file: str
    label: str
    encoding: str = "utf-8"
    part: str = ""


class Text(NamedTuple):
    """One example as it was found; ``text`` is None where ``fault`` says why it cannot be read.

    Texts of one ``group`` are in one split; without a group each text is its own. ``part`` is that of Lines.
    """

    file: str
    line: int
    label: str
    text: str | None
    fault: str = ""
    group: str = ""
    part: str = ""


def describe(out: Path, files: Iterable[Lines], words: list[str] | None = None) -> None:
    """Write source.json: the files that the folder holds, and ``words`` by rank where the source has a list of them."""
    content = {"files": [entry._asdict() for entry in files], "words": words}
    (out / SOURCE).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def described(raw: Path) -> tuple[list[Lines], list[str] | None]:
    """What ``describe`` wrote; raises UserError where it is damaged."""
    try:
        content = json.loads((raw / SOURCE).read_text(encoding="utf-8"))
        files = [Lines(**entry) for entry in content["files"]]
        for entry in files:
            checked(entry.label)
            codecs.lookup(entry.encoding)
        return files, content["words"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{raw / SOURCE} is damaged ({error}): run `dvc repro --force collect`") from None


def texts(raw: Path, files: Iterable[Lines]) -> Iterator[Text]:
    """The lines of ``files`` in order, one at a time. A line that is not in the file's encoding is a fault."""
    for entry in files:
        with open(raw / entry.file, "rb") as file:
            for number, line in enumerate(_whole_lines(file), 1):
                text, fault = None, ""
                try:
                    if line is None:
                        fault = "too long"
                    else:
                        start = codecs.BOM_UTF8 if number == 1 else b""
                        text = line.removeprefix(start).decode(entry.encoding)
                except UnicodeDecodeError:
                    fault = f"not {entry.encoding}"
                yield Text(entry.file, number, entry.label, text, fault, part=entry.part)


def _whole_lines(file) -> Iterator[bytes | None]:
    """The lines of a file; None for one that is longer than LONGEST."""
    while line := file.readline(LONGEST):
        if line.endswith(b"\n") or len(line) < LONGEST:
            yield line.rstrip(b"\r\n")
            continue
        while (rest := file.readline(LONGEST)) and not rest.endswith(b"\n"):
            pass
        yield None
