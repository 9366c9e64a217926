"""Metrics as pure functions of arrays, each with its trap and its source.

Throughout, `actual` and `predicted` are arrays of shape (n,) in currency units.

    errors          squared errors, bias, paired differences between models
    order           Gini, deciles, capture curves, rank correlation; ties averaged
    probability     Brier score, reliability, AUC
    drift           how far one set of customers is from another
    quality         the figures by which models are compared, together
    grouped         Gini and deciles of sums by group, where single rows are not kept
    sequential      whether a mean has moved, however often one looks
"""

from clv.metrics.drift import noise_of_stability, stability_index, wasserstein
from clv.metrics.errors import (
    PairedDifference,
    bias,
    mae,
    mse,
    paired_bootstrap,
    paired_difference,
    squared_errors,
)
from clv.metrics.grouped import grouped_deciles, grouped_gini
from clv.metrics.order import (
    CurvePoint,
    DecileRow,
    averaged_within_ties,
    capture_curve,
    captured,
    decile_mape,
    deciles,
    normalised_gini,
    rank_correlation,
    ranks,
    to_micros,
)
from clv.metrics.probability import (
    ReliabilityRow,
    auc,
    base_rate_brier,
    brier,
    reliability,
)
from clv.metrics.quality import Quality, measure
from clv.metrics.sequential import WEEKS_A_YEAR, evidence, likeliest_start

__all__ = [
    "WEEKS_A_YEAR",
    "CurvePoint",
    "DecileRow",
    "PairedDifference",
    "Quality",
    "ReliabilityRow",
    "auc",
    "averaged_within_ties",
    "base_rate_brier",
    "bias",
    "brier",
    "capture_curve",
    "captured",
    "decile_mape",
    "deciles",
    "evidence",
    "grouped_deciles",
    "grouped_gini",
    "likeliest_start",
    "mae",
    "measure",
    "mse",
    "noise_of_stability",
    "normalised_gini",
    "paired_bootstrap",
    "paired_difference",
    "rank_correlation",
    "ranks",
    "reliability",
    "squared_errors",
    "stability_index",
    "to_micros",
    "wasserstein",
]
