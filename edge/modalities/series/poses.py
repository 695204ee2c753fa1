"""Poses: 17 points of a body in a picture, from a pose model that a person brings, as a csv of coordinates.

The points and their order are those of COCO (Lin et al. 2014, arXiv:1405.0312), which PoseNet and MoveNet have;
MediaPipe's 33 points (Bazarevsky et al. 2020, arXiv:2006.10204) contain them.
"""

import numpy as np

from edge.core.errors import UserError

SIDED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
POINTS = ("nose", *(f"{side}_{part}" for part in SIDED for side in ("left", "right")))
COLUMNS = [f"{point}_{axis}" for point in POINTS for axis in "xy"]
LABEL, RECORDING = "label", "recording"
MEDIAPIPE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)  # of its 33 points, those of POINTS
MIRRORED = (0, *(index + (1 if index % 2 else -1) for index in range(1, 17)))  # each point's place in a mirror
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MOST_PIXELS = 50 * 10**6  # of a picture; a larger one is refused before it is decoded


def points(output: np.ndarray, file: str) -> np.ndarray:
    """The 17 points of a pose model's first output, float32 [17, 2] as x, y; raises UserError where it has no pose.

    17 points come as y, x, score (MoveNet, [1, 1, 17, 3]) or as y, x; MediaPipe gives 33 points (of 39) as x, y, z,
    visibility, presence, [1, 195].
    """
    values = np.asarray(output, np.float32)
    if values.size in (33 * 5, 39 * 5):
        return values.reshape(-1, 5)[list(MEDIAPIPE), :2]
    if values.size == 17 * 3 or values.size == 17 * 2:
        return values.reshape(17, -1)[:, 1::-1]
    raise UserError(
        f"{file} has no output of 17 points (PoseNet, MoveNet) or 33 points (MediaPipe): its first output is "
        f"{list(values.shape)}"
    )
