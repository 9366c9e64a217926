"""Candidates that are made for a test."""

import threading
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from clv.models.candidates import Candidate
from clv.models.estimators import MeanRegressor
from clv.schema import MONETARY, Floats

__all__ = ["Knows", "Refuses", "Steps", "candidate"]


class Knows(MeanRegressor):  # has no thresholds
    """Says 1 of whom it learnt from and 0 of everybody else; all of them keep what they saw."""

    fitted: ClassVar[list[frozenset[float]]] = []
    asked: ClassVar[list[frozenset[float]]] = []

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth

    def fit(self, X: Floats, _y: Floats) -> "Knows":
        self.known_ = frozenset(X[:, MONETARY].tolist())
        self.n_features_in_ = X.shape[1]
        self.fitted.append(self.known_)
        return self

    def predict(self, X: Floats) -> Floats:
        rows = X[:, MONETARY].tolist()
        self.asked.append(frozenset(rows))
        return np.array([float(row in self.known_) for row in rows])


class Refuses(RegressorMixin, BaseEstimator):
    """Cannot learn, and says why on the last of several lines."""

    def __init__(self, error: type[Exception] = ValueError) -> None:
        self.error = error

    def fit(self, _X: Floats, _y: Floats) -> None:
        raise self.error("It went wrong.\n\nThese customers are not to my taste.\n")


def candidate(name: str, estimator: BaseEstimator, **grid: list[object]) -> Candidate:
    return Candidate(name, estimator, "increment", grid)


class Steps:
    """A Progress that counts; called from several threads."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.done: list[int] = []
        self._lock = threading.Lock()

    def start(self, stage: str, steps: int) -> None:
        self.stages.append((stage, steps))
        self.done.append(0)

    def step(self) -> None:
        with self._lock:
            self.done[-1] += 1
