"""How probable a return is, and how much it brings: four kinds of passengers, four campaigns."""

from dataclasses import dataclass

import numpy as np

from clv.bundle import Predictions
from clv.campaign.offer import Campaign

__all__ = ["LIKELY", "Quadrant", "quadrants"]

#: From this probability of return on a return is likelier than not.
LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Quadrant:
    """Members of one kind.

    Attributes
    ----------
    name : str
        'steady', 'unlikely but big', 'likely but small' or 'unlikely and small': a return is likely
        from probability .5 on, and big if the margin on it covers the cost of the campaign. Both
        describe the passengers, so no lift changes them.
    customers : int
    share_of_value : float
        Share of the segment's expected increment.
    p_return : float or None
        Mean probability of return; None if the kind is empty.
    amount : float or None
        Mean expected increment of those who return, in currency units; None if the kind is empty.
    """

    name: str
    customers: int
    share_of_value: float
    p_return: float | None
    amount: float | None


def quadrants(predictions: Predictions, campaign: Campaign) -> tuple[Quadrant, ...]:
    """Divide a segment by probability of return and by what a return brings."""
    p_return, expected = predictions.p_return, predictions.expected_increment
    amount = expected / p_return
    likely, big = p_return >= LIKELY, amount * campaign.margin >= campaign.cost
    total = float(expected.sum()) or 1.0
    found = []
    for name, rows in (
        ("steady", likely & big),
        ("unlikely but big", ~likely & big),
        ("likely but small", likely & ~big),
        ("unlikely and small", ~likely & ~big),
    ):
        customers = int(np.count_nonzero(rows))
        came_back = float(p_return[rows].sum())
        value = float(expected[rows].sum())
        found.append(
            Quadrant(
                name,
                customers,
                value / total,
                came_back / customers if customers else None,
                value / came_back if customers else None,
            )
        )
    return tuple(found)
