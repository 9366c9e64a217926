"""Customers whose true distribution is known, and what a model that knows them says of them."""

import numpy as np

from clv.bundle import Calibration, Intervals, Predictions
from clv.schema import Floats

__all__ = ["came", "expected", "said_of"]


def expected(n: int, rng: np.random.Generator) -> Floats:
    """Expected increments as skewed as real ones: most near nothing, few large."""
    return rng.lognormal(1.0, 1.2, n)


def came(mean: Floats, rng: np.random.Generator) -> Floats:
    """Increments: a Poisson number of rides of gamma fares, most often none at all."""
    rides = rng.poisson(mean**0.5 / 3)
    fare = rng.gamma(np.maximum(rides, 1) * 2.0, 1.5 * mean**0.5)
    return np.where(rides > 0, fare, 0.0)


def said_of(mean: Floats, calibration: Calibration) -> Predictions:
    """Predictions of customers with these expected increments, who spent nothing yet."""
    bins = Intervals(calibration).bin_of(mean)
    nothing = np.zeros(len(mean))
    return Predictions(
        monetary=mean,
        expected_increment=mean,
        p_return=np.clip(1 - np.exp(-(mean**0.5) / 3), 1e-4, 1 - 1e-4),
        level=0.9,
        low=nothing,
        high=mean * 3,
        score_bin=bins + 1,
        similar=np.full(len(mean), 100),
        in_support=np.ones(len(mean), dtype=bool),
    )
