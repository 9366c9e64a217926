"""From a ride log to an activity table, on any engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis

from clv.data.findings import Finding, by_severity, shown_value
from clv.data.numbers import Notation
from clv.errors import DataError, UsageError
from clv.features import definition as define
from clv.features.amounts import notation_of_amounts
from clv.features.definition import READ, READ_REGISTRATIONS
from clv.features.engine import Engine, Opened
from clv.features.log import Reading, RegistrationColumns, RideColumns
from clv.features.summary import (
    Counts,
    Totals,
    copies,
    counts_of,
    joined_of,
    totals_of,
    unreadable_values,
)
from clv.schema import Window

__all__ = ["Features", "build"]


@dataclass(frozen=True, slots=True)
class Features:
    """What became of a ride log.

    Attributes
    ----------
    source : str
        The log.
    rides_read, rides_used : int
        Rows of the log, and those that could be read and took place.
    customers : int
        Rows of the activity table.
    with_outcome : int
        Of them, those whose horizon has passed.
    too_young : int
        Customers who are left out, because their observation window has not passed.
    as_of : datetime
        What is known, was known then.
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
        What is known, is known at this instant; by default at the last ride of the log.
    reading : Reading
    to_train : bool
        Whether only customers are wanted whose outcome is known.

    Raises
    ------
    DataError
        Where a column is missing, or the log cannot be used; the message says why.
    OutputError
        Where the output cannot be written; what was there before stays.
    UsageError
        Where `as_of` is yet to come.
    """
    if as_of is not None and as_of > now:
        raise UsageError(
            f"as_of {as_of:%Y-%m-%d %H:%M} is yet to come; expected an instant that has passed."
        )
    columns, registrations = reading.columns, reading.registrations
    log = engine.open(rides, reading.table, ids=_ids(columns), numbers=reading.numbers)
    found = RideColumns.find(log.name, list(log.types), columns)
    customer = _kind_of_ids(log, found.customer)
    if registrations is not None:
        enrolled = engine.open(registrations, reading.table, ids=_ids(columns))
        theirs = RegistrationColumns.find(enrolled.name, list(enrolled.types), columns)
        if _kind_of_ids(enrolled, theirs.customer) != customer:
            customer = "string"  # 7 here is '7' there
        read_them = define.read_registrations(_canonical(enrolled, theirs.all(), customer))
        engine.view(READ_REGISTRATIONS, read_them)
    canonical = _canonical(log, found.all(), customer)
    notation, read_as = notation_of_amounts(engine, canonical, found.amount, reading.numbers)
    engine.view(READ, define.read_rides(canonical, reading.words, notation))
    read = define.rides_read(customer)

    counts = Counts.of(engine.fetch(counts_of(read, now, as_of or now))[0])
    findings = [*log.findings, *read_as]
    findings += counts.findings(found, _examples(engine, canonical, counts, notation), now)
    _stop_where_unusable(log.name, counts, findings)
    until = as_of or counts.until

    known = define.usable(read, until)
    registered = _keep(
        engine,
        "clv_who_registered_when",
        define.first_rides(known)
        if registrations is None
        else define.registered(define.registrations_read(customer)),
    )
    done = _keep(
        engine, "clv_rides_until_horizon", define.within_horizon(known, registered, window)
    )
    customers = _keep(
        engine,
        "clv_customers",
        define.activity(registered, done.filter(done.customer_id.notnull()), window, until),
    )
    same, times = copies(known, counts.rows)
    joined, about = engine.fetch(joined_of(done))[0], engine.fetch(totals_of(customers))[0]
    totals = Totals.of({**joined, **about, "copies": times * engine.fetch(same)[0]["copies"]})
    findings += totals.findings(counts, found, exact=times == 1)
    days = window.horizon_days if to_train else window.observation_days
    if not (totals.due if to_train else totals.observed):
        raise DataError(
            f"'{log.name}' has no customer whose first {days} days had passed by "
            f"{until:%Y-%m-%d %H:%M} UTC. Give a longer log, or a later --as-of."
        )
    wanted = customers.filter(customers.due if to_train else customers.observed)
    written = wanted.drop(*define.EXTRAS)
    engine.write(written.order_by("id"), output)
    return Features(
        source=log.name,
        rides_read=counts.rows,
        rides_used=counts.usable,
        customers=totals.due if to_train else totals.observed,
        with_outcome=totals.due,
        too_young=totals.customers - totals.observed,
        as_of=until,
        findings=by_severity(findings),
    )


def _keep(engine: Engine, name: str, expression: ibis.Table) -> ibis.Table:
    engine.keep(name, expression)
    return ibis.table(expression.schema(), name=name)


def _ids(columns: Mapping[str, str | None]) -> Sequence[str]:
    """What a column of ids may be called, for text files: it is read as it is written."""
    named = columns.get("customer")
    return [named] if named else RideColumns.CUSTOMER


def _kind_of_ids(opened: Opened, column: str) -> str:
    kind = opened.types[column]
    if kind not in ("int64", "string"):
        raise DataError(
            f"Column '{column}' of '{opened.name}' identifies customers but holds "
            f"{kind or 'values of another kind'}; expected whole numbers or text. "
            "Make a view that writes the ids as text."
        )
    return kind


def _canonical(opened: Opened, named: Mapping[str, str], customer: str) -> ibis.Table:
    """The columns that are needed, called by their role."""
    table = opened.table()
    for role, name in named.items():
        kind = opened.types[name] or "values of another kind"
        fits = {
            "time": kind == "string" or kind.startswith(("timestamp", "date")),
            "amount": kind in ("string", "int64", "float64") or kind.startswith("decimal"),
        }
        if not fits.get(role, True):
            expected = "dates or times, or text" if role == "time" else "numbers, or text"
            raise DataError(
                f"Column '{name}' of '{opened.name}' holds {kind}; expected {expected}. "
                f"Make a view that writes it so, or name another column with --{role}-column."
            )
    chosen = table.select(**{role: table[name] for role, name in named.items()})
    return chosen.mutate(customer=chosen.customer.cast(customer))


def _examples(
    engine: Engine, log: ibis.Table, counts: Counts, notation: Notation | None
) -> dict[str, tuple[str, ...]]:
    """Values that could not be read, by the code of their finding."""
    shown: dict[str, tuple[str, ...]] = {}
    for code, role, rows in (
        ("no-time", "time", counts.no_time),
        ("no-amount", "amount", counts.no_amount),
    ):
        if rows:
            values: list[dict[str, Any]] = engine.fetch(unreadable_values(log, role, notation))
            shown[code] = tuple(shown_value(row["value"]) for row in values)
    return shown


def _stop_where_unusable(name: str, counts: Counts, findings: Sequence[Finding]) -> None:
    if not counts.rows:
        raise DataError(f"'{name}' holds no rows. Give a log with rides in it.")
    if counts.usable:
        return
    causes = " ".join(str(finding) for finding in findings)
    raise DataError(f"None of the {counts.rows:,} rows of '{name}' can be used. {causes}".rstrip())
