"""What moves a prediction: one feature varies, the others stay as a typical customer has them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from clv.bundle import Predictions, Predictor
from clv.data.checks import History
from clv.schema import FEATURES, FREQUENCY, MONETARY, RECENCY, Activity, Floats

__all__ = ["Cell", "Effect", "Effects", "effects_of"]

_MONEY_STEPS = 60
_MONEY_CELLS = 8
# The last hundredth of the customers would stretch the axes to where hardly anybody is.
_RARE = 0.99
# A cell of fewer customers says nothing of what is usual in it.
_CELL_ROWS = 20
_GROUPS = ("lower half", "upper half", "top tenth")


@dataclass(frozen=True, slots=True)
class Effect:
    """How predictions change with one feature, for one typical customer.

    Attributes
    ----------
    feature : str
    customer : str
        Who is meant, in words.
    values, expected_increment, p_return : tuple of float
    in_support : tuple of bool
        Whether there are customers like that.
    """

    feature: str
    customer: str
    values: tuple[float, ...]
    expected_increment: tuple[float, ...]
    p_return: tuple[float, ...]
    in_support: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """Customers with their last ride on one day and money in one range; the usual one of them.

    `expected_increment` is that of a customer with the median rides and money of the cell; None
    where too few customers are in it.
    """

    recency: float
    money_from: float
    money_to: float
    customers: int
    expected_increment: float | None


@dataclass(frozen=True, slots=True)
class Effects:
    """Partial effects, and the expected increment by recency and money together."""

    lines: tuple[Effect, ...]
    cells: tuple[Cell, ...]


def effects_of(predictor: Predictor, history: History) -> Effects:
    """Vary the features around customers who are typical of `history`."""
    X = history.activity.matrix()
    expected = predictor.predict(history.activity).expected_increment
    grids = _grids(X, history.window.observation_days)
    lines = [
        _effect(predictor, feature, grid, customer, typical)
        for feature, grid in enumerate(grids)
        for customer, typical in _typical(X, expected)
    ]
    return Effects(tuple(lines), tuple(_cells(predictor, X, history.window.observation_days)))


def _grids(X: Floats, days: int) -> list[Floats]:
    rides, money = np.quantile(X[:, [FREQUENCY, MONETARY]], _RARE, axis=0)
    return [
        np.arange(1.0, days + 1),
        np.arange(1.0, max(rides, 2) + 1),
        np.linspace(0, money, _MONEY_STEPS),
    ]


def _typical(X: Floats, expected: Floats) -> list[tuple[str, Floats]]:
    """Medians of customers who rode, of low, middling and high expected increment."""
    rode = X[:, FREQUENCY] > 0
    ranked = X[rode][np.argsort(expected[rode], kind="stable")]
    cuts = (np.array([0, 0.5, 0.9, 1]) * len(ranked)).astype(int)
    named = []
    for who, (start, stop) in zip(_GROUPS, pairwise(cuts), strict=True):
        typical = np.median(ranked[start:stop], axis=0)
        typical[:2] = np.round(typical[:2])
        day, rides, money = typical
        said = f"{who}: day {day:.0f}, {rides:.0f} {'ride' if rides == 1 else 'rides'}, {money:.0f}"
        named.append((said, typical))
    return named


def _effect(
    predictor: Predictor, feature: int, grid: Floats, customer: str, typical: Floats
) -> Effect:
    X = np.tile(typical, (len(grid), 1))
    X[:, feature] = grid
    said = _predict(predictor, X)
    return Effect(
        feature=FEATURES[feature],
        customer=customer,
        values=tuple(grid.tolist()),
        expected_increment=tuple(said.expected_increment.tolist()),
        p_return=tuple(said.p_return.tolist()),
        in_support=tuple(said.in_support.tolist()),
    )


def _cells(predictor: Predictor, X: Floats, days: int) -> list[Cell]:
    spent = X[X[:, FREQUENCY] > 0, MONETARY]
    edges = np.unique(np.quantile(spent, np.linspace(0, 1, _MONEY_CELLS + 1)).round())
    # By seventh of the window where it is long: thirty rows of a picture tell no more than seven.
    steps = np.unique(np.linspace(0, days, min(days, 7) + 1).round())
    cells = []
    for first, last in pairwise(steps):
        for low, high in pairwise(edges):
            within = (X[:, RECENCY] > first) & (X[:, RECENCY] <= last)
            within &= (X[:, MONETARY] >= low) & (X[:, MONETARY] < high)
            expected = None
            if within.sum() >= _CELL_ROWS:
                usual = np.median(X[within], axis=0, keepdims=True)
                usual[:, :2] = np.round(usual[:, :2])
                expected = float(_predict(predictor, usual).expected_increment[0])
            cells.append(Cell(float(last), float(low), float(high), int(within.sum()), expected))
    return cells


def _predict(predictor: Predictor, X: Floats) -> Predictions:
    return predictor.predict(Activity(*X.T))
