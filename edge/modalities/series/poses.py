"""Poses: 17 points of a body in a picture, from a pose model that a person brings, as a csv of coordinates.

The points and their order are those of COCO (Lin et al. 2014, arXiv:1405.0312), which PoseNet and MoveNet have;
MediaPipe's 33 points (Bazarevsky et al. 2020, arXiv:2006.10204) contain them.
"""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from edge.core import files
from edge.core.errors import UserError
from edge.data import archive, labels
from edge.data.rejected import Table

SIDED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
POINTS = ("nose", *(f"{side}_{part}" for part in SIDED for side in ("left", "right")))
COLUMNS = [f"{point}_{axis}" for point in POINTS for axis in "xy"]
LABEL, RECORDING = "label", "recording"
LEAST = 0.3  # confidence below which a picture shows nobody
MEDIAPIPE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)  # of its 33 points, those of POINTS
MIRRORED = (0, *(index + (1 if index % 2 else -1) for index in range(1, 17)))  # each point's place in a mirror
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MOST_PIXELS = 50 * 10**6  # of a picture; a larger one is refused before it is decoded


class Pose(NamedTuple):
    """Points float32 [17, 2], x and y in pixels of the model's input, and how sure the model is, 0 to 1."""

    points: np.ndarray
    confidence: float


def movenet(found: list[np.ndarray], size: tuple[int, int]) -> Pose:
    """An output [1, 1, 17, 3] of y, x, score as shares of the picture (MoveNet)."""
    rows = next(array for array in found if array.size == 17 * 3).reshape(17, 3)
    return Pose(rows[:, 1::-1] * size[::-1], float(rows[:, 2].mean()))


def mediapipe(found: list[np.ndarray], size: tuple[int, int]) -> Pose:
    """An output [1, 195] of x, y, z, visibility, presence of 39 points, 33 of them a body; one [1, 1]: a person?"""
    rows = next(array for array in found if array.size in (33 * 5, 39 * 5)).reshape(-1, 5)
    sure = next((float(array.ravel()[0]) for array in found if array.size == 1), 1.0)
    return Pose(rows[list(MEDIAPIPE), :2], sure)


def posenet(found: list[np.ndarray], size: tuple[int, int]) -> Pose:
    """Heat maps [1, rows, columns, 17], offsets [1, rows, columns, 34], y first (Papandreou et al. 2018, PoseNet)."""
    heat = next(array for array in found if array.shape[-1] == 17)[0]
    offsets = next(array for array in found if array.shape[-1] == 34)[0]
    rows, columns, count = heat.shape
    best = heat.reshape(-1, count).argmax(axis=0)
    y, x = np.divmod(best, columns)
    point = np.arange(count)
    moved = offsets[y, x, count + point], offsets[y, x, point]
    places = x / (columns - 1) * size[1] + moved[0], y / (rows - 1) * size[0] + moved[1]
    return Pose(np.stack(places, axis=1), float((1 / (1 + np.exp(-heat.reshape(-1, count).max(axis=0)))).mean()))


def kind(shapes: list[tuple[int, ...]]) -> tuple[Callable, float, float] | None:
    """How a model with outputs of these shapes is read, and what float pixels it takes: pixels * scale + offset."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    if 33 * 5 in sizes or 39 * 5 in sizes:
        return mediapipe, 1 / 255, 0.0
    if 17 * 3 in sizes:
        return movenet, 1.0, 0.0
    if {17, 34} <= {shape[-1] for shape in shapes if len(shape) == 4 and min(shape[1:3]) > 1}:
        return posenet, 2 / 255, -1.0
    return None


def estimator(model: Path) -> tuple[tuple[int, int], Callable[[np.ndarray], Pose]]:
    """(height, width) of the pictures that a TFLite pose model takes, and a callable from uint8 pixels to a pose.

    Raises UserError, with the shapes that were found, for a file that is no TFLite model of a pose in a picture.
    """
    from ai_edge_litert.interpreter import Interpreter

    if not model.is_file():
        raise UserError(f"{model} does not exist: give the TFLite file of a pose model")
    try:
        run = Interpreter(str(model), num_threads=1)
        run.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{model} is no TFLite model that runs here ({str(error).splitlines()[0]})") from None
    inputs, outputs = run.get_input_details(), run.get_output_details()
    shapes = [tuple(map(int, end["shape"])) for end in outputs]
    takes, reads = tuple(map(int, inputs[0]["shape"])), kind(shapes)
    if len(inputs) > 1 or len(takes) != 4 or takes[0] != 1 or takes[3] != 3 or reads is None:
        raise UserError(
            f"{model} is no pose model that is known here: it takes {takes} and gives {', '.join(map(str, shapes))}; "
            "known are pictures (1, height, width, 3) to 33 points of 5 numbers (MediaPipe), 17 of 3 (MoveNet), or "
            "heat maps and offsets of 17 (PoseNet)"
        )
    read, scale, offset = reads

    def estimate(pixels: np.ndarray) -> Pose:
        given = pixels[None].astype(inputs[0]["dtype"])
        run.set_tensor(inputs[0]["index"], given * scale + offset if given.dtype == np.float32 else given)
        run.invoke()
        return read([run.get_tensor(end["index"]) for end in outputs], takes[1:3])

    return takes[1:3], estimate


def pixels(content: bytes, size: tuple[int, int]) -> np.ndarray:
    """A picture as uint8 [height, width, 3] within black borders, so that its proportions stay.

    Raises ValueError where it is no picture, is damaged, or has more than MOST_PIXELS.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"it has {picture.width} x {picture.height} pixels")
            upright = ImageOps.exif_transpose(picture).convert("RGB")
            return np.asarray(ImageOps.pad(upright, size[::-1]))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from None


def in_order(name: str) -> list:
    """A key that sorts frame2 before frame10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def write(model: Path, pictures: Path, out: Path) -> dict[str, int]:
    """Write the csv of the poses in ``pictures``, label/picture or label/recording/picture; returns counts.

    A row has the coordinates of the 17 points, the label, and the recording: its frames in order are the rows. A
    picture that stands alone is a recording of its own. Pictures that cannot be read or show nobody are left out,
    counted, and named on stderr. Raises UserError where none is left.
    """
    size, estimate = estimator(model)
    counts = {"written": 0, "unreadable": 0, "nobody": 0}
    with (
        archive.members(pictures, lambda name: name.lower().endswith(SUFFIXES)) as members,
        files.atomic(out) as temporary,
        Table(temporary, *COLUMNS, LABEL, RECORDING) as table,
    ):
        for name in tqdm(sorted(members.names, key=in_order), "poses", unit="picture"):
            *folders, picture = PurePosixPath(name).parts
            if not folders:
                raise UserError(f"{pictures}: {name} lies in no folder: the folder of a picture names its label")
            label, recording = (folders[0], folders[1]) if len(folders) > 1 else (folders[0], PurePosixPath(name).stem)
            try:
                labels.checked(label)
            except ValueError as error:
                raise UserError(f"{pictures}: the folder of {name} is no label: {error}") from None
            try:
                pose = estimate(pixels(members.read(name), size))
            except ValueError as error:
                counts["unreadable"] += 1
                print(f"left out {name}: {error}", file=sys.stderr)
                continue
            if not pose.confidence >= LEAST or not np.isfinite(pose.points).all():
                counts["nobody"] += 1
                print(f"left out {name}: confidence {pose.confidence:.2f}, {LEAST} is needed", file=sys.stderr)
                continue
            table.add(*(f"{value:.2f}" for value in pose.points.ravel()), label, recording)
            counts["written"] += 1
        if not counts["written"]:
            raise UserError(f"{pictures} has no picture with a person in it: give a folder of label/picture")
    return counts
