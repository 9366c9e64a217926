"""Outcomes from any SOURCE: what passengers spent by the horizon, a batch at a time."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clv.data.conform import (
    NO_ID,
    REGISTERED_NAMES,
    Problem,
    find_column,
    is_text,
    notations_of,
    problem_of,
    read_ids,
    read_instants,
    read_numbers,
    require_distinct,
    require_ids,
)
from clv.data.contradictions import contradictory, instant
from clv.data.findings import EXAMPLES, Tally
from clv.data.numbers import Notation
from clv.data.placeholders import within_placeholders
from clv.data.sources import Source, require_once
from clv.errors import DataError
from clv.schema import CLOCK_TOLERANCE, ID_NAMES, Floats, Instants, Ints, Mask, Window

__all__ = ["OutcomeBatch", "read_outcomes", "require_one_each"]

_AS_OF = ("as_of",)
_WHOLE = "expected a whole number of 64 bits, as the service knows passengers"
_DIGITS = r"^[+-]?[0-9]+$"
_MOMENT = "expected a date or a time in ISO 8601, as in 2026-11-01 or 2026-11-01T12:00:00Z"


@dataclass(frozen=True, slots=True)
class OutcomeBatch:
    """Usable rows of a batch, in their order, and how many rows it had.

    Attributes
    ----------
    rows_read : int
    rows : array of shape (n,), int64
        Their numbers in the source, from 1.
    ids : array of shape (n,), int64
    monetary : array of shape (n,), currency units
    rides : array of shape (n,)
        NaN where unknown.
    registered_at, as_of : array of shape (n,), datetime64
        NaT where unknown.
    """

    rows_read: int
    rows: Ints
    ids: Ints
    monetary: Floats
    rides: Floats
    registered_at: Instants
    as_of: Instants


def read_outcomes(
    source: Source, window: Window, now: datetime, tally: Tally
) -> Iterator[OutcomeBatch]:
    """Read a source; rows that cannot be used are counted in `tally`.

    Parameters
    ----------
    source : Source
        With an id, the spend by the horizon, and perhaps rides by then, `registered_at`, `as_of`.
    window : Window
    now : datetime
        Aware; nothing was drawn up later.
    tally : Tally

    Raises
    ------
    DataError
        Where a column is missing.
    """
    has = source.columns
    identity = find_column(source.name, has, ID_NAMES, "identifies the customer")
    spend = find_column(source.name, has, window.outcome.names, window.outcome.meaning)
    optional = {
        kind: next((name for name in names if name in has), None)
        for kind, names in (
            ("rides", window.rides_due.names),
            ("registered_at", REGISTERED_NAMES),
            ("as_of", _AS_OF),
        )
    }
    named = {
        "the id": identity,
        window.outcome.name: spend,
        window.rides_due.name: optional["rides"],
    }
    require_distinct(source.name, {kind: name for kind, name in named.items() if name})
    used = [identity, spend, *filter(None, optional.values())]
    require_once(source.name, source.repeated, used)
    notations, found_first = notations_of(source, [spend, *filter(None, [optional["rides"]])])
    tally.known += found_first
    first_row = 0
    for batch in source.batches(used):
        require_ids(batch.column(identity), identity)
        ids, problems = _ids(batch.column(identity), identity)
        monetary, found = read_numbers(
            batch.column(spend), spend, window.outcome, notations.get(spend)
        )
        problems += found
        rides = _rides(batch, optional["rides"], window, notations, problems)
        moments = {
            kind: _moments(batch, optional[kind], now, problems)
            for kind in ("registered_at", "as_of")
        }
        problems += _backwards(moments["registered_at"], moments["as_of"], optional, now)
        usable = np.ones(batch.num_rows, dtype=bool)
        for problem in problems:
            tally.add(problem, first_row)
            usable &= ~problem.rows
        yield OutcomeBatch(
            batch.num_rows,
            first_row + 1 + np.flatnonzero(usable),
            ids[usable],
            monetary[usable],
            rides[usable],
            moments["registered_at"][usable],
            moments["as_of"][usable],
        )
        first_row += batch.num_rows


def require_one_each(name: str, batches: Sequence[OutcomeBatch], now: datetime) -> None:
    """Refuse a source with different outcomes of one customer, drawn up at the same time.

    Parameters
    ----------
    name : str
        Of the source.
    batches : sequence of OutcomeBatch
        All of it.
    now : datetime
        Aware; when an amount was drawn up that does not say.

    Raises
    ------
    DataError
        If there are any; nobody can tell which one is right.
    """
    if not batches:
        return
    rows, ids, monetary = (
        np.concatenate([getattr(one, field) for one in batches])
        for field in ("rows", "ids", "monetary")
    )
    groups = contradictory(
        ids,
        monetary,
        np.concatenate([one.rides for one in batches]),
        np.concatenate([one.registered_at for one in batches]),
        np.concatenate([one.as_of for one in batches]),
        now,
    )
    if not groups:
        return
    shown = "; ".join(
        f"id {ids[group[0]]} ("
        + ", ".join(f"row {rows[one]:,}: {monetary[one]:.15g}" for one in group[:EXAMPLES])
        + (", ..." if len(group) > EXAMPLES else "")
        + ")"
        for group in groups[:EXAMPLES]
    )
    passengers = "1 passenger" if len(groups) == 1 else f"{len(groups):,} passengers"
    raise DataError(
        f"'{name}' holds different outcomes of {passengers}, drawn up at the same time: {shown}"
        f"{'; ...' if len(groups) > EXAMPLES else ''}. Nothing was stored. Keep one row per id, or "
        "add as_of (when each amount was drawn up): the latest one counts."
    )


def _ids(array: pa.Array, name: str) -> tuple[Ints, list[Problem]]:
    written, (array, empty) = array, read_ids(array)
    ids = np.zeros(len(array), dtype=np.int64)
    wrong = np.zeros(len(array), dtype=bool)
    try:
        # Of text Arrow would read 0x10 as 16, too.
        digits = not is_text(array) or pc.all(pc.match_substring_regex(array, _DIGITS)).as_py()
        numbers = pc.cast(array, pa.int64()) if digits is not False else None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        numbers = None
    if numbers is not None:
        ids[:] = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
    else:
        for row, value in enumerate(array.to_pylist()):
            whole = isinstance(value, float) and value.is_integer()
            text = str(int(value) if whole else value).strip()
            try:
                if value is not None:
                    ids[row] = int(text if re.fullmatch(_DIGITS, text) else "")
            except (ValueError, OverflowError):
                wrong[row] = True
    rules = (
        ("null", NO_ID, empty),
        ("not-an-id", f"not a passenger id; {_WHOLE}", wrong & ~empty),
    )
    return ids, [problem_of(code, name, says, rows, written) for code, says, rows in rules
                 if rows.any()]  # fmt: skip


def _rides(
    batch: pa.RecordBatch,
    name: str | None,
    window: Window,
    notations: Mapping[str, Notation],
    problems: list[Problem],
) -> Floats:
    if name is None:
        return np.full(batch.num_rows, np.nan)
    rides, found = read_numbers(batch.column(name), name, window.rides_due, notations.get(name))
    problems += [one for one in found if one.code != "null"]
    return rides


def _moments(
    batch: pa.RecordBatch, name: str | None, now: datetime, problems: list[Problem]
) -> Instants:
    if name is None:
        return np.full(batch.num_rows, np.datetime64("NaT", "us"))
    array = batch.column(name)
    moments = read_instants(array)
    unreadable = np.isnat(moments) & np.asarray(pc.is_valid(array), dtype=bool)
    late = moments > instant(now + CLOCK_TOLERANCE)
    early = moments < np.datetime64("1970-01-01", "us")
    for code, says, rows in (
        ("before-1970", "before 1970; expected a moment of a ride-hailing company", early),
        (
            "placeholder",
            f"a placeholder for an unknown time; {_MOMENT}",
            within_placeholders(moments) & ~early & ~late,
        ),
        ("not-a-moment", f"no moment that can be read; {_MOMENT}", unreadable),
        (
            "in-the-future",
            "more than a minute in the future; expected a time in the past",
            late,
        ),
    ):
        if rows.any():
            problems.append(problem_of(code, name, says, rows, array))
    return np.where(late, moments, np.minimum(moments, instant(now)))


def _backwards(
    registered_at: Instants, as_of: Instants, names: dict[str, str | None], now: datetime
) -> list[Problem]:
    drawn_up = np.where(np.isnat(as_of), instant(now), as_of)
    rows: Mask = registered_at > drawn_up
    rows = rows & (registered_at <= instant(now))  # the future is told of already
    if not rows.any():
        return []
    says = "registered after the amount was drawn up; expected the other way round"
    return [
        problem_of("backwards", str(names["registered_at"]), says, rows, pa.array(registered_at))
    ]
