"""Pascal VOC folders (Everingham et al. 2010): JPEGImages, Annotations, and lists of splits in ImageSets/Main.

An annotation is XML from people whom nobody knows: a document type, which entities need, is refused, and a file is
at most a megabyte. Corners count pixels from 1, as VOC has them, the last one included.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape

from edge.core.errors import UserError
from edge.modalities.vision.pictures import Unreadable

PICTURES, ANNOTATIONS, LISTS = "JPEGImages", "Annotations", "ImageSets"
LARGEST = 10**6  # bytes of an annotation
CORNERS = ("xmin", "ymin", "xmax", "ymax")
NO_XML, ENTITIES = "not an annotation", "entities are not read"
NO_AREA, OUTSIDE, NO_NUMBER, NO_BOX = "box without area", "box outside of the picture", "box not a number", "box absent"
CLIPPED, SWAPPED, OTHER_SIZE = "clipped", "swapped corners", "size in xml is not the picture's"


class Box(NamedTuple):
    """A box as it is written: ``corners`` xmin ymin xmax ymax, pixels from 1; ``line`` is where it stands."""

    label: str
    corners: tuple[float, ...]
    line: int


class Fault(NamedTuple):
    """What is wrong with a box, and in which line of its file."""

    line: int
    reason: str
    detail: str


class Annotation(NamedTuple):
    """What an annotation says of a picture; ``size`` is (height, width), None where it says nothing of it."""

    size: tuple[int, int] | None
    boxes: list[Box]
    faults: list[Fault]


def annotation(height: int, width: int, things: Iterable[tuple]) -> bytes:
    """The XML of ``things`` (label, y0, x0, y1, x1), edges in pixels from 0, in a picture."""
    boxes = "".join(
        f"<object><name>{escape(label)}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax>"
        f"<ymax>{y1}</ymax></bndbox></object>\n"
        for label, y0, x0, y1, x1 in things
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation>{size}\n{boxes}</annotation>\n".encode()


def parse(data: bytes) -> Annotation:
    """Read an annotation; a box that says nothing is a fault. Raises Unreadable where the file is none."""
    root = tree(data)
    if root.tag != "annotation":
        raise Unreadable(NO_XML, f"its root is <{root.tag[:40]}>")
    size = tuple(_number(root.findtext(f"size/{side}")) for side in ("height", "width"))
    known = all(math.isfinite(side) and side >= 1 for side in size)
    boxes, faults = [], []
    for thing in root.iterfind("object"):
        line, label = int(thing.get("line")), (thing.findtext("name") or "").strip()
        written = [thing.findtext(f"bndbox/{side}") for side in CORNERS]
        corners = tuple(map(_number, written))
        if not label or None in written:
            faults.append(Fault(line, NO_BOX, "an object has <name> and <bndbox> with four corners"))
        elif not all(map(math.isfinite, corners)):
            faults.append(Fault(line, NO_NUMBER, f"{label[:40]} {' '.join(text[:20] for text in written)}"))
        else:
            boxes.append(Box(label, corners, line))
    return Annotation(tuple(map(int, size)) if known else None, boxes, faults)


def tree(data: bytes) -> ElementTree.Element:
    """The elements of an XML file, without attributes but the ``line`` of each; raises Unreadable."""
    if len(data) > LARGEST:
        raise Unreadable(NO_XML, f"{len(data)} bytes, at most {LARGEST} are read")
    parser, builder = expat.ParserCreate(), ElementTree.TreeBuilder()

    def refuse(*_):
        raise Unreadable(ENTITIES, "the file has a DOCTYPE: take it away")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda name, _: builder.start(name, {"line": str(parser.CurrentLineNumber)})
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise Unreadable(NO_XML, str(error)) from None


def _number(text: str | None) -> float:
    """The number that a text is; NaN where it is none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def fitted(box: Box, height: int, width: int) -> tuple[tuple[float, ...] | None, list[str], Fault | None]:
    """A box's edges y0 x0 y1 x1 in pixels from 0, what was repaired, and its fault where it has no place."""
    x0, y0, x1, y1 = box.corners
    repaired = []
    if x1 < x0 or y1 < y0:
        x0, x1, y0, y1 = *sorted((x0, x1)), *sorted((y0, y1))
        repaired.append(SWAPPED)
    told = f"{box.label[:40]} {x0:g} {y0:g} {x1:g} {y1:g}"
    if x0 == x1 or y0 == y1:
        return None, [], Fault(box.line, NO_AREA, told)
    inside = max(y0 - 1, 0), max(x0 - 1, 0), min(y1, height), min(x1, width)
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        return None, [], Fault(box.line, OUTSIDE, f"{told} in {width} x {height} pixels")
    if inside != (y0 - 1, x0 - 1, y1, x1):
        repaired.append(CLIPPED)
    return inside, repaired, None


class Folder(NamedTuple):
    """File names by what they are; a key is the path of a picture below its VOC folder, without its suffix."""

    pictures: dict[str, str]
    annotations: dict[str, str]
    lists: dict[str, list[str]]  # train, val, test: their files
    twice: list[str]  # pictures whose key another one has


class Place(NamedTuple):
    """Where a file lies: ``part`` of a VOC folder, ``key`` of its picture, ``rest`` of its name below the part."""

    part: str
    key: str
    rest: str


def place(name: str) -> Place | None:
    """Where a file lies in a VOC folder; None where it belongs to none of its parts."""
    path = PurePosixPath(name)
    for part in (PICTURES, ANNOTATIONS, LISTS):
        if part in path.parts[:-1]:
            at = path.parts.index(part)
            rest = PurePosixPath(*path.parts[at + 1 :])
            return Place(part, PurePosixPath(*path.parts[:at], rest.with_suffix("")).as_posix(), rest.as_posix())
    return None


def wanted(name: str) -> bool:
    """Is the file a part of a VOC folder that is read?"""
    found = place(name)
    if found is None:
        return False
    if found.part == LISTS:
        return found.rest in {f"Main/{split}.txt" for split in ("train", "val", "test")}
    return found.part == PICTURES or found.rest.lower().endswith(".xml")


def index(names: Iterable[str]) -> Folder:
    """Sort the files of VOC folders by what they are."""
    found = Folder({}, {}, {}, [])
    for name in names:
        part, key, rest = place(name)
        if part == LISTS:
            found.lists.setdefault(PurePosixPath(rest).stem, []).append(name)
        elif part == ANNOTATIONS:
            found.annotations[key] = name
        elif found.pictures.setdefault(key, name) != name:
            found.twice.append(name)
    return found


def listed(name: str, data: bytes) -> Iterator[tuple[int, str]]:
    """(line, key) of each picture in a list; raises UserError where it is no text."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8: write it anew") from None
    around = PurePosixPath(*PurePosixPath(name).parts[: PurePosixPath(name).parts.index(LISTS)])
    for number, line in enumerate(lines, 1):
        if words := line.split():
            yield number, (around / words[0]).as_posix()
