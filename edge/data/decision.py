"""What a task decides after training, and the columns of its curve: the contract and the modalities share them."""

from typing import NamedTuple

import pandas as pd

DET = ["threshold", "false_accepts", "misses"]  # columns of a detection error tradeoff (Martin et al. 1997)


class Decision(NamedTuple):
    """What ``Task.decide`` finds: entries of the model's metadata, metrics, and a table with the columns DET."""

    metadata: dict
    metrics: dict
    det: pd.DataFrame
