"""Rows of a ride log and of registrations: how many there are of each kind, and what is odd."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import ibis
from ibis import Table, Value

from clv.data.findings import EXAMPLES, THREE_DECIMALS, Finding
from clv.data.placeholders import PLACEHOLDER, Span
from clv.features.definition import (
    Rules,
    affordable,
    at,
    cents,
    countable,
    decimals,
    number_of,
)
from clv.features.log import RegistrationColumns, RideColumns
from clv.features.placeholders import examples_of
from clv.features.reading import LEFT_OUT
from clv.features.times import DAY_US, instant, unix_micros
from clv.schema import MAX_MONETARY

__all__ = [
    "Counts",
    "Fetched",
    "RegistrationCounts",
    "counts_of",
    "nobodies",
    "number",
    "registrations_of",
    "rounded_values",
    "total",
    "unreadable_values",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AS_REFUNDS = "They reduce the money spent and are not counted as rides."


class Fetched:
    """Whole numbers that an engine fetched as one row."""

    __slots__ = ()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As an engine fetched them; the sum of nothing is null in some, and 0 here."""
        return cls(**{name: int(value or 0) for name, value in row.items()})


@dataclass(frozen=True, slots=True)
class Counts(Fetched):
    """Rows of a log by what can be said of each; one row may be in several.

    `refunds`, `negative`, `takes_back` (negative because of the quantity), `on_the_clock` (not at
    midnight) and those with amounts of `three` decimals, or of `more`, are of the `usable` ones;
    `first` and `last` are the earliest and the latest of these, in microseconds since 1970, UTC.
    `zoned` times say their zone and `unzoned` ones, read all the same, do not; `worded` ids are not
    plain whole numbers, if ids are text.
    """

    rows: int
    no_customer: int
    no_time: int
    placeholder: int
    no_amount: int
    no_quantity: int
    future: int
    cancelled: int
    foreign: int
    refunds: int
    negative: int
    takes_back: int
    three: int
    more: int
    usable: int
    on_the_clock: int
    zoned: int
    unzoned: int
    worded: int
    first: int
    last: int

    @property
    def until(self) -> datetime:
        """The latest usable ride."""
        return _EPOCH + timedelta(microseconds=self.last)

    @property
    def begins(self) -> datetime:
        """The earliest usable ride."""
        return _EPOCH + timedelta(microseconds=self.first)

    def findings(
        self, columns: RideColumns, examples: Mapping[str, tuple[str, ...]], now: datetime
    ) -> Iterator[Finding]:
        """One for each thing that is odd about single rows."""
        expected = "expected a date or time, as in 2026-11-01T08:30:00Z"
        limit = f"expected a number up to {MAX_MONETARY:,.0f}"
        quantity = columns.quantity or columns.amount
        for code, column, rows, says in (
            ("no-customer", columns.customer, self.no_customer, "no customer id"),
            ("no-time", columns.time, self.no_time, f"no readable time; {expected}"),
            ("placeholder-time", columns.time, self.placeholder, PLACEHOLDER),
            ("no-amount", columns.amount, self.no_amount, f"no readable amount; {limit}"),
            ("no-quantity", quantity, self.no_quantity,
             "no readable quantity; expected a number of pieces"),
            ("future", columns.time, self.future, f"later than now, {now:%Y-%m-%d %H:%M} UTC"),
        ):  # fmt: skip
            if rows:
                shown = examples.get(code, ())
                yield Finding("left out", code, column, rows, says, LEFT_OUT, shown)
        for column, rows in (
            (columns.amount, self.negative - self.takes_back),
            (quantity, self.takes_back),
        ):
            if rows:
                says = "negative, so counted as refunds"
                yield Finding("kept", "negative", column, rows, says, _AS_REFUNDS)
        yield from self._rounded(columns.amount, examples.get("rounded", ()))
        if self.zoned and self.unzoned:
            says = "no time zone, unlike other rows"
            yield Finding(
                "kept", "no-zone", columns.time, self.unzoned, says, "They are read as UTC."
            )
        if 0 < self.worded < self.rows - self.no_customer:
            says = "ids that are not whole numbers, among others that are"
            action = "All ids are read as text: 007 is not 7."
            yield Finding("kept", "text-id", columns.customer, self.worded, says, action)

    def _rounded(self, column: str, examples: tuple[str, ...]) -> Iterator[Finding]:
        if self.more:
            says = "amounts with more than two decimals"
            rows, action = self.three + self.more, "They are rounded to cents."
            yield Finding("kept", "rounded", column, rows, says, action, examples)
        elif self.three:
            action = (
                "They are read as decimals and rounded to cents. If that is wrong, correct the "
                "log or give --decimal."
            )
            yield Finding(
                "kept", "three-decimals", column, self.three, THREE_DECIMALS, action, examples
            )


@dataclass(frozen=True, slots=True)
class RegistrationCounts(Fetched):
    """Rows of a table of registrations by what can be said of each."""

    rows: int
    no_customer: int
    no_date: int
    future: int
    on_the_clock: int
    first: int
    last: int

    def findings(
        self,
        columns: RegistrationColumns,
        examples: tuple[str, ...],
        placeholders: Mapping[Span, int],
        now: datetime,
    ) -> Iterator[Finding]:
        """One for each thing that is odd about single rows."""
        for code, column, rows, says, shown in (
            ("registration-no-customer", columns.customer, self.no_customer,
             "registrations without a customer id", ()),
            ("registration-no-date", columns.time, self.no_date,
             "registrations without a readable date", examples),
            ("placeholder-registration", columns.time, sum(placeholders.values()),
             f"registrations at {PLACEHOLDER}", examples_of(placeholders)),
            ("registration-future", columns.time, self.future,
             f"registrations later than now, {now:%Y-%m-%d %H:%M} UTC", ()),
        ):  # fmt: skip
            if rows:
                yield Finding("left out", code, column, rows, says, LEFT_OUT, shown)


def counts_of(read: Table, now: datetime, until: datetime) -> Table:
    """One row: the fields of `Counts`; usable are rides up to `until`."""
    whole = read.customer_id.notnull() & read.ridden_at.notnull() & affordable(read.cents)
    taken = whole & ~read.placeholder & ~read.cancelled & ~read.foreign
    used = taken & (read.ridden_at <= at(until)).fill_null(False)
    negative = used & ~read.refund & (read.cents < 0).fill_null(False)
    finer = decimals(read.amount)
    micros = unix_micros(read.ridden_at)
    return read.agg(
        rows=read.count(),
        no_customer=number(read.customer_id.isnull()),
        no_time=number(read.ridden_at.isnull()),
        placeholder=number(read.placeholder),
        no_amount=number(
            read.amount.isnull() | read.amount.isnan() | (read.counted & ~affordable(read.cents))
        ),
        no_quantity=number(~read.counted),
        future=number((read.ridden_at > at(now)).fill_null(False)),
        cancelled=number(read.cancelled),
        foreign=number(read.foreign),
        refunds=number(used & read.refund),
        negative=number(negative),
        takes_back=number(negative & read.takes_back),
        three=number(used & (finer == 3).fill_null(False)),
        more=number(used & (finer == 4).fill_null(False)),
        usable=number(used),
        on_the_clock=number(used & (micros % DAY_US != 0).fill_null(False)),
        zoned=number(read.zoned),
        unzoned=number(read.ridden_at.notnull() & ~read.zoned),
        worded=number(_is_worded(read.customer_id)),
        first=micros.min(where=used),
        last=micros.max(where=used),
    )


def registrations_of(read: Table, now: datetime) -> Table:
    """One row: registrations by what can be said of each."""
    micros = unix_micros(read.registered_at)
    return read.agg(
        rows=read.count(),
        no_customer=number(read.customer_id.isnull()),
        no_date=number(read.registered_at.isnull()),
        future=number((read.registered_at > at(now)).fill_null(False)),
        on_the_clock=number((micros % DAY_US != 0).fill_null(False)),
        first=micros.min(),
        last=micros.max(),
    )


def nobodies(written: Table) -> Table:
    """A few values of the column of ids that name no customer; one column, `value`."""
    named = written.filter(written.customer.isnull(), written.id_as_written.notnull())
    return named.select(value=named.id_as_written).distinct().order_by("value").limit(EXAMPLES)


def unreadable_values(written: Table, role: str, rules: Rules) -> Table:
    """A few values of a column of which nothing could be read; one column, `value`."""
    column = written[role]
    if role == "time":
        read = instant(column, rules.notation).notnull()
    elif role == "quantity":
        read = countable(number_of(column, rules.quantities))
    else:
        read = affordable(cents(column, rules.amounts))
    values = written.filter(column.notnull(), ~read).select(value=column.cast("string"))
    return values.limit(EXAMPLES)


def rounded_values(written: Table, rules: Rules) -> Table:
    """A few amounts with more than two decimals; one column, `value`."""
    read = written.select(value=number_of(written.amount, rules.amounts))
    return read.filter((decimals(read.value) > 0).fill_null(False)).limit(EXAMPLES)


def _is_worded(customer: Value) -> Value:
    if not customer.type().is_string():
        return customer.isnull() & ibis.literal(False)  # of a row, so that it can be summed
    return (~customer.re_search(r"^(?:0|-?[1-9]\d{0,17})$")).fill_null(False)


def number(where: Value) -> Value:
    """Rows of which something holds."""
    return total(where.cast("int64"))


def total(numbers: Value) -> Value:
    """The sum, and 0 of nothing."""
    return numbers.sum().coalesce(0)
