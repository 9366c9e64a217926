"""Whether those who are asked about are still like those of training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clv.bundle import Histogram
from clv.metrics import noise_of_stability, stability_index, wasserstein
from clv.tracking import Spread

__all__ = [
    "DRIFTED",
    "MIN_CUSTOMERS",
    "WATCHED",
    "WINDOW_DAYS",
    "Drift",
    "drift_of",
    "edges_as_tracked",
]

#: Days that are compared with training: four whole weeks, so that no weekday counts twice.
WINDOW_DAYS = 28
#: Fewer say nothing: with ten bins chance alone moves the index by .07 (`noise_of_stability`).
MIN_CUSTOMERS = 500
#: By custom of credit scoring; the noise of so many passengers lies far below either.
WATCHED, DRIFTED = 0.1, 0.25

# As `Predictions.in_cents` rounds.
_DIGITS = {"predicted": 2, "p_return": 4}

Status = Literal["steady", "watch", "drifted", "too few"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One quantity of late against its distribution in training.

    Attributes
    ----------
    quantity : str
    status : {'steady', 'watch', 'drifted', 'too few'}
    stability_index : float
        Population stability index.
    noise : float
        What chance alone may make of it.
    distance : float
        Wasserstein distance, in the unit of the quantity.
    edges, reference, shares : tuple of float
        The bins, and the shares of training and of late.
    """

    quantity: str
    status: Status
    stability_index: float
    noise: float
    distance: float
    edges: tuple[float, ...]
    reference: tuple[float, ...]
    shares: tuple[float, ...]


def edges_as_tracked(reference: Mapping[str, Histogram]) -> dict[str, tuple[float, ...]]:
    """The bins of training for what is tracked, which is rounded as it was answered.

    Thousands of passengers share one probability. Where that is an edge, rounding would put them
    all on the other side of it.
    """
    return {
        name: tuple(round(edge, _DIGITS[name]) if name in _DIGITS else edge for edge in one.edges)
        for name, one in reference.items()
    }


def drift_of(
    reference: Mapping[str, Histogram], trained_on: int, spread: Spread
) -> tuple[Drift, ...]:
    """Compare each quantity; nothing where nobody was asked about."""
    if spread.customers == 0:
        return ()
    return tuple(
        _drift(name, reference[name], trained_on, counts, spread.customers)
        for name, counts in spread.counts.items()
    )


def _drift(
    name: str, known: Histogram, trained_on: int, counts: tuple[int, ...], customers: int
) -> Drift:
    before, after = np.array(known.shares), np.array(counts) / customers
    index = stability_index(before, after)
    noise = noise_of_stability(len(counts), trained_on, customers)
    return Drift(
        name,
        _status(index, noise, customers),
        index,
        noise,
        wasserstein(np.array(known.edges), before, after),
        known.edges,
        known.shares,
        tuple(after.tolist()),
    )


def _status(index: float, noise: float, customers: int) -> Status:
    if customers < MIN_CUSTOMERS:
        return "too few"
    if index < max(WATCHED, noise):
        return "steady"
    return "watch" if index < DRIFTED else "drifted"
