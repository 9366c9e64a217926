"""Order and deciles from groups of customers alike in their predictions, of which sums are known.

A group counts as one tie, as in `clv.metrics.order`: where every group has one prediction, the
figures are those.
"""

import numpy as np

from clv.metrics.order import DecileRow
from clv.schema import Floats, Ints

__all__ = ["grouped_deciles", "grouped_gini"]


def grouped_gini(customers: Ints, predicted: Floats, actual: Floats) -> float:
    """Twice the area between the Lorenz curve and the diagonal, highest mean prediction first.

    Not normalised: divide by that of groups by `actual` itself. NaN where there is no money.

    Parameters
    ----------
    customers : array of shape (k,)
        In each group, above 0.
    predicted, actual : array of shape (k,)
        Sums of each group, currency units.
    """
    if not len(customers) or actual.sum() <= 0:
        return float("nan")
    order = np.argsort(-predicted / customers, kind="stable")
    share = np.concatenate(([0.0], np.cumsum(customers[order]) / customers.sum()))
    money = np.concatenate(([0.0], np.cumsum(actual[order]) / actual.sum()))
    return float(2 * np.trapezoid(money, share) - 1)


def grouped_deciles(customers: Ints, predicted: Floats, actual: Floats) -> list[DecileRow]:
    """Mean predicted against mean actual by tenth of the customers; 1 has the lowest predictions.

    A group across a border counts on both sides in proportion. Parameters as in `grouped_gini`.
    """
    total = int(customers.sum())
    if total == 0:
        return []
    order = np.argsort(predicted / customers, kind="stable")
    upto = np.concatenate(([0], np.cumsum(customers[order])))
    borders = np.linspace(0, total, 11)
    sums = [
        np.diff(np.interp(borders, upto, np.concatenate(([0.0], np.cumsum(values[order])))))
        for values in (predicted, actual)
    ]
    tenth = total / 10
    return [
        DecileRow(number, round(tenth), float(said / tenth), float(came / tenth))
        for number, (said, came) in enumerate(zip(*sums, strict=True), start=1)
    ]
