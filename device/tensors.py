"""From what is stored to what a model takes: the one function that training, host and board share.

Travels to the board: numpy only.
"""

import numpy as np


def model_input(stored: np.ndarray, scale: float, dtype: str = "float32") -> np.ndarray:
    """``stored`` integers [n, *shape] as a model takes them: ``stored * scale`` for float32, else cast to ``dtype``.

    Example: int16 sound with the scale 1 / 32768 becomes float32 in -1…1; uint8 pixels for a uint8 model stay.
    """
    if dtype == "float32":
        return stored.astype(np.float32) * np.float32(scale)
    return stored.astype(dtype)
