"""What is odd about a ride log: counted, and with what is done about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import ibis
from ibis import Table, Value

from clv.data.findings import EXAMPLES, Finding
from clv.data.numbers import Notation
from clv.features.definition import affordable, at, cents, instant, unix_micros
from clv.features.log import RideColumns
from clv.schema import MAX_MONETARY

__all__ = [
    "Counts",
    "Totals",
    "copies",
    "counts_of",
    "joined_of",
    "totals_of",
    "unreadable_values",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# With more rows, copies are counted among one in so many seconds.
_ALL_ROWS, _PART = 5_000_000, 16

_LEFT_OUT, _AS_REFUNDS = "These rows are not used.", "They lower the money and count as no ride."


class _Fetched:
    """Whole numbers that an engine fetched as one row."""

    __slots__ = ()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As an engine fetched them; the sum of nothing is null in some, and 0 here."""
        return cls(**{name: int(value or 0) for name, value in row.items()})


@dataclass(frozen=True, slots=True)
class Counts(_Fetched):
    """Rows of a log by what can be said of each; one row may be in several.

    `refunds` and `negative` are of the `usable` ones; `last` is the latest of these, in
    microseconds since 1970, UTC. `zoned` times say their zone and `unzoned` ones, read all the
    same, do not; `worded` ids are no plain whole numbers, where ids are text.
    """

    rows: int
    no_customer: int
    no_time: int
    no_amount: int
    future: int
    cancelled: int
    refunds: int
    negative: int
    usable: int
    zoned: int
    unzoned: int
    worded: int
    last: int

    @property
    def until(self) -> datetime:
        """The latest usable ride."""
        return _EPOCH + timedelta(microseconds=self.last)

    def findings(
        self, columns: RideColumns, examples: Mapping[str, tuple[str, ...]], now: datetime
    ) -> Iterator[Finding]:
        """One for each thing that is odd about single rows."""
        expected = "expected ISO 8601, as in 2026-11-01T08:30:00Z or 2026-11-01"
        limit = f"expected a number up to {MAX_MONETARY:,.0f}"
        for code, column, rows, says in (
            ("no-customer", columns.customer, self.no_customer, "no id, so the ride is nobody's"),
            ("no-time", columns.time, self.no_time, f"no time that can be read; {expected}"),
            ("no-amount", columns.amount, self.no_amount, f"no amount that can be read; {limit}"),
            ("future", columns.time, self.future, f"later than now, {now:%Y-%m-%d %H:%M} UTC"),
            ("cancelled", columns.status or "", self.cancelled, "cancelled"),
        ):
            if rows:
                shown = examples.get(code, ())
                yield Finding("left out", code, column, rows, says, _LEFT_OUT, shown)
        for code, column, rows, says in (
            ("refund", columns.kind or "", self.refunds, "money given back"),
            ("negative", columns.amount, self.negative, "negative, so taken for refunds"),
        ):
            if rows:
                yield Finding("kept", code, column, rows, says, _AS_REFUNDS)
        if self.zoned and self.unzoned:
            says = "no time zone, where other rows have one"
            yield Finding("kept", "no-zone", columns.time, self.unzoned, says, "They are UTC.")
        if 0 < self.worded < self.rows - self.no_customer:
            says = "no whole numbers, where other ids are"
            action = "All ids are text: 007 is not 7."
            yield Finding("kept", "text-id", columns.customer, self.worded, says, action)


def counts_of(read: Table, now: datetime, until: datetime) -> Table:
    """One row: the fields of `Counts`; usable are rides up to `until`."""
    whole = read.customer_id.notnull() & read.ridden_at.notnull() & affordable(read.cents)
    used = whole & ~read.cancelled & (read.ridden_at <= at(until)).fill_null(False)
    negative = (read.cents < 0).fill_null(False)
    return read.agg(
        rows=read.count(),
        no_customer=_number(read.customer_id.isnull()),
        no_time=_number(read.ridden_at.isnull()),
        no_amount=_number(~affordable(read.cents)),
        future=_number((read.ridden_at > at(now)).fill_null(False)),
        cancelled=_number(read.cancelled),
        refunds=_number(used & read.refund),
        negative=_number(used & ~read.refund & negative),
        usable=_number(used),
        zoned=_number(read.zoned),
        unzoned=_number(read.ridden_at.notnull() & ~read.zoned),
        worded=_number(_is_worded(read.customer_id)),
        last=unix_micros(read.ridden_at).max(where=used),
    )


def unreadable_values(log: Table, role: str, notation: Notation | None = None) -> Table:
    """A few values of a column of the log of which nothing could be read; one column, `value`."""
    column = log[role]
    read = instant(column).notnull() if role == "time" else affordable(cents(column, notation))
    return log.filter(column.notnull(), ~read).select(value=column.cast("string")).limit(EXAMPLES)


def copies(known: Table, rows: int) -> tuple[Table, int]:
    """Rides that say what another says: one row with their number, and what to multiply it by."""
    times = 1
    if rows > _ALL_ROWS:
        # Copies share their instant: all of them are in the part, or none is.
        times = _PART
        known = known.filter(unix_micros(known.ridden_at) // 1_000_000 % _PART == 0)
    same = known.group_by("customer_id", "ridden_at", "cents").agg(rows=known.count())
    return same.agg(copies=_sum(same.rows - 1)), times


def joined_of(done: Table) -> Table:
    """One row: rides that belong to a customer, and those of them before the registration."""
    return done.agg(rides=_sum(done.rides), early=_sum(done.early))


def totals_of(customers: Table) -> Table:
    """One row: customers by what is known of them."""
    return customers.agg(
        customers=customers.count(),
        observed=_number(customers.observed),
        due=_number(customers.due),
        floored=_number(customers.observed & customers.floored),
    )


@dataclass(frozen=True, slots=True)
class Totals(_Fetched):
    """Customers by what is known of them, and rides beside others.

    Of all `customers` the window of `observed` has passed and the horizon of `due`; `floored` were
    given back more than they spent. Of all `rides` of registered customers, `early` were before the
    registration. `copies` say what another ride says.
    """

    customers: int
    observed: int
    due: int
    floored: int
    rides: int
    early: int
    copies: int

    def findings(self, counts: Counts, columns: RideColumns, *, exact: bool) -> Iterator[Finding]:
        """One for each thing that is odd about customers, or rides beside others."""
        about = "the same ride again" if exact else "about as many as this say the same ride again"
        for severity, code, column, rows, says, action in (
            (
                "left out",
                "unregistered",
                columns.customer,
                counts.usable - self.rides,
                "of customers who are not among the registrations",
                _LEFT_OUT,
            ),
            (
                "left out",
                "before-registration",
                columns.time,
                self.early,
                "before the customer registered",
                _LEFT_OUT,
            ),
            (
                "kept",
                "copy",
                f"{columns.customer}, {columns.time}, {columns.amount}",
                self.copies,
                about,
                "They count: two rides may be alike. Where they are copies, remove them before.",
            ),
            (
                "kept",
                "more-refunded-than-spent",
                columns.amount,
                self.floored,
                "customers who were given back more than they had spent in a window",
                "They count as having spent nothing.",
            ),
        ):
            if rows:
                yield Finding(severity, code, column, rows, says, action)  # type: ignore[arg-type]


def _is_worded(customer: Value) -> Value:
    if not customer.type().is_string():
        return customer.isnull() & ibis.literal(False)  # of a row, so that it can be summed
    return (~customer.re_search(r"^(?:0|-?[1-9]\d{0,17})$")).fill_null(False)


def _number(where: Value) -> Value:
    return _sum(where.cast("int64"))


def _sum(numbers: Value) -> Value:
    return numbers.sum().coalesce(0)
