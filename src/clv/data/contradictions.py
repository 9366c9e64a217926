"""Different outcomes of one customer, drawn up at the same time: nobody can tell which is right."""

from datetime import UTC, datetime

import numpy as np

from clv.schema import Floats, Instants, Ints

__all__ = ["contradictory", "instant"]


def contradictory(
    ids: Ints,
    monetary: Floats,
    rides: Floats,
    registered_at: Instants,
    as_of: Instants,
    now: datetime,
) -> list[Ints]:
    """Find different outcomes of one customer that were drawn up at the same time.

    Parameters
    ----------
    ids, monetary, rides, registered_at, as_of : arrays of shape (n,)
        As in `OutcomeBatch`. What one of them does not say, it does not contradict.
    now : datetime
        Aware; when an amount was drawn up that does not say.

    Returns
    -------
    list of array
        The positions of each such customer's outcomes, in their order.
    """
    drawn_up = np.where(np.isnat(as_of), instant(now), as_of)
    order = np.lexsort((drawn_up, ids))
    ids, drawn_up = ids[order], drawn_up[order]
    begins = np.ones(len(ids), dtype=bool)
    begins[1:] = (ids[1:] != ids[:-1]) | (drawn_up[1:] != drawn_up[:-1])
    first = np.flatnonzero(begins)
    if len(first) == len(ids):
        return []
    differs = np.zeros(len(first), dtype=bool)
    for said in (monetary, rides, registered_at):
        least, most = (limit.reduceat(said[order], first) for limit in (np.fmin, np.fmax))
        differs |= least < most
    ends = np.append(first[1:], len(ids))
    found = [np.sort(order[first[one] : ends[one]]) for one in np.flatnonzero(differs)]
    return sorted(found, key=lambda group: int(group[0]))


def instant(moment: datetime) -> np.datetime64:
    """A moment as arrays hold it, in UTC."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
