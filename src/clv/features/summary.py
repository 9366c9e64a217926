"""What is odd about a ride log: counted, and with what is done about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from ibis import Table, Value

from clv.data.findings import EXAMPLES, Finding
from clv.features.definition import at, cents, instant, usable
from clv.features.log import RideColumns
from clv.schema import MAX_MONETARY

__all__ = ["Counts", "Totals", "copies", "counts_of", "unreadable_values"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# With more rows, copies are counted among one in so many seconds.
_ALL_ROWS, _PART = 5_000_000, 16

_LEFT_OUT, _AS_REFUNDS = "These rows are not used.", "They lower the money and count as no ride."


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a log by what can be said of each; one row may be in several.

    `refunds` and `negative` are of the `usable` ones; `last` is the latest of these, in
    microseconds since 1970, UTC.
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
    last: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As an engine fetched them."""
        return cls(**{name: int(value or 0) for name, value in row.items()})

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


def counts_of(read: Table, now: datetime, until: datetime) -> Table:
    """One row: the fields of `Counts`; usable are rides up to `until`."""
    whole = read.customer_id.notnull() & read.ridden_at.notnull() & read.cents.notnull()
    used = whole & ~read.cancelled & (read.ridden_at <= at(until)).fill_null(False)
    negative = (read.cents < 0).fill_null(False)
    return read.agg(
        rows=read.count(),
        no_customer=_number(read.customer_id.isnull()),
        no_time=_number(read.ridden_at.isnull()),
        no_amount=_number(read.cents.isnull()),
        future=_number((read.ridden_at > at(now)).fill_null(False)),
        cancelled=_number(read.cancelled),
        refunds=_number(used & read.refund),
        negative=_number(used & ~read.refund & negative),
        usable=_number(used),
        last=_since_1970(read.ridden_at).max(where=used),
    )


def unreadable_values(log: Table, role: str) -> Table:
    """A few values of a column of the log of which nothing could be read; one column, `value`."""
    read = {"time": instant, "amount": cents}[role](log[role])
    bad = log.select(value=log[role].cast("string"), read=read)
    return bad.filter(bad.value.notnull(), bad.read.isnull()).select("value").limit(EXAMPLES)


def copies(read: Table, rows: int, until: datetime) -> tuple[Table, int]:
    """Rows that say what another says: one row with their number, and what to multiply it by."""
    known, times = usable(read, until), 1
    if rows > _ALL_ROWS:
        # Copies share their instant: all of them are in the part, or none is.
        times = _PART
        known = known.filter(_since_1970(known.ridden_at) // 1_000_000 % _PART == 0)
    same = known.group_by("customer_id", "ridden_at", "cents").agg(rows=known.count())
    return same.agg(copies=(same.rows - 1).sum().coalesce(0).cast("int64")), times


@dataclass(frozen=True, slots=True)
class Totals:
    """The columns of the kept activity that are not written, summed over all customers."""

    customers: int
    observed: int
    due: int
    rides: int
    early: int
    floored: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As an engine fetched them."""
        return cls(**{name: int(value or 0) for name, value in row.items()})

    @staticmethod
    def expression(kept: Table) -> Table:
        """One row: the fields."""
        return kept.agg(
            customers=kept.count(),
            observed=_number(kept.observed),
            due=_number(kept.due),
            rides=kept.rides.sum().coalesce(0).cast("int64"),
            early=kept.early.sum().coalesce(0).cast("int64"),
            floored=_number(kept.observed & kept.floored),
        )

    def findings(
        self, counts: Counts, columns: RideColumns, copied: int, *, exact: bool
    ) -> Iterator[Finding]:
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
                copied,
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


def _number(where: Value) -> Value:
    return where.cast("int64").sum().coalesce(0).cast("int64")


def _since_1970(time: Value) -> Value:
    return time.delta(at(_EPOCH), unit="microsecond")
