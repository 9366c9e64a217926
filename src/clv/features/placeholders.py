"""Times that stand for no time, and days far from all others: what they must not decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ibis import Table, Value

from clv.data.findings import EXAMPLES, Finding
from clv.data.placeholders import FAR_US, PLACEHOLDERS, Span
from clv.features.times import DAY_US, unix_micros, within

__all__ = [
    "Apart",
    "days_apart",
    "days_of",
    "examples_of",
    "may_have",
    "micros_of",
    "placeholders_of",
    "rows_of",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Days apart are few, and so are their rides; in a log of fewer rides nothing is usual.
_FEW_DAYS, _FEW, _LEAST_RIDES = 10, 0.05, 20


def may_have(first: int, last: int) -> bool:
    """Whether a placeholder may be among instants from the first to the last, in microseconds."""
    return any(first < span.ends and last >= span.begins for span in PLACEHOLDERS)


def rows_of(time: Value, table: Table) -> Table:
    """One row: of each placeholder its rows, and the instants nearest to it that are of none."""
    micros = unix_micros(time)
    others = ~within(time, PLACEHOLDERS)
    columns = {}
    for place, span in enumerate(PLACEHOLDERS):
        columns[f"rows_{place}"] = within(time, [span]).cast("int64").sum()
        columns[f"earlier_{place}"] = micros.max(where=others & (micros < span.begins))
        columns[f"later_{place}"] = micros.min(where=others & (micros >= span.ends))
    return table.agg(**columns)


def placeholders_of(row: Mapping[str, Any], *known: int) -> dict[Span, int]:
    """Placeholders that are far from every other instant, and the rows of each.

    Parameters
    ----------
    row : mapping
        As `rows_of` gives it.
    known : int
        More instants that are of no placeholder, in microseconds since 1970.
    """
    found = {}
    for place, span in enumerate(PLACEHOLDERS):
        earlier = [one for one in (row[f"earlier_{place}"], *known) if one is not None]
        later = [one for one in (row[f"later_{place}"], *known) if one is not None]
        before = max((one for one in earlier if one < span.begins), default=None)
        after = min((one for one in later if one >= span.ends), default=None)
        among = any(span.begins <= one < span.ends for one in known)
        if row[f"rows_{place}"] and not among and span.is_far_from(before, after):
            found[span] = int(row[f"rows_{place}"])
    return found


def examples_of(found: Mapping[Span, int]) -> tuple[str, ...]:
    """Placeholders for a finding, the most frequent first."""
    often = sorted(found.items(), key=lambda one: -one[1])[:EXAMPLES]
    return tuple(
        f"{span.name} in {rows:,} {'row' if rows == 1 else 'rows'}" for span, rows in often
    )


# ---------------------------------------------------------------- days apart


@dataclass(frozen=True, slots=True)
class Apart:
    """A few days more than a year before or after all others.

    Attributes
    ----------
    rides : int
    first, last : datetime
        Of these rides.
    nearest : datetime
        The first ride after them, or the last before.
    is_instant : bool
        Whether they are several rides at one instant.
    """

    rides: int
    first: datetime
    last: datetime
    nearest: datetime
    is_instant: bool

    @property
    def span(self) -> Span:
        """From the first to the last."""
        name = f"{self.first:%Y-%m-%d %H:%M}"
        return Span(name, micros_of(self.first), micros_of(self.last) + 1)

    def kept(self, column: str, *, registered: bool) -> Finding:
        """What is said of days before all others, which are used.

        `registered` says whether registrations tell who is new.
        """
        advice = (
            "Correct them if they are wrong."
            if registered
            else "Correct them if they are wrong, or leave out customers first seen then with "
            f"--registered-from {self.nearest:%Y-%m-%d}."
        )
        return Finding(
            "kept",
            "time-apart",
            column,
            self.rides,
            "more than a year before all other rides",
            "They are used, but the log counts as beginning with the others, on "
            f"{self.nearest:%Y-%m-%d}. {advice}",
            self._examples(),
        )

    def left_out(self, column: str) -> Finding:
        """What is said of days after all others, beyond which nothing is known."""
        return Finding(
            "left out",
            "time-apart",
            column,
            self.rides,
            "more than a year after all other rides",
            f"The log counts as ending with the others, on {self.nearest:%Y-%m-%d}. If these rides "
            f"are right, add --as-of {self.last + timedelta(days=1):%Y-%m-%d}.",
            self._examples(),
        )

    def _examples(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f"{one:%Y-%m-%d %H:%M}" for one in (self.first, self.last)))


def days_of(used: Table) -> Table:
    """Each day with its rides, and the first and the last instant of them."""
    micros = unix_micros(used.ridden_at)
    each = used.select(day=micros // DAY_US, micros=micros)
    days = each.group_by("day").agg(
        rides=each.count(), first=each.micros.min(), last=each.micros.max()
    )
    return days.order_by("day")


def days_apart(days: Sequence[Mapping[str, Any]]) -> tuple[Apart | None, Apart | None]:
    """The days that are far before all others, and those far after; `days` as `days_of` gives."""
    rides = sum(int(day["rides"]) for day in days)
    if rides < _LEAST_RIDES:
        return None, None
    early = late = None
    for number in range(1, min(_FEW_DAYS, len(days) - 1) + 1):
        before, after = days[number - 1], days[number]
        if after["first"] - before["last"] > FAR_US:
            early = _apart(days[:number], after["first"], rides) or early
        before, after = days[-number - 1], days[-number]
        if after["first"] - before["last"] > FAR_US:
            late = _apart(days[-number:], before["last"], rides) or late
    return early, late


def _apart(days: Sequence[Mapping[str, Any]], nearest: int, rides: int) -> Apart | None:
    own = sum(int(day["rides"]) for day in days)
    first, last = int(days[0]["first"]), int(days[-1]["last"])
    is_instant = first == last and own > 1
    if own > rides * (0.5 if is_instant else _FEW):
        return None
    return Apart(own, _moment(first), _moment(last), _moment(nearest), is_instant)


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
