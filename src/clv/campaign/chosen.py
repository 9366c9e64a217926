"""Who is chosen, with the value to bid for each: what an advertising platform is uploaded."""

from typing import TYPE_CHECKING

import numpy as np

from clv.bundle import to_cents
from clv.campaign.offer import Campaign
from clv.campaign.segment import Segment
from clv.campaign.verdict import Evaluation
from clv.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CAP_SHARE", "chosen", "number_chosen"]

#: Values are capped where only this share of the segment lies above, unless told otherwise.
CAP_SHARE = 0.01


def number_chosen(found: Evaluation) -> int:
    """How many passengers to choose, unless told otherwise.

    With a lift, the number with the highest profit. Without one nobody can tell who pays, so all of
    them: their rank says whom to take first.
    """
    return found.best.customers if found.speaks_of == "effect" else found.n


def chosen(
    ids: np.ndarray,
    segment: Segment,
    campaign: Campaign,
    customers: int,
    *,
    cap: float | None = None,
) -> "pa.Table":
    """The best `customers` members, best first.

    Parameters
    ----------
    ids : array of shape (n,), str
        Of the members, in the order of the predictions.
    segment : Segment
    campaign : Campaign
    customers : int
        From 0 to all.
    cap : float, optional
        Highest expected increment that counts, in currency units: a platform that learns from
        values learns most from the few largest, which are the least certain.

    Returns
    -------
    pyarrow.Table
        `id`, `rank` from 1, `expected_increment`, `p_return`, and `value`: margin times the capped
        increment, to the cent.

    Raises
    ------
    DataError
        Where there are not so many, or the cap is below 0.
    """
    import pyarrow as pa  # noqa: PLC0415 - a server that is never sent a list does without

    if not 0 <= customers <= len(segment):
        raise DataError(
            f"{customers:,} passengers cannot be chosen of {len(segment):,}: expected 0 to "
            f"{len(segment):,}."
        )
    increments = segment.predictions.expected_increment
    if cap is None:
        cap = float(np.quantile(increments, 1 - CAP_SHARE))
    if not cap >= 0:
        raise DataError(f"cap={cap}: expected an amount of 0 or more.")
    rows = segment.order[:customers]
    return pa.table(
        {
            "id": pa.array(ids[rows].tolist(), pa.string()),
            "rank": np.arange(1, customers + 1),
            "expected_increment": to_cents(increments[rows]),
            "p_return": np.round(segment.predictions.p_return[rows], 4),
            "value": to_cents(campaign.margin * np.minimum(increments[rows], cap)),
        }
    )
