r"""The one definition of every feature, in Ibis: each engine runs what is compiled from it.

For customer :math:`i`, registered at :math:`r_i`, a ride at :math:`t` has elapsed
:math:`e = t - r_i` microseconds. With :math:`D` a day of 24 hours, and a window of
:math:`n` days,

.. math::
    \text{recency}_n = \max_{0 \le e < nD} \lfloor e / D \rfloor + 1, \qquad
    \text{frequency}_n = \#\{0 \le e < nD\}, \qquad
    \text{monetary}_n = \tfrac{1}{100} \sum_{0 \le e < nD} \text{cents} ,

and 0 where there is no such ride. Refunds count in the money alone. Time is what elapsed, so a
night on which clocks change has no other length; money is summed in whole cents held in float64,
where sums do not depend on their order, so that every engine gets the same bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import ibis
from ibis import Table, Value

from clv.data.dates import YEAR_FIRST, Notation
from clv.data.numbers import Notation as NumberNotation
from clv.data.placeholders import Span
from clv.features.amounts import amount as in_notation
from clv.features.times import (
    DAY_US,
    INSTANT,
    has_zone,
    instant,
    timestamp_micros,
    unix_micros,
    within,
)
from clv.schema import FREQUENCY, MAX_MONETARY, MONETARY, NOBODY, RECENCY, WHOLE_FLOAT, Window

__all__ = [
    "EXTRAS",
    "READ",
    "READ_REGISTRATIONS",
    "Rules",
    "activity",
    "affordable",
    "at",
    "cents",
    "countable",
    "decimals",
    "first_rides",
    "identifier",
    "in_lower_case",
    "number_of",
    "read_registrations",
    "read_rides",
    "registered",
    "registrations_read",
    "rides_read",
    "usable",
    "within_horizon",
    "without_refunds_of_left_out",
]

#: Names of the views that an engine makes.
READ, READ_REGISTRATIONS = "clv_rides", "clv_registrations"
#: Columns of `activity` that are summed up and not written.
EXTRAS = ("observed", "due", "floored")

_NUMBER = r"^[+-]?(?:\d{1,18}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?$"
_MOST_PIECES = 1e9


@dataclass(frozen=True, slots=True)
class Rules:
    """What the values of one log mean, as decided for its whole columns.

    Attributes
    ----------
    notation : Notation
        Of the times.
    amounts, quantities : Notation of numbers, optional
        Of amounts and quantities that are text.
    left_out : sequence of str
        States of rides that do not count, in lower case.
    given_back : sequence of str
        Of them those whose money was given back: negative rows in these states are refunds.
    refunds : sequence of str
        Kinds of rows that are money given back, in lower case.
    currency : str, optional
        In lower case; rows in other currencies are left out.
    rates : mapping of str to float
        What one unit of a currency is worth in the currency of the result.
    placeholders : sequence of Span
        Times that stand for no time.
    """

    notation: Notation = YEAR_FIRST
    amounts: NumberNotation | None = None
    quantities: NumberNotation | None = None
    left_out: Sequence[str] = ()
    given_back: Sequence[str] = ()
    refunds: Sequence[str] = ()
    currency: str | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    placeholders: Sequence[Span] = ()


def read_rides(log: Table, rules: Rules) -> Table:
    """Every row of a ride log in one form, nothing left out yet.

    Parameters
    ----------
    log : Table
        Columns `customer` (as `identifier` gives it), `time`, `amount`, and `status`, `kind`,
        `ride`, `quantity` and `currency` if the log has them; of any type that an engine read.
    rules : Rules

    Returns
    -------
    Table
        `customer_id`; `ridden_at` and `cents`, null if they cannot be read; `placeholder` (whether
        the time stands for none), `cancelled`, `foreign` (in a currency that was not chosen),
        `refund`, `zoned` (whether the time says its zone), `counted` and `takes_back` (whether the
        quantity can be read, and is negative), never null; `amount`, as it is before it is
        multiplied and rounded; `ride`, null for a row that is a ride of its own.
    """
    ridden_at = instant(log.time, rules.notation)
    paid = cents(log.amount, rules.amounts, _factor(log, rules))
    pieces = ibis.literal(1.0)
    if "quantity" in log.columns:
        pieces = number_of(log.quantity, rules.quantities)
    state = in_lower_case(log, "status")
    cancelled = state.isin(list(rules.left_out)) & ~(
        state.isin(list(rules.given_back)) & (paid < 0)
    )
    return log.select(
        customer_id=log.customer,
        ridden_at=ridden_at,
        placeholder=within(ridden_at, rules.placeholders),
        amount=number_of(log.amount, rules.amounts),
        counted=countable(pieces),
        takes_back=(pieces < 0).fill_null(False),
        cents=paid,
        cancelled=cancelled.fill_null(False),
        foreign=ibis.literal(False)
        if rules.currency is None
        else in_lower_case(log, "currency") != rules.currency,
        refund=in_lower_case(log, "kind").isin(list(rules.refunds)),
        zoned=has_zone(log.time),
        ride=log.ride.cast("string").nullif("")
        if "ride" in log.columns
        else ibis.literal(None, "string"),
    )


def read_registrations(table: Table, notation: Notation = YEAR_FIRST) -> Table:
    """Every row of a table of registrations: `customer_id`, and `registered_at` or null."""
    return table.select(customer_id=table.customer, registered_at=instant(table.time, notation))


def rides_read(customer: str) -> Table:
    """The view that an engine makes of `read_rides`; `customer` is the type of the ids."""
    names = ("placeholder", "counted", "takes_back", "cancelled", "foreign", "refund", "zoned")
    flags = dict.fromkeys(names, "bool")
    numbers = {"amount": "float64", "cents": "float64"}
    kinds = {"ridden_at": INSTANT, **numbers, **flags, "ride": "string"}
    return ibis.table({"customer_id": customer, **kinds}, name=READ)


def registrations_read(customer: str) -> Table:
    """The view that an engine makes of `read_registrations`."""
    return ibis.table({"customer_id": customer, "registered_at": INSTANT}, name=READ_REGISTRATIONS)


def identifier(column: Value) -> Value:
    """An id as it is written, but for 70001.0, which is 70001; null of whatever names nobody."""
    if column.type().is_floating() or column.type().is_decimal():
        return column.try_cast("int64")  # null of NaN
    if not column.type().is_string():
        return column
    bare = column.re_extract(WHOLE_FLOAT, 1).nullif("").coalesce(column)
    return ibis.ifelse(bare.strip().lower().isin(sorted(NOBODY)), None, bare)


def in_lower_case(log: Table, role: str) -> Value:
    """The words of a column, trimmed, in lower case and '' for nothing; '' without the column."""
    if role not in log.columns:
        return ibis.literal("")
    return log[role].cast("string").strip().lower().coalesce("")


def usable(read: Table, until: datetime, *, by_ride: bool = False) -> Table:
    """The rides that took place, whole, and up to an instant.

    A refund has negative cents, and what has negative cents is a refund.

    Parameters
    ----------
    read : Table
        As `rides_read`.
    until : datetime
    by_ride : bool
        Whether rows of one customer with the same `ride` are one ride: at its first instant, for
        the sum of its cents.
    """
    known = read.filter(
        read.customer_id.notnull(),
        read.ridden_at.notnull(),
        affordable(read.cents),
        ~read.placeholder,
        ~read.cancelled,
        ~read.foreign,
        read.ridden_at <= at(until),
    )
    signed = ibis.ifelse(known.refund, -known.cents.abs(), known.cents)
    rows = known.select("customer_id", "ridden_at", "ride", cents=signed)
    refund = known.refund | (known.cents < 0)
    if not by_ride:
        return known.select("customer_id", "ridden_at", cents=signed, refund=refund)
    alone = rows.filter(rows.ride.isnull()).drop("ride")
    lines = rows.filter(rows.ride.notnull()).group_by("customer_id", "ride")
    rides = lines.agg(ridden_at=rows.ridden_at.min(), cents=rows.cents.sum()).drop("ride")
    each = alone.union(rides)
    return each.mutate(refund=each.cents < 0)


def without_refunds_of_left_out(known: Table, read: Table) -> Table:
    """Drop refunds of rides that are left out: their money was never counted.

    A refund belongs to a left-out ride of the same customer and the same amount that was not
    later; as many refunds are dropped as there are such rides, the earliest first.
    """
    left_out = read.filter(
        read.cancelled,
        ~read.foreign,
        read.customer_id.notnull(),
        read.ridden_at.notnull(),
        read.cents > 0,
    )
    owed = left_out.group_by(customer_id=left_out.customer_id, paid=left_out.cents).agg(
        owed=left_out.count(), since=left_out.ridden_at.min()
    )
    each = known.mutate(paid=-known.cents)
    each = each.left_join(owed, ["customer_id", "paid"])
    each = each.select(
        "customer_id", "ridden_at", "cents", "refund", "owed",
        of_left_out=(each.refund & (each.ridden_at >= each.since)).fill_null(False),
    )  # fmt: skip
    place = ibis.row_number().over(
        group_by=[each.customer_id, each.cents, each.of_left_out], order_by=each.ridden_at
    )
    each = each.mutate(place=place)
    kept = each.filter(~(each.of_left_out & (each.place < each.owed)).fill_null(False))
    return kept.select("customer_id", "ridden_at", "cents", "refund")


def registered(
    read: Table, now: datetime, placeholders: Sequence[Span] = (), *, on_days: bool = False
) -> Table:
    """`customer_id` and `registered_at`; the first time, if a customer registered several times.

    Times later than now and those that stand for no time are no registrations. With `on_days`, if
    rides are dates, a registration counts from the beginning of its day.
    """
    known = read.filter(
        read.customer_id.notnull(),
        read.registered_at.notnull(),
        read.registered_at <= at(now),
        ~within(read.registered_at, placeholders),
    )
    each = known.group_by("customer_id").agg(registered_at=known.registered_at.min())
    if on_days:
        micros = unix_micros(each.registered_at)
        each = each.mutate(registered_at=timestamp_micros(micros - micros % DAY_US))
    return each


def first_rides(known: Table) -> Table:
    """`customer_id` and `registered_at`, where nobody knows better: when they first rode."""
    ridden = known.filter(~known.refund)
    return ridden.group_by("customer_id").agg(registered_at=ridden.ridden_at.min())


def within_horizon(known: Table, registered: Table, window: Window) -> Table:
    """What each customer did until the horizon; what nobody did then is in one more row.

    Parameters
    ----------
    known : Table
        As `usable` gives it.
    registered : Table
        `customer_id` and `registered_at`, one row a customer.
    window : Window

    Returns
    -------
    Table
        A row for each customer with rides between registration and the horizon, and one without
        `customer_id` for all rides that were before or after. `rides` counts all, `early` those
        before registration; the others are meaningless in that row. Most rides of a long log lie
        outside the horizon of their customer: gathered in one row they cost next to nothing.
    """
    joined = known.join(registered, "customer_id")
    elapsed = unix_micros(joined.ridden_at) - unix_micros(joined.registered_at)
    joined = joined.select("customer_id", "cents", "refund", elapsed=elapsed)
    counts = joined.elapsed.between(0, window.horizon_days * DAY_US - 1)
    each = joined.select(
        "cents",
        "refund",
        "elapsed",
        customer_id=ibis.ifelse(counts, joined.customer_id, None),
    )
    observed = each.elapsed < window.observation_days * DAY_US
    return each.group_by("customer_id").agg(
        last=each.elapsed.max(where=observed & ~each.refund),
        frequency=each.count(where=observed & ~each.refund),
        cents=each.cents.sum(where=observed),
        frequency_due=each.count(where=~each.refund),
        cents_due=each.cents.sum(),
        rides=each.count(),
        early=each.count(where=each.elapsed < 0),
    )


def activity(registered: Table, done: Table, window: Window, as_of: datetime) -> Table:
    """The activity table, and what to know of it.

    Parameters
    ----------
    registered : Table
        `customer_id` and `registered_at`, one row a customer.
    done : Table
        As `within_horizon` gives it.
    window : Window
    as_of : datetime
        The instant at which all of this is known. Whose horizon has not passed has no outcome.

    Returns
    -------
    Table
        `id`, `registered_at`, the columns of the window and its outcome, in the schema's names;
        then of each customer `observed` (whether the window has passed), `due` (whether the horizon
        has) and `floored` (whether refunds exceeded what was spent).
    """
    one = registered.left_join(done, "customer_id")
    age = unix_micros(at(as_of)) - unix_micros(one.registered_at)
    one = one.select(
        "customer_id",
        "registered_at",
        observed=age >= window.observation_days * DAY_US,
        due=age >= window.horizon_days * DAY_US,
        recency=(one["last"] // DAY_US + 1).coalesce(0),
        **{name: one[name].coalesce(0) for name in ("frequency", "frequency_due")},
        **{name: one[name].coalesce(0.0) for name in ("cents", "cents_due")},
    )
    features, spent = window.features, _spent(one.frequency, one.cents)
    spent_by_then = _spent(one.frequency_due, one.cents_due)
    return one.select(
        id=one.customer_id,
        registered_at=one.registered_at,
        **{
            features[RECENCY].name: one.recency,
            features[FREQUENCY].name: one.frequency,
            features[MONETARY].name: spent / 100,
            window.rides_due.name: ibis.ifelse(one.due, one.frequency_due, None),
            window.outcome.name: ibis.ifelse(one.due, spent_by_then / 100, None),
        },
        observed=one.observed,
        due=one.due,
        floored=(spent != one.cents) | (one.due & (spent_by_then != one.cents_due)),
    )


def at(instant: datetime) -> Value:
    """An instant as a literal."""
    return ibis.literal(instant.isoformat(sep=" ", timespec="microseconds")).cast(INSTANT)


@ibis.udf.scalar.builtin(name="round", signature=(("float64", "int8"), "float64"))  # type: ignore[untyped-decorator]
def _round(value: Value, digits: Value) -> Value:
    """To a float: Ibis' own casts to whole numbers, where one engine makes 0 of what is none."""


def _spent(frequency: Value, cents: Value) -> Value:
    """No less than nothing, and nothing where there was no ride to pay for."""
    return ibis.ifelse((frequency > 0) & (cents > 0), cents, 0.0)


def cents(
    amount: Value, notation: NumberNotation | None = None, factor: Value | None = None
) -> Value:
    """Whole cents, as float64; null or beyond `affordable` if it is not an amount."""
    paid = number_of(amount, notation)
    paid = _round((paid if factor is None else paid * factor) * 100, 0)
    # Said here: DuckDB takes NaN for within any limits that the statistics of a file are within.
    return ibis.ifelse(paid.isnan(), None, paid)


def number_of(value: Value, notation: NumberNotation | None = None) -> Value:
    """A number, of text in a notation or in that of programs; null where there is none."""
    if value.type().is_string() and notation is not None:
        value = in_notation(value, notation)
    elif value.type().is_string():
        text = value.strip()
        value = ibis.ifelse(text.re_search(_NUMBER), text, None).try_cast("float64")
    return value.cast("float64")


def _factor(log: Table, rules: Rules) -> Value | None:
    """What to multiply an amount with: its quantity, and the rate of its currency."""
    factor = None
    if "quantity" in log.columns:
        factor = number_of(log.quantity, rules.quantities)
    if not rules.rates:
        return factor
    currency = in_lower_case(log, "currency")
    rate = currency.cases(
        *((name, ibis.literal(rate, "float64")) for name, rate in rules.rates.items()), else_=1.0
    )
    return rate if factor is None else factor * rate


def countable(pieces: Value) -> Value:
    """Whether a number can be a quantity; never null."""
    return pieces.between(-_MOST_PIECES, _MOST_PIECES).fill_null(False)


def decimals(amount: Value) -> Value:
    """Of an amount: 3 with three decimals, 4 with more, 0 with fewer; null of none.

    As far as a float of 32 bits holds them: 8.1 is 8.100000381 there.
    """
    thousandths = amount * 1_000
    noise = ibis.greatest(1e-4, thousandths.abs() * 1.2e-7)
    beyond = (thousandths - _round(thousandths, 0)).abs() > noise
    three = (thousandths - 10 * _round(thousandths / 10, 0)).abs() > noise
    return ibis.ifelse(beyond, 4, ibis.ifelse(three, 3, 0))


def affordable(paid: Value) -> Value:
    """Whether cents are those of an amount; never null."""
    limit = 100 * MAX_MONETARY
    return paid.between(-limit, limit).fill_null(False)  # false for what is not a number, too
