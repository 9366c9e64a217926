"""What the values of a ride log mean: the whole column decides, and the findings say so."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import ibis
from ibis import Table

from clv.data.dates import YEAR_FIRST, Notation, choose, notation_of
from clv.data.findings import Finding
from clv.data.sources import require_once
from clv.errors import DataError, UsageError
from clv.features.amounts import notation_of_numbers
from clv.features.definition import (
    READ,
    READ_REGISTRATIONS,
    Rules,
    identifier,
    in_lower_case,
    read_registrations,
    read_rides,
    registrations_read,
    rides_read,
)
from clv.features.engine import Engine, Opened
from clv.features.log import Reading, RegistrationColumns, RideColumns
from clv.features.times import as_text, shapes, shapes_of
from clv.features.words import Group, gives_back, kinds_of, states_of

__all__ = ["LEFT_OUT", "Log", "Registrations", "read_log"]

LEFT_OUT = "These rows are not used."
# A column with more words than this is not one of states, kinds or currencies.
_MOST_WORDS = 500


@dataclass(frozen=True, slots=True)
class Registrations:
    """A table of registrations, ready to be computed with.

    Attributes
    ----------
    name : str
    columns : RegistrationColumns
    written : Table
        Its columns by role, as they are written, and `id_as_written`.
    notation : Notation
    read : Table
        `customer_id` and `registered_at`.
    """

    name: str
    columns: RegistrationColumns
    written: Table
    notation: Notation
    read: Table


@dataclass(frozen=True, slots=True)
class Log:
    """A ride log, ready to be computed with.

    Attributes
    ----------
    name : str
    columns : RideColumns
    written : Table
        Its columns by role, as they are written but for the ids, and `id_as_written`.
    rules : Rules
    read : Table
        As `clv.features.definition.rides_read`.
    findings : tuple of Finding
        What the columns of words say.
    unused_quantity : str or None
        A column with quantities, if the amount may be the price of one piece.
    registrations : Registrations or None
    """

    name: str
    columns: RideColumns
    written: Table
    rules: Rules
    read: Table
    findings: tuple[Finding, ...]
    unused_quantity: str | None
    registrations: Registrations | None


def read_log(engine: Engine, location: str, reading: Reading) -> Log:
    """Open a log and its registrations, and decide what their values mean.

    Raises
    ------
    DataError
        If a column is missing, or its values can be read in several ways; the message names the
        option that decides.
    """
    opened = engine.open(
        location, reading.table, text=reading.as_written(), numbers=reading.numbers
    )
    columns = RideColumns.find(opened.name, list(opened.types), reading.columns)
    ids = _kind_of_ids(engine, opened, columns.customer)
    enrolled = None
    if reading.registrations is not None:
        enrolled = engine.open(reading.registrations, reading.table, text=reading.as_written())
        theirs = RegistrationColumns.find(enrolled.name, list(enrolled.types), reading.columns)
        if _kind_of_ids(engine, enrolled, theirs.customer) != ids:
            ids = "string"  # 7 here is '7' there
    written = _by_role(opened, columns.all(), ids)
    notation = _notation(
        engine, written, _column(columns.time, opened), reading.date_format, "--date-format"
    )
    amounts, read_as = notation_of_numbers(engine, written.amount, columns.amount, reading.numbers)
    quantities = None
    if columns.quantity is not None:
        quantities, also = notation_of_numbers(
            engine, written.quantity, columns.quantity, reading.numbers
        )
        read_as += also
    rules, said = _rules(engine, written, columns, reading, notation)
    rules = replace(rules, amounts=amounts, quantities=quantities)
    findings = [*opened.findings, *read_as, *said]
    engine.view(READ, read_rides(written, rules))
    registrations = None
    if enrolled is not None:
        registrations = _registrations(engine, enrolled, theirs, ids, reading)
    return Log(
        opened.name,
        columns,
        written,
        rules,
        rides_read(ids),
        tuple(findings),
        columns.unused_quantity(list(opened.types)),
        registrations,
    )


def _registrations(
    engine: Engine, opened: Opened, columns: RegistrationColumns, ids: str, reading: Reading
) -> Registrations:
    written = _by_role(opened, columns.all(), ids)
    notation = _notation(
        engine, written, _column(columns.time, opened), reading.registered_format,
        "--registered-format",
    )  # fmt: skip
    engine.view(READ_REGISTRATIONS, read_registrations(written, notation))
    return Registrations(opened.name, columns, written, notation, registrations_read(ids))


def _column(name: str, opened: Opened) -> str:
    return f"Column '{name}' of '{opened.name}'"


def _kind_of_ids(engine: Engine, opened: Opened, column: str) -> str:
    """The type of ids: whole numbers if all of them are, else text."""
    kind = opened.types[column]
    if kind == "int64" or (kind == "string" and not opened.is_text):
        return kind
    table = opened.table()
    values = table[column]
    if kind == "string":
        ids = identifier(values)
        plain = ids.try_cast("int64").cast("string") == ids
        odd = ids.notnull() & ~plain.fill_null(False)
        return "string" if _rows(engine, table, odd) else "int64"
    if kind == "float64" or (kind or "").startswith("decimal"):
        odd = ~((values % 1 == 0) & (values.abs() < 2**53)) & values.notnull()
        if kind == "float64":
            odd &= ~values.isnan()
        if not _rows(engine, table, odd):
            return "int64"
    raise DataError(
        f"{_column(column, opened)} identifies customers but holds "
        f"{kind or 'values of another type'}; expected whole numbers or text. "
        "Make a view that converts the ids to text."
    )


def _rows(engine: Engine, table: Table, which: ibis.Value) -> int:
    counted = table.select(which=which.cast("int64"))
    return int(engine.fetch(counted.agg(rows=counted.which.sum().coalesce(0)))[0]["rows"])


def _by_role(opened: Opened, named: Mapping[str, str], ids: str) -> Table:
    """The columns that are needed, called by their role."""
    require_once(opened.name, opened.repeated, named.values())
    table = opened.table()
    for role, name in named.items():
        kind = opened.types[name] or "values of another type"
        number = kind in ("string", "int64", "float64") or kind.startswith("decimal")
        fits = {
            "time": number or kind.startswith(("timestamp", "date")),
            "amount": number,
            "quantity": number,
        }
        if not fits.get(role, True):
            expected = "dates or times, or text" if role == "time" else "numbers, or text"
            raise DataError(
                f"Column '{name}' of '{opened.name}' holds {kind}; expected {expected}. "
                f"Convert it in a view, or name another column with --{role}-column."
            )
    chosen = table.select(**{role: table[name] for role, name in named.items()})
    customer = identifier(chosen.customer)
    is_text = customer.type().is_string()
    return chosen.mutate(
        customer=customer.try_cast(ids) if is_text else customer.cast(ids),
        id_as_written=chosen.customer.cast("string"),
    )


def _notation(
    engine: Engine, written: Table, column: str, named: str | None, option: str
) -> Notation:
    text = as_text(written.time)
    if named is not None:
        chosen = notation_of(option, named)
        if text is None:
            raise UsageError(
                f"{option} {named!r} is for text and numbers. {column} holds dates or times: "
                "leave the option out."
            )
        return chosen
    if text is None:
        return YEAR_FIRST
    return choose(column, shapes_of(engine.fetch(shapes(text, written))), option)


# ---------------------------------------------------------------- words


def _rules(
    engine: Engine, written: Table, columns: RideColumns, reading: Reading, notation: Notation
) -> tuple[Rules, list[Finding]]:
    findings: list[Finding] = []
    states: list[Group] = []
    kinds: list[Group] = []
    if columns.status is not None:
        states = _decided(states_of(_words(engine, written, "status"), reading.words))
        findings += _of_states(columns.status, states)
    if columns.kind is not None:
        kinds = kinds_of(_words(engine, written, "kind"), reading.words)
        findings += _of_kinds(columns.kind, kinds)
    currency, rates, said = _currency(engine, written, columns.currency, reading)
    left_out = _values(states, "left out")
    own = {word.strip().lower() for word in reading.words.cancelled}
    return Rules(
        notation=notation,
        left_out=left_out,
        given_back=[state for state in left_out if gives_back(state) and state not in own],
        refunds=_values(kinds, "refund"),
        currency=currency,
        rates=rates,
    ), [*findings, *said]


def _words(engine: Engine, written: Table, role: str) -> list[tuple[str, int]]:
    words = written.select(word=in_lower_case(written, role))
    counted = words.group_by("word").agg(rows=words.count())
    ordered = counted.order_by(ibis.desc("rows"), "word").limit(_MOST_WORDS)
    return [(row["word"], int(row["rows"])) for row in engine.fetch(ordered)]


def _values(groups: Sequence[Group], treatment: str) -> list[str]:
    return [value for one in groups if one.treatment == treatment for value, _ in one.values]


def _decided(states: list[Group]) -> list[Group]:
    """States that are not known are left out beside known ones of completed rides."""
    if not any(_values(states, "counts")):
        return states
    return [
        Group("left out", one.values, known=False) if one.treatment == "unknown" else one
        for one in states
    ]


def _of_states(column: str, states: Sequence[Group]) -> Iterator[Finding]:
    if len(states) == 1 and states[0].treatment == "counts":
        return
    for one in states:
        word = next((value for value, _ in one.values if value), "WORD")
        if one.treatment == "counts":
            says = f"rides that took place: {one.listed()}"
            yield Finding("kept", "completed", column, one.rows, says, "They count.")
        elif one.treatment == "unknown":
            says = f"states of unknown meaning: {one.listed()}"
            action = (
                "They count as rides. Leave out those that did not take place, as with "
                f"--cancelled '{word}'."
            )
            yield Finding("kept", "unknown-state", column, one.rows, says, action)
        elif one.known:
            says = f"rides that did not take place or were refunded: {one.listed()}"
            yield Finding("left out", "cancelled", column, one.rows, says, LEFT_OUT)
        else:
            says = f"states of unknown meaning beside completed rides: {one.listed()}"
            action = f"{LEFT_OUT} Count those that took place, as with --completed '{word}'."
            yield Finding("left out", "unknown-state", column, one.rows, says, action)


def _of_kinds(column: str, kinds: Sequence[Group]) -> Iterator[Finding]:
    refunds = next((one for one in kinds if one.treatment == "refund"), None)
    others = next((one for one in kinds if one.treatment == "counts"), None)
    if refunds is not None:
        says = f"refunds: {refunds.listed()}"
        beside = f" Rides are: {others.listed()}." if others else ""
        action = f"They reduce the money spent and are not counted as rides.{beside}"
        yield Finding("kept", "refund", column, refunds.rows, says, action)
    elif others is not None and len(others.values) > 1:
        says = f"rows of several kinds: {others.listed()}"
        action = "All of them count as rides. Name the kinds that are refunds with --refund."
        yield Finding("kept", "kinds", column, others.rows, says, action)


def _currency(
    engine: Engine, written: Table, column: str | None, reading: Reading
) -> tuple[str | None, Mapping[str, float], list[Finding]]:
    """The currency that is chosen, rates of the others, and what is said of it."""
    chosen = reading.currency.strip().lower() if reading.currency else None
    rates = {name.strip().lower(): rate for name, rate in reading.rates.items()}
    if chosen is None and not rates and column is None:
        return None, {}, []
    if column is None:
        raise UsageError(
            "--currency and --rate need a currency column, and none was found. Name it with "
            "--currency-column."
        )
    counted = _words(engine, written, "currency")
    present = {name: rows for name, rows in counted if name}
    listed = ", ".join(f"{name.upper()} {rows:,}" for name, rows in present.items())
    if rates:
        return _converted(column, present, counted, listed, chosen, rates)
    if chosen is not None:
        if chosen not in present:
            raise DataError(
                f"--currency {reading.currency}: column '{column}' holds no such currency; "
                f"rows by currency: {listed}."
            )
        rows = sum(rows for name, rows in counted if name != chosen)
        says = f"not in {chosen.upper()}; rows by currency: {listed}"
        findings = [Finding("left out", "currency", column, rows, says, LEFT_OUT)] if rows else []
        return chosen, {}, findings
    if len(present) > 1:
        base, other = list(present)[:2]
        raise DataError(
            f"Column '{column}' holds {len(present)} currencies, whose amounts cannot be added; "
            f"rows by currency: {listed}. Choose one with --currency {base.upper()}, or give the "
            f"value of one unit of each of the others, as in --rate {other.upper()}=0.5."
        )
    empty = sum(rows for name, rows in counted if not name)
    if not empty or not present:
        return None, {}, []
    (only,) = present
    says = f"no currency; all other rows are in {only.upper()}"
    action = f"They are counted as {only.upper()}."
    return None, {}, [Finding("kept", "no-currency", column, empty, says, action)]


def _converted(
    column: str,
    present: Mapping[str, int],
    counted: Sequence[tuple[str, int]],
    listed: str,
    chosen: str | None,
    rates: Mapping[str, float],
) -> tuple[str | None, Mapping[str, float], list[Finding]]:
    bases = [name for name in present if name not in rates]
    if len(bases) > 1 or (chosen is not None and bases not in ([], [chosen])):
        missing = next(name for name in reversed(bases) if name != chosen)
        raise DataError(
            f"Column '{column}' holds {len(bases)} currencies without a rate "
            f"({', '.join(name.upper() for name in bases)}); rows by currency: {listed}. Give a "
            f"rate for each except the currency of the result, as in --rate {missing.upper()}=0.5."
        )
    used = {name: rate for name, rate in rates.items() if name in present}
    rows = sum(present[name] for name in used)
    said = ", ".join(f"{name.upper()} {present[name]:,} at {rate:g}" for name, rate in used.items())
    base = bases[0].upper() if bases else (chosen or "the currency of the rates").upper()
    findings = []
    if used:
        says, action = f"other currencies: {said}", f"Converted to {base}."
        findings.append(Finding("kept", "converted", column, rows, says, action))
    if empty := sum(rows for name, rows in counted if not name):
        says, action = "no currency", f"They are counted as {base}."
        findings.append(Finding("kept", "no-currency", column, empty, says, action))
    return None, used, findings
