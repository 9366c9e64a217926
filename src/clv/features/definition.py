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

from collections.abc import Sequence
from datetime import datetime

import ibis
from ibis import Table, Value

from clv.data.numbers import Notation
from clv.features.amounts import amount as in_notation
from clv.features.log import Words
from clv.schema import FREQUENCY, MAX_MONETARY, MONETARY, RECENCY, Window

__all__ = [
    "DAY_US",
    "EXTRAS",
    "READ",
    "READ_REGISTRATIONS",
    "activity",
    "affordable",
    "at",
    "cents",
    "first_rides",
    "instant",
    "read_registrations",
    "read_rides",
    "registered",
    "registrations_read",
    "rides_read",
    "unix_micros",
    "usable",
    "within_horizon",
]

DAY_US = 86_400_000_000
# A point in time, in Ibis' words.
_INSTANT = "timestamp('UTC', 6)"
#: Names of the views that an engine makes.
READ, READ_REGISTRATIONS = "clv_rides", "clv_registrations"
#: Columns of `activity` that are summed up and not written.
EXTRAS = ("observed", "due", "floored")

# Text that both engines read alike; each of them knows more, but not the same. Parts: day, hours
# and minutes, seconds, microseconds (what is beyond is cut off), hours and minutes of the zone.
_TIME = (
    r"^([12]\d{3}-\d{2}-\d{2})"
    r"(?:[T ]((?:[01]\d|2[0-3]):[0-5]\d)(:[0-5]\d)?(\.\d{1,6})?\d*"
    r"(?: ?(?:Z|([+-](?:0\d|1[0-3])):?([0-5]\d)?))?)?$"
)
_ZONE = r":\d{2}[^+-]*(?:Z|[+-]\d{2}:?(?:\d{2})?)$"
_NUMBER = r"^[+-]?(?:\d{1,18}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?$"


def read_rides(log: Table, words: Words, notation: Notation | None = None) -> Table:
    """Every row of a ride log in one form, nothing left out yet.

    Parameters
    ----------
    log : Table
        Columns `customer`, `time`, `amount`, and `status` and `kind` where there are such; of any
        type that an engine read.
    words : Words
    notation : Notation, optional
        How amounts are written that are text.

    Returns
    -------
    Table
        `customer_id`; `ridden_at` and `cents`, null where they cannot be read; `cancelled` and
        `refund` and `zoned` (whether the time says its zone), never null.
    """
    return log.select(
        customer_id=log.customer,
        ridden_at=instant(log.time),
        cents=cents(log.amount, notation),
        cancelled=_says(log, "status", words.cancelled),
        refund=_says(log, "kind", words.refunds),
        zoned=_has_zone(log.time),
    )


def read_registrations(table: Table) -> Table:
    """Every row of a table of registrations: `customer_id`, and `registered_at` or null."""
    return table.select(customer_id=table.customer, registered_at=instant(table.time))


def rides_read(customer: str) -> Table:
    """The view that an engine makes of `read_rides`; `customer` is the type of the ids."""
    flags = dict.fromkeys(("cancelled", "refund", "zoned"), "bool")
    kinds = {"ridden_at": _INSTANT, "cents": "float64", **flags}
    return ibis.table({"customer_id": customer, **kinds}, name=READ)


def registrations_read(customer: str) -> Table:
    """The view that an engine makes of `read_registrations`."""
    return ibis.table({"customer_id": customer, "registered_at": _INSTANT}, name=READ_REGISTRATIONS)


def usable(read: Table, until: datetime) -> Table:
    """The rides that took place, whole, and up to an instant.

    A refund has negative cents, and what has negative cents is a refund.
    """
    known = read.filter(
        read.customer_id.notnull(),
        read.ridden_at.notnull(),
        affordable(read.cents),
        ~read.cancelled,
        read.ridden_at <= at(until),
    )
    return known.select(
        "customer_id",
        "ridden_at",
        cents=ibis.ifelse(known.refund, -known.cents.abs(), known.cents),
        refund=known.refund | (known.cents < 0),
    )


def registered(read: Table) -> Table:
    """`customer_id` and `registered_at` of whoever registered; the first time, where several."""
    known = read.filter(read.customer_id.notnull(), read.registered_at.notnull())
    return known.group_by("customer_id").agg(registered_at=known.registered_at.min())


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
    return ibis.literal(instant.isoformat(sep=" ", timespec="microseconds")).cast(_INSTANT)


@ibis.udf.scalar.builtin(signature=((_INSTANT,), "int64"))  # type: ignore[untyped-decorator]
def unix_micros(time: Value) -> Value:
    """Microseconds since 1970, as engines store an instant.

    Spark's function of this name; other engines are taught it. Ibis' own differences of instants
    are cut off to seconds and days in other ways by other engines, and count calendar fields, which
    takes DuckDB fifty times as long.
    """


@ibis.udf.scalar.builtin(name="round", signature=(("float64", "int8"), "float64"))  # type: ignore[untyped-decorator]
def _round(value: Value, digits: Value) -> Value:
    """To a float: Ibis' own casts to whole numbers, where one engine makes 0 of what is none."""


def _spent(frequency: Value, cents: Value) -> Value:
    """No less than nothing, and nothing where there was no ride to pay for."""
    return ibis.ifelse((frequency > 0) & (cents > 0), cents, 0.0)


def _says(log: Table, column: str, words: Sequence[str]) -> Value:
    if column not in log.columns:
        return ibis.literal(False)
    return log[column].cast("string").strip().lower().isin(list(words)).fill_null(False)


def cents(amount: Value, notation: Notation | None = None) -> Value:
    """Whole cents, as float64; null or beyond `affordable` where it is no number that is paid."""
    if amount.type().is_string() and notation is not None:
        amount = in_notation(amount, notation)
    elif amount.type().is_string():
        text = amount.strip()
        amount = ibis.ifelse(text.re_search(_NUMBER), text, None).try_cast("float64")
    return _round(amount.cast("float64") * 100, 0)


def affordable(paid: Value) -> Value:
    """Whether cents are those of an amount; never null."""
    limit = 100 * MAX_MONETARY
    return paid.between(-limit, limit).fill_null(False)  # false for what is not a number, too


def _has_zone(time: Value) -> Value:
    if not time.type().is_string():
        return ibis.literal(False)
    return time.strip().re_search(_ZONE).fill_null(False)


def instant(time: Value) -> Value:
    """A point in time; null where it cannot be read. Without a zone it is UTC."""
    if not time.type().is_string():
        return time.cast(_INSTANT)
    text = time.strip()
    day, clock, seconds, fraction, hours, minutes = (
        text.re_extract(_TIME, part).nullif("") for part in range(1, 7)
    )
    # Where the pattern does not match there is no day, and what is null anywhere is null.
    return (
        day
        + " "
        + clock.coalesce("00:00")
        + seconds.coalesce(":00")
        + fraction.coalesce("")
        + hours.coalesce("+00")
        + ":"
        + minutes.coalesce("00")
    ).try_cast(_INSTANT)
