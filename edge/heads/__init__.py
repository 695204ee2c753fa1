"""What comes out of a model, and what it is worth: classification, detection, regression."""

from edge.heads.classification import Classification
from edge.heads.detection import Detection
from edge.heads.head import Head, Objective
from edge.heads.regression import Regression

__all__ = ["Classification", "Detection", "Head", "Objective", "Regression"]
