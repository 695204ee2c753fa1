"""What a model's answers are worth."""

import numpy as np
from sklearn.metrics import accuracy_score, f1_score


def classification(labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Top-1 accuracy and macro-F1 of scores [n, labels] against label indices [n]."""
    answers = outputs.argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(labels, answers)),
        "macro_f1": float(f1_score(labels, answers, average="macro", zero_division=0)),
    }
