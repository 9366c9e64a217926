"""The figures by which models are compared, together."""

from dataclasses import dataclass

import numpy as np

from clv.metrics.errors import bias, mae, mse
from clv.metrics.order import decile_mape, normalised_gini
from clv.schema import Floats

__all__ = ["Quality", "measure"]


@dataclass(frozen=True, slots=True)
class Quality:
    """How good predictions of the total are; errors in currency units, shares as shares."""

    mse: float
    mae: float
    bias: float
    gini_total: float
    gini_increment: float
    decile_mape: float


def measure(actual: Floats, predicted: Floats, spent: Floats) -> Quality:
    """Measure predictions of the total; `spent` is what was known already, part of both."""
    return Quality(
        mse=mse(actual, predicted),
        mae=mae(actual, predicted),
        bias=bias(actual, predicted),
        gini_total=normalised_gini(actual, predicted),
        gini_increment=normalised_gini(np.maximum(actual - spent, 0.0), predicted - spent),
        decile_mape=decile_mape(actual, predicted),
    )
