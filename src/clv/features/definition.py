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
from dataclasses import dataclass
from datetime import datetime

import ibis
from ibis import Table, Value

from clv.features.log import CANCELLED, REFUNDS
from clv.schema import FREQUENCY, MAX_MONETARY, MONETARY, RECENCY, Window

__all__ = [
    "DAY_US",
    "EXTRAS",
    "READ",
    "READ_AGAIN",
    "REGISTERED",
    "Words",
    "activity",
    "at",
    "cents",
    "first_rides",
    "instant",
    "read_registrations",
    "read_rides",
    "registered",
    "registrations_read",
    "rides_read",
    "usable",
]

DAY_US = 86_400_000_000
# A point in time, in Ibis' words.
_INSTANT = "timestamp('UTC', 6)"
#: Names of the views that an engine makes.
READ, READ_AGAIN, REGISTERED = "clv_rides", "clv_rides_again", "clv_registrations"
#: Columns of `activity` that are summed up and not written.
EXTRAS = ("observed", "due", "rides", "early", "floored")

# Text that both engines read alike; each of them knows more, but not the same. Parts: day, hours and
# minutes, seconds, microseconds (what is beyond is cut off), hours and minutes of the zone.
_TIME = (
    r"^([12]\d{3}-\d{2}-\d{2})"
    r"(?:[T ]((?:[01]\d|2[0-3]):[0-5]\d)(:[0-5]\d)?(\.\d{1,6})?\d*"
    r"(?: ?(?:Z|([+-](?:0\d|1[0-3])):?([0-5]\d)?))?)?$"
)
_NUMBER = r"^[+-]?(?:\d{1,18}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?$"


@dataclass(frozen=True, slots=True)
class Words:
    """What stands in the columns of status and kind, in small letters.

    Attributes
    ----------
    cancelled : sequence of str
        States of rides that did not take place: they are left out.
    refunds : sequence of str
        Kinds of rows that are money given back: they count negatively.
    """

    cancelled: Sequence[str] = CANCELLED
    refunds: Sequence[str] = REFUNDS


def read_rides(log: Table, words: Words) -> Table:
    """Every row of a ride log in one form, nothing left out yet.

    Parameters
    ----------
    log : Table
        Columns `customer`, `time`, `amount`, and `status` and `kind` where there are such; of any
        type that an engine read.
    words : Words

    Returns
    -------
    Table
        `customer_id`; `ridden_at` and `cents`, null where they cannot be read; `cancelled` and
        `refund`, never null.
    """
    return log.select(
        customer_id=log.customer,
        ridden_at=instant(log.time),
        cents=cents(log.amount),
        cancelled=_says(log, "status", words.cancelled),
        refund=_says(log, "kind", words.refunds),
    )


def read_registrations(table: Table) -> Table:
    """Every row of a table of registrations: `customer_id`, and `registered_at` or null."""
    return table.select(customer_id=table.customer, registered_at=instant(table.time))


def rides_read(name: str, customer: str) -> Table:
    """The view that an engine makes of `read_rides`; `customer` is the type of the ids.

    An expression that needs it twice takes both views of the same, READ and READ_AGAIN: of one that
    stands there twice an engine may keep all rows in between.
    """
    kinds = {"ridden_at": _INSTANT, "cents": "float64", "cancelled": "bool", "refund": "bool"}
    return ibis.table({"customer_id": customer, **kinds}, name=name)


def registrations_read(customer: str) -> Table:
    """The view that an engine makes of `read_registrations`."""
    return ibis.table({"customer_id": customer, "registered_at": _INSTANT}, name=REGISTERED)


def usable(read: Table, until: datetime) -> Table:
    """The rides that took place, whole, and up to an instant.

    A refund has negative cents, and what has negative cents is a refund.
    """
    known = read.filter(
        read.customer_id.notnull(),
        read.ridden_at.notnull(),
        read.cents.notnull(),
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


def activity(known: Table, registered: Table, window: Window, as_of: datetime) -> Table:
    """The activity table, and what it left out of account.

    Parameters
    ----------
    known : Table
        As `usable` gives it.
    registered : Table
        `customer_id` and `registered_at`, one row a customer.
    window : Window
    as_of : datetime
        The instant at which all of this is known. Whose horizon has not passed has no outcome.

    Returns
    -------
    Table
        `id`, `registered_at`, the columns of the window and its outcome, in the schema's names;
        then of each customer `observed` (whether the window has passed), `due` (whether the horizon
        has), `rides` (all that were joined), `early` (of them, before registration) and `floored`
        (whether refunds exceeded what was spent).
    """
    joined = registered.left_join(known, "customer_id")
    joined = joined.select(
        "customer_id",
        "registered_at",
        "cents",
        "refund",
        elapsed=_elapsed(joined.registered_at, joined.ridden_at),
    )
    early_on = joined.elapsed.between(0, window.observation_days * DAY_US - 1)
    by_then = joined.elapsed.between(0, window.horizon_days * DAY_US - 1)
    rode, rode_by_then = early_on & ~joined.refund, by_then & ~joined.refund
    one = joined.group_by("customer_id", "registered_at").agg(
        recency=(joined.elapsed // DAY_US + 1).max(where=rode).coalesce(0).cast("int64"),
        frequency=_count(joined, rode),
        cents=joined.cents.sum(where=early_on).coalesce(0.0),
        frequency_due=_count(joined, rode_by_then),
        cents_due=joined.cents.sum(where=by_then).coalesce(0.0),
        rides=joined.elapsed.count(),
        early=_count(joined, joined.elapsed < 0),
    )
    age = _elapsed(one.registered_at, at(as_of))
    observed, due = (
        age >= days * DAY_US for days in (window.observation_days, window.horizon_days)
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
            window.rides_due.name: ibis.ifelse(due, one.frequency_due, None),
            window.outcome.name: ibis.ifelse(due, spent_by_then / 100, None),
        },
        observed=observed,
        due=due,
        rides=one.rides,
        early=one.early,
        floored=(spent != one.cents) | (due & (spent_by_then != one.cents_due)),
    )


def at(instant: datetime) -> Value:
    """An instant as a literal."""
    return ibis.literal(instant.isoformat(sep=" ", timespec="microseconds")).cast(_INSTANT)


def _elapsed(start: Value, end: Value) -> Value:
    # Seconds and days are cut off in other ways by other engines; microseconds are what they store.
    return end.delta(start, unit="microsecond")


def _count(rows: Table, where: Value) -> Value:
    # A count where the condition is null is 0 on one engine and null on another.
    return rows.count(where=where.fill_null(False))


def _spent(frequency: Value, cents: Value) -> Value:
    """No less than nothing, and nothing where there was no ride to pay for."""
    return ibis.ifelse((frequency > 0) & (cents > 0), cents, 0.0)


def _says(log: Table, column: str, words: Sequence[str]) -> Value:
    if column not in log.columns:
        return ibis.literal(False)  # noqa: FBT003 - a value of the table
    return log[column].cast("string").strip().lower().isin(list(words)).fill_null(False)


def cents(amount: Value) -> Value:
    """Whole cents as float64; null where it is no number, or none that anybody pays."""
    if amount.type().is_string():
        text = amount.strip()
        amount = ibis.ifelse(text.re_search(_NUMBER), text, None).try_cast("float64")
    amount = amount.cast("float64")
    limit = MAX_MONETARY
    within = amount.between(-limit, limit)  # false for what is not a number, too
    return ibis.ifelse(within, (amount * 100).round().cast("float64"), None)


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
