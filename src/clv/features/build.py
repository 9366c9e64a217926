"""From a ride log to an activity table, on any engine: read, count, compute, write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import ibis

from clv.data.findings import Finding, by_severity, shown_value
from clv.data.placeholders import FAR_US, Span
from clv.errors import DataError, UsageError
from clv.features import coverage
from clv.features import definition as define
from clv.features.counts import (
    Counts,
    RegistrationCounts,
    counts_of,
    nobodies,
    registrations_of,
    rounded_values,
    unreadable_values,
)
from clv.features.engine import Engine
from clv.features.log import Reading
from clv.features.placeholders import (
    days_apart,
    days_of,
    examples_of,
    may_have,
    micros_of,
    placeholders_of,
    rows_of,
)
from clv.features.reading import LEFT_OUT, Log, read_log
from clv.features.totals import Totals, copies, joined_of, totals_of
from clv.schema import Window

__all__ = ["Features", "build"]

# Above this share of values that cannot be read, it is the wrong column or the wrong notation.
_MAX_UNREADABLE = 0.5


@dataclass(frozen=True, slots=True)
class Features:
    """What was made of a ride log.

    Attributes
    ----------
    source : str
        The log.
    rides_read, rides_used : int
        Rows of the log, and rides that could be read and took place.
    customers : int
        Rows of the activity table.
    with_outcome : int
        Customers among them whose horizon has passed.
    too_young : int
        Customers who are left out, because their observation window has not passed.
    as_of : datetime
        The cut-off: later rides are ignored.
    findings : tuple of Finding
    """

    source: str
    rides_read: int
    rides_used: int
    customers: int
    with_outcome: int
    too_young: int
    as_of: datetime
    findings: tuple[Finding, ...]


def build(
    engine: Engine,
    rides: str,
    output: str,
    *,
    window: Window,
    now: datetime,
    as_of: datetime | None = None,
    reading: Reading = Reading(),  # noqa: B008 - frozen
    to_train: bool = False,
) -> Features:
    """Read a ride log, compute what each customer did, and write the activity table.

    Parameters
    ----------
    engine : Engine
    rides : str
        The log: a SOURCE.
    output : str
        The activity table, sorted by id; it appears when it is complete.
    window : Window
        Its days name the columns.
    now : datetime
        Rides that are later are left out; aware of its time zone, as `as_of` is.
    as_of : datetime, optional
        The cut-off, by default the last ride of the log.
    reading : Reading
    to_train : bool
        Whether only customers with a known outcome are written.

    Raises
    ------
    DataError
        If a column is missing or the log cannot be used; the message says why.
    OutputError
        If the output cannot be written; what was there before stays.
    UsageError
        If `as_of` lies in the future.
    """
    if as_of is not None and as_of > now:
        raise UsageError(
            f"as_of {as_of:%Y-%m-%d %H:%M} is in the future; expected a time in the past."
        )
    log, counts, findings = _count(engine, read_log(engine, rides, reading), now, as_of, reading)
    until = as_of or counts.until
    known, used, said = _rides(engine, log, counts, until)
    findings += said
    registered, said = _registered(engine, log, counts, known, now)
    findings += said
    done = define.within_horizon(known, registered, window)
    done = _keep(engine, "clv_rides_until_horizon", done)
    joined = engine.fetch(joined_of(done))[0]
    if log.registrations is not None:
        findings += _unregistered(engine, log, known, registered, used - int(joined["rides"]), used)
    customers = _keep(
        engine,
        "clv_customers",
        define.activity(registered, done.filter(done.customer_id.notnull()), window, until),
    )
    customers, said = _covered(engine, log, counts, customers, known, window, reading)
    findings += said
    same, times = copies(known, used)
    beside = {name: times * int(value) for name, value in engine.fetch(same)[0].items()}
    about = engine.fetch(totals_of(customers))[0]
    totals = Totals.of({**about, "early": joined["early"], **beside})
    dates = counts.on_the_clock == 0
    findings += totals.findings(log.columns, used, exact=times == 1, dates=dates)
    _require_customers(log.name, totals, findings, window, until, to_train=to_train)
    wanted = customers.filter(customers.due if to_train else customers.observed)
    engine.write(wanted.drop(*define.EXTRAS).order_by("id"), output)
    return Features(
        source=log.name,
        rides_read=counts.rows,
        rides_used=used,
        customers=totals.due if to_train else totals.observed,
        with_outcome=totals.due,
        too_young=totals.customers - totals.observed,
        as_of=until,
        findings=by_severity(findings),
    )


def _keep(engine: Engine, name: str, expression: ibis.Table) -> ibis.Table:
    engine.keep(name, expression)
    return ibis.table(expression.schema(), name=name)


def _values(engine: Engine, expression: ibis.Table) -> tuple[str, ...]:
    return tuple(shown_value(row["value"]) for row in engine.fetch(expression))


# ---------------------------------------------------------------- count


def _count(
    engine: Engine, log: Log, now: datetime, as_of: datetime | None, reading: Reading
) -> tuple[Log, Counts, list[Finding]]:
    """Count the rows of a log; it must have usable ones.

    Returns
    -------
    log : Log
        With its placeholders.
    counts : Counts
        From where the log begins to where it ends, but for a few days that are far away.
    findings : list of Finding
    """
    log, counts, placeholders, far = _in_time(engine, log, now, as_of, reading)
    examples = {"placeholder-time": examples_of(placeholders)}
    if counts.no_customer:
        examples["no-customer"] = _values(engine, nobodies(log.written))
    if counts.no_time:
        unread = unreadable_values(log.written, "time", log.rules)
        examples["no-time"] = _values(engine, unread)
    if counts.no_amount:
        examples["no-amount"] = _values(engine, unreadable_values(log.written, "amount", log.rules))
    if counts.no_quantity:
        unread = unreadable_values(log.written, "quantity", log.rules)
        examples["no-quantity"] = _values(engine, unread)
    if counts.three or counts.more:
        examples["rounded"] = _values(engine, rounded_values(log.written, log.rules))
    findings = [*log.findings, *counts.findings(log.columns, examples, now), *far]
    if log.unused_quantity is not None:
        findings.append(_unused_quantity(log.unused_quantity, log.columns.amount, counts.rows))
    if not counts.rows:
        raise DataError(f"'{log.name}' has no rows. Give a log that holds rides.")
    _require_readable(log.name, findings, counts.rows)
    if not counts.usable:
        causes = " ".join(str(finding) for finding in findings)
        raise DataError(
            f"None of the {counts.rows:,} rows of '{log.name}' can be used. {causes}".rstrip()
        )
    return log, counts, findings


def _in_time(
    engine: Engine, log: Log, now: datetime, as_of: datetime | None, reading: Reading
) -> tuple[Log, Counts, dict[Span, int], list[Finding]]:
    """Find times that stand for none, and days far from all others.

    Neither may decide when the log begins or ends.
    """
    until = as_of or now
    counts = _counts(engine, log, now, until)
    placeholders: dict[Span, int] = {}
    findings = []
    if counts.usable and may_have(counts.first, counts.last):
        known = define.usable(log.read, until)
        placeholders = placeholders_of(engine.fetch(rows_of(known.ridden_at, known))[0])
        if placeholders:
            log = _without(engine, log, placeholders)
            counts = _counts(engine, log, now, until)
    if counts.last - counts.first > FAR_US:
        # Kept, because Spark compiles reading and counting by day at once into too large a method.
        times = define.usable(log.read, until).select("ridden_at")
        days = engine.fetch(days_of(_keep(engine, "clv_times_of_rides", times)))
        early, late = days_apart(days)
        if as_of is not None:
            late = None  # whoever names the end of the log knows it
        # Several rides at one instant, in a log of such instants, are no rides at that time.
        instants = [one for one in (early, late) if one and one.is_instant and counts.on_the_clock]
        if instants:
            placeholders |= {one.span: one.rides for one in instants}
            log = _without(engine, log, placeholders)
        early, late = (None if one in instants else one for one in (early, late))
        if late is not None:
            until = late.nearest
            findings.append(late.left_out(log.columns.time))
        if instants or late:
            counts = _counts(engine, log, now, until)
        since = reading.registered_from
        if early is not None and (since is None or since <= early.last):
            registered = log.registrations is not None
            findings.append(early.kept(log.columns.time, registered=registered))
        if early is not None:
            counts = replace(counts, first=micros_of(early.nearest))
    return log, counts, placeholders, findings


def _counts(engine: Engine, log: Log, now: datetime, until: datetime) -> Counts:
    return Counts.of(engine.fetch(counts_of(log.read, now, until))[0])


def _without(engine: Engine, log: Log, placeholders: Mapping[Span, int]) -> Log:
    rules = replace(log.rules, placeholders=tuple(placeholders))
    engine.view(define.READ, define.read_rides(log.written, rules))
    return replace(log, rules=rules)


def _require_readable(name: str, findings: Sequence[Finding], rows: int) -> None:
    advice = {
        "no-time": "Name their notation with --date-format, or another column with --time-column.",
        "placeholder-time": "Write the right times, or name another column with --time-column.",
        "no-amount": "Name another column with --amount-column.",
        "no-quantity": "Name another column with --quantity-column.",
        "placeholder-registration": "Write the right dates, or name another column with "
        "--registered-column.",
        "registration-no-date": "Name their notation with --registered-format, or another column "
        "with --registered-column.",
    }
    for finding in findings:
        if finding.code in advice and finding.rows > _MAX_UNREADABLE * rows:
            shown = f", for example {', '.join(finding.examples)}" if finding.examples else ""
            raise DataError(
                f"{finding.rows:,} of {rows:,} rows of '{name}' cannot be used: column "
                f"'{finding.column}': {finding.says}{shown}. {advice[finding.code]}"
            )


def _unused_quantity(quantity: str, amount: str, rows: int) -> Finding:
    says = f"'{quantity}' is not used: '{amount}' is read as the amount of the row"
    action = f"If it is the price of one piece, add --quantity-column {quantity}."
    return Finding("kept", "quantity", amount, rows, says, action)


# ---------------------------------------------------------------- compute


def _rides(
    engine: Engine, log: Log, counts: Counts, until: datetime
) -> tuple[ibis.Table, int, list[Finding]]:
    """The rides that count, how many they are, and what was done to get them."""
    findings = []
    used = counts.usable
    known = define.usable(log.read, until, by_ride=log.columns.ride is not None)
    if log.columns.ride is not None:
        known = _keep(engine, "clv_rides_of_one_or_more_rows", known)
        used = _size(engine, known)
        says = f"rows of {used:,} rides; rows with the same value are one ride"
        action = "Their amounts are summed; the first time counts."
        findings.append(Finding("kept", "ride", log.columns.ride, counts.usable, says, action))
    if counts.cancelled and (counts.refunds or counts.negative or log.columns.ride):
        known = define.without_refunds_of_left_out(known, log.read)
        known = _keep(engine, "clv_rides_without_refunds_of_others", known)
        before, used = used, _size(engine, known)
        if before > used:
            says = "refunds of rides that are left out because of their state"
            action = "Left out with them: the amount that they refund was never counted."
            column = log.columns.amount
            findings.append(Finding("left out", "refund", column, before - used, says, action))
    return known, used, findings


def _size(engine: Engine, table: ibis.Table) -> int:
    return int(engine.fetch(table.agg(rows=table.count()))[0]["rows"])


def _registered(
    engine: Engine, log: Log, counts: Counts, known: ibis.Table, now: datetime
) -> tuple[ibis.Table, list[Finding]]:
    """Who registered when: as registrations say, or else with the first ride."""
    if log.registrations is None:
        first = define.first_rides(known)
        return _keep(engine, "clv_who_registered_when", first), []
    who = log.registrations
    theirs = RegistrationCounts.of(engine.fetch(registrations_of(who.read, now))[0])
    if not theirs.rows:
        raise DataError(f"'{who.name}' has no rows. Give a table of registrations.")
    unread: tuple[str, ...] = ()
    if theirs.no_date:
        unread = _values(engine, unreadable_values(who.written, "time", define.Rules(who.notation)))
    placeholders: dict[Span, int] = {}
    if may_have(theirs.first, theirs.last):
        dated = who.read.filter(who.read.registered_at <= define.at(now))
        row = engine.fetch(rows_of(dated.registered_at, dated))[0]
        placeholders = placeholders_of(row, counts.first, counts.last)
    findings = list(theirs.findings(who.columns, unread, placeholders, now))
    _require_readable(who.name, findings, theirs.rows)
    dates = not counts.on_the_clock and theirs.on_the_clock > 0
    if dates:
        says = f"registrations have a time of day, rides in '{log.columns.time}' are dates"
        action = "A registration counts from the beginning of its day (UTC)."
        rows = theirs.on_the_clock
        findings.append(Finding("kept", "dates", who.columns.time, rows, says, action))
    expression = define.registered(who.read, now, tuple(placeholders), on_days=dates)
    return _keep(engine, "clv_who_registered_when", expression), findings


def _unregistered(
    engine: Engine, log: Log, known: ibis.Table, registered: ibis.Table, rows: int, used: int
) -> list[Finding]:
    """Rides without a registration; if all are, the two tables name customers differently."""
    if not rows or log.registrations is None:
        return []
    examples: tuple[str, ...] = ()
    if rows > used / 2:
        strangers = known.anti_join(registered, "customer_id")
        theirs, ours = (_some_ids(engine, table) for table in (registered, strangers))
        examples = (f"{', '.join(ours)} in the log, {', '.join(theirs)} among the registrations",)
    column, who = log.columns.customer, log.registrations
    if rows == used:
        raise DataError(
            f"None of the {used:,} rides of '{log.name}' belongs to a customer of '{who.name}': "
            f"column '{column}' and column '{who.columns.customer}' have no id in common. For "
            f"example {examples[0]}. Name the columns that hold the same ids with "
            "--customer-column, or write the ids alike."
        )
    says = "rides of customers who are not among the registrations"
    return [Finding("left out", "unregistered", column, rows, says, LEFT_OUT, examples)]


def _some_ids(engine: Engine, table: ibis.Table) -> tuple[str, ...]:
    ids = table.select(value=table.customer_id).distinct()
    return _values(engine, ids.order_by("value").limit(3))


def _covered(
    engine: Engine,
    log: Log,
    counts: Counts,
    customers: ibis.Table,
    known: ibis.Table,
    window: Window,
    reading: Reading,
) -> tuple[ibis.Table, list[Finding]]:
    """Leave out customers whose first days the log does not hold."""
    findings = []
    column = log.columns.time if log.registrations is None else log.registrations.columns.time
    if reading.registered_from is not None:
        start = reading.registered_from
        earlier = customers.filter(customers.registered_at < define.at(start))
        verb = "first seen" if log.registrations is None else "registered"
        if rows := _size(engine, earlier):
            says = f"customers {verb} before {start:%Y-%m-%d %H:%M} UTC (--registered-from)"
            action = "These customers are left out."
            findings.append(Finding("left out", "registered-from", column, rows, says, action))
        customers = customers.filter(customers.registered_at >= define.at(start))
    if log.registrations is not None:
        row = engine.fetch(coverage.before_the_log(customers, counts.begins, window))[0]
        covered, rows = coverage.covered_from(row, counts.begins, window)
        if covered is not None and rows:
            says = (
                f"customers registered before the log begins ({counts.begins:%Y-%m-%d %H:%M} UTC)"
            )
            action = "These customers are left out: the log does not hold their first days."
            findings.append(Finding("left out", "before-the-log", column, rows, says, action))
            customers = customers.filter(customers.registered_at >= define.at(covered))
    elif reading.registered_from is None:
        findings += _crowd(engine, counts, customers, known, column)
    return customers, findings


def _crowd(
    engine: Engine, counts: Counts, customers: ibis.Table, known: ibis.Table, column: str
) -> list[Finding]:
    """Whether new customers crowd at the beginning of a log, as old ones do when it begins."""
    seen = coverage.by_part(engine, customers.registered_at, customers, counts.begins, counts.until)
    crowd = coverage.crowd_of(seen, counts.begins, counts.until)
    if crowd is None:
        return []
    rides = coverage.by_part(engine, known.ridden_at, known, counts.begins, counts.until)
    if not coverage.as_busy_later(rides, crowd.parts):
        return []
    return [crowd.finding(column, sum(seen))]


# ---------------------------------------------------------------- write


def _require_customers(
    name: str,
    totals: Totals,
    findings: Sequence[Finding],
    window: Window,
    until: datetime,
    *,
    to_train: bool,
) -> None:
    if totals.due if to_train else totals.observed:
        return
    days = window.horizon_days if to_train else window.observation_days
    causes = " ".join(str(one) for one in findings if one.severity == "left out")
    raise DataError(
        f"'{name}' has no customer whose first {days} days had passed by "
        f"{until:%Y-%m-%d %H:%M} UTC. {causes} Give a longer log, or a later --as-of.".replace(
            "  ", " "
        )
    )
