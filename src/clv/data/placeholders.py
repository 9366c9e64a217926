"""Dates that programs write if they know none: 1970-01-01, 1900-01-01 and their like.

A log may really begin on such a day. It stands for no date only if all others are more than a year
away from it.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from clv.schema import Instants, Mask

__all__ = ["FAR_US", "PLACEHOLDER", "PLACEHOLDERS", "Span", "within_placeholders", "without_date"]

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
#: What is said of them.
PLACEHOLDER = "a placeholder for an unknown date, more than a year from all other dates"
#: Dates as far from all others as this, in microseconds, are not of the same log.
FAR_US = 366 * _DAY_US


@dataclass(frozen=True, slots=True)
class Span:
    """Instants from `begins` until before `ends`, in microseconds since 1970, and their name."""

    name: str
    begins: int
    ends: int

    def is_far_from(self, earlier: int | None, later: int | None) -> bool:
        """Whether the last instant before it and the first after it are both more than a year away.

        If there is neither, nothing says that it is a placeholder.
        """
        return (
            (earlier is not None or later is not None)
            and (earlier is None or self.begins - earlier > FAR_US)
            and (later is None or later - self.ends > FAR_US)
        )


def _span(first: date, last: date | None = None) -> Span:
    """Days, and the ones beside them: a day began and ended elsewhere at another instant."""
    last = last or first
    begins, ends = ((day - _EPOCH).days * _DAY_US for day in (first, last))
    name = last.isoformat() if first == last else f"{first} to {last}"
    return Span(name, begins - _DAY_US, ends + 2 * _DAY_US)


#: First days of calendars and clocks: of types of dates, Windows, SQL Server, Excel, Unix, DOS, the
#: millennium and macOS; 1111-11-11; and what stands for 'never'.
PLACEHOLDERS = (
    _span(date(1, 1, 1)),
    _span(date(1111, 11, 11)),
    _span(date(1601, 1, 1)),
    _span(date(1753, 1, 1)),
    _span(date(1899, 12, 30), date(1900, 1, 1)),
    _span(date(1904, 1, 1)),
    _span(date(1970, 1, 1)),
    _span(date(1980, 1, 1)),
    _span(date(2000, 1, 1)),
    _span(date(2001, 1, 1)),
    _span(date(2099, 12, 31)),
    _span(date(2999, 12, 31)),
    _span(date(9999, 12, 31)),
)


def within_placeholders(moments: Instants) -> Mask:
    """Which instants are within a placeholder, whatever the others are."""
    micros = moments.astype("datetime64[us]").astype(np.int64)
    within = np.zeros(len(moments), dtype=bool)
    for span in PLACEHOLDERS:
        within |= (micros >= span.begins) & (micros < span.ends)
    return within & ~np.isnat(moments)


def without_date(moments: Instants) -> Mask:
    """Which instants stand for no date: within a placeholder that is far from all others."""
    micros = moments.astype("datetime64[us]").astype(np.int64)
    others = micros[~within_placeholders(moments) & ~np.isnat(moments)]
    unknown = np.zeros(len(moments), dtype=bool)
    for span in PLACEHOLDERS:
        within = (micros >= span.begins) & (micros < span.ends) & ~np.isnat(moments)
        earlier, later = others[others < span.begins], others[others >= span.ends]
        if within.any() and span.is_far_from(
            int(earlier.max()) if len(earlier) else None, int(later.min()) if len(later) else None
        ):
            unknown |= within
    return unknown
