"""From Arrow batches to `Activity`: find the columns, read the numbers, point at what is wrong.

The same rules hold for training and for scoring; what follows from a broken rule (leave the row
out, or stop) is decided by the caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv.data.dates import (
    REGISTERED_NAMES,
    YEAR_FIRST,
    choose,
    shapes_of,
)
from clv.data.dates import Notation as DateNotation
from clv.data.findings import Finding, shown_value
from clv.data.numbers import Notation, NumberCounts, count_numbers, decide, to_floats
from clv.data.sources import Source, listed, nearest, require_once
from clv.errors import DataError
from clv.metrics import to_micros
from clv.schema import (
    CONTRADICTIONS,
    FREQUENCY,
    ID_NAMES,
    MONETARY,
    NOBODY,
    RECENCY,
    Activity,
    Column,
    Floats,
    Instants,
    Mask,
    Window,
)

__all__ = [
    "NO_ID",
    "REGISTERED_NAMES",
    "ColumnNames",
    "Conformed",
    "Problem",
    "btyd_problem",
    "choose_notation",
    "conform",
    "find_column",
    "find_columns",
    "is_text",
    "notations_of",
    "problem_of",
    "read_ids",
    "read_instants",
    "read_numbers",
    "require_distinct",
    "require_ids",
    "returned_of",
    "settled",
]

#: What is wrong with a row without an id.
NO_ID = "missing id"
_INSTANT = pa.timestamp("us")
_DATES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer)
_NO_ID = (
    pa.types.is_nested,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_interval,
    pa.types.is_duration,
)


@dataclass(frozen=True)  # without slots: it is sent to executors
class ColumnNames:
    """How the columns that are needed are called in one source, and how their numbers are written.

    `notations` has the columns of text that are not in the notation of programs; see `settled`.
    """

    id: str
    features: tuple[str, ...]
    outcome: str | None
    rides_due: str | None = None
    registered_at: str | None = None
    notations: Mapping[str, Notation] = field(default_factory=dict)

    @property
    def numbers(self) -> list[str]:
        """The columns that hold numbers."""
        return [*self.features, *(name for name in (self.outcome, self.rides_due) if name)]

    def all(self) -> list[str]:
        """Every name once, to select by."""
        optional = (self.outcome, self.rides_due, self.registered_at)
        return [self.id, *self.features, *(name for name in optional if name)]


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows that break one rule.

    Attributes
    ----------
    code : str
        Names the rule; stable, for machines.
    column : str
        The column at fault, or several joined by a comma.
    says : str
        What is wrong and what was expected.
    rows : array of shape (n,), bool
        Which rows of the batch.
    values : array of shape (n,), object
        What stands there, for examples.
    """

    code: str
    column: str
    says: str
    rows: Mask
    values: NDArray[np.object_]

    def shown(self, row: int) -> str:
        """The value of a row, for a message; of several columns it names each already."""
        value = self.values[row]
        return str(value) if "," in self.column else shown_value(value)


@dataclass(frozen=True, slots=True)
class Conformed:
    """One batch as numbers; rows with problems hold NaN where nothing could be read.

    `returned` and `registered_at` are known where the outcome is; the latter as it is written, as
    only the whole column tells its notation.
    """

    ids: pa.Array
    activity: Activity
    outcome: Floats | None
    problems: tuple[Problem, ...]
    returned: Mask | None = None
    registered_at: pa.Array | None = None

    @property
    def usable(self) -> Mask:
        """Rows without any problem."""
        bad = np.zeros(len(self.activity), dtype=bool)
        for problem in self.problems:
            bad |= problem.rows
        return ~bad


def find_columns(
    name: str,
    available: Sequence[str],
    window: Window,
    *,
    need_outcome: bool,
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> ColumnNames:
    """Match what a source has with what is needed.

    Parameters
    ----------
    name : str
        Of the source.
    available : sequence of str
        The columns there.
    window : Window
    need_outcome : bool
    renamed : mapping of str to str
        What columns are called there, by any of the names that they have here.

    Raises
    ------
    DataError
        Where a column is missing; names it, its meaning and the nearest one there is. Where
        something is renamed that is not needed.
    """
    _refuse_btyd(name, available, window, renamed)
    needed = [ID_NAMES, *(column.names for column in window.features)]
    if unknown := sorted(set(renamed) - {known for names in needed for known in names}):
        raise DataError(
            f"Unknown name '{unknown[0]}' in the column mapping. Expected one of "
            f"{', '.join(names[0] for names in needed)}."
        )

    def find(names: tuple[str, ...], meaning: str) -> str:
        names = next(((renamed[known],) for known in names if known in renamed), names)
        return find_column(name, available, names, meaning)

    def optional(names: tuple[str, ...]) -> str | None:
        return next((name for name in names if need_outcome and name in available), None)

    found = ColumnNames(
        id=find(ID_NAMES, "identifies the customer"),
        features=tuple(find(column.names, column.meaning) for column in window.features),
        outcome=find(window.outcome.names, window.outcome.meaning) if need_outcome else None,
        rides_due=optional(window.rides_due.names),
        registered_at=optional(REGISTERED_NAMES),
    )
    meanings = ["id", *(column.name for column in window.features), window.outcome.name]
    columns = [found.id, *found.features, *([found.outcome] if found.outcome else [])]
    require_distinct(name, dict(zip(meanings, columns, strict=False)))
    return found


def require_distinct(name: str, columns: Mapping[str, str]) -> None:
    """Refuse one column for two meanings.

    Parameters
    ----------
    name : str
        Of the source.
    columns : mapping of str to str
        The column of each meaning.

    Raises
    ------
    DataError
        Names the column and both meanings.
    """
    meanings: dict[str, str] = {}
    for meaning, column in columns.items():
        if column in meanings:
            raise DataError(
                f"Column '{column}' of '{name}' is given for both {meanings[column]} and "
                f"{meaning}. Give each its own column."
            )
        meanings[column] = meaning


def _refuse_btyd(
    name: str, available: Sequence[str], window: Window, renamed: Mapping[str, str]
) -> None:
    if not renamed and (problem := btyd_problem(f"'{name}'", available, window)):
        raise DataError(problem)


def btyd_problem(name: str, available: Sequence[str], window: Window) -> str:
    """Why a table of lifetimes, btyd or pymc-marketing cannot be used; empty for any other table.

    Its recency is another one.
    """
    ours = any(column in available for one in window.features for column in one.names)
    lowered = {column.lower() for column in available}
    if (
        ours
        or not {"recency", "frequency"} <= lowered
        or not {"t", "monetary_value", "monetary"} & lowered
    ):
        return ""
    days = window.observation_days
    return (
        f"{name} is a table of another tool (columns {listed(available)}): there 'recency' is "
        "the customer's age at the last purchase (the last minus the first), 'frequency' counts "
        f"repeat purchases, and both are up to today. Here recency_{days} is the day of the last "
        f"ride within the first {days} days, and frequency_{days} counts all rides in them, so "
        "the columns cannot be renamed. Make the table from the ride log: clv features."
    )


def settled(source: Source, names: ColumnNames) -> tuple[ColumnNames, list[Finding]]:
    """Decide how the numbers of a source are written, column by column.

    Only columns that may hold text are read for it: of a table with numbers there are none.

    Returns
    -------
    names : ColumnNames
        With the notations.
    findings : list of Finding
        What was done to read the source, that of each notation included.

    Raises
    ------
    DataError
        If a column could be read in two ways, is written in two, or has the name of another.
    """
    require_once(source.name, source.repeated, names.all())
    notations, findings = notations_of(source, names.numbers)
    return replace(names, notations=notations), findings


def notations_of(
    source: Source, columns: Sequence[str]
) -> tuple[dict[str, Notation], list[Finding]]:
    """As `settled`, of any columns."""
    findings = list(source.findings)
    texts = source.texts(columns) if columns else []
    if not texts:
        return {}, findings
    counts = dict.fromkeys(texts, NumberCounts())
    for batch in source.batches(texts):
        for name in texts:
            if is_text(batch.column(name)):
                counts[name] += count_numbers(batch.column(name))
    notations = {}
    for name in texts:
        notation, found = decide(name, counts[name], source.numbers)
        findings += found
        if notation is not None:
            notations[name] = notation
    return notations, findings


def is_text(array: pa.Array) -> bool:
    """Whether a column holds text."""
    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


def find_column(name: str, available: Sequence[str], names: Sequence[str], meaning: str) -> str:
    """The first of `names` that a source has.

    Raises
    ------
    DataError
        Where it has none.
    """
    for candidate in names:
        if candidate in available:
            return candidate
    raise DataError(
        f"Column '{names[0]}' ({meaning}) is missing from '{name}'; columns there: "
        f"{listed(available)}.{nearest(names[0], available)} Rename the column or make a view "
        "that does."
    )


def require_ids(ids: pa.Array, name: str) -> None:
    """Refuse ids of a kind that no output could hold.

    Raises
    ------
    DataError
        Names the column and its kind.
    """
    if any(is_kind(ids.type) for is_kind in _NO_ID):
        raise DataError(
            f"Column '{name}' holds {ids.type}; expected whole numbers or text. "
            "Make a view that writes the ids as text."
        )


def conform(batch: pa.RecordBatch, names: ColumnNames, window: Window) -> Conformed:
    """Read one batch by the contract in `clv.schema`; every broken rule becomes a `Problem`.

    Raises
    ------
    DataError
        Where the ids are of a kind that no output could hold.
    """
    require_ids(batch.column(names.id), names.id)
    ids, nobody = read_ids(batch.column(names.id))
    problems = []
    if nobody.any():
        problems.append(problem_of("null", names.id, NO_ID, nobody, batch.column(names.id)))
    columns = list(zip(names.features, window.features, strict=True))
    if names.outcome:
        columns.append((names.outcome, window.outcome))
    numbers = []
    for name, column in columns:
        values, found = read_numbers(batch.column(name), name, column, names.notations.get(name))
        numbers.append(values)
        problems += found
    activity = Activity(*numbers[:3])
    problems += _contradictions(activity, names.features)
    outcome = numbers[3] if names.outcome else None
    return Conformed(
        ids=ids,
        activity=activity,
        outcome=outcome,
        problems=tuple(problems),
        returned=None if outcome is None else _returned(batch, names, activity, outcome),
        registered_at=batch.column(names.registered_at) if names.registered_at else None,
    )


def _returned(
    batch: pa.RecordBatch, names: ColumnNames, activity: Activity, outcome: Floats
) -> Mask:
    """Who rode again: by the count of rides where there is one, else by money."""
    rides = np.full(len(activity), np.nan)
    if names.rides_due is not None:
        column = names.rides_due
        rides, _ = _to_float(batch.column(column), names.notations.get(column))
    return returned_of(activity, outcome, rides)


def returned_of(activity: Activity, outcome: Floats, rides: Floats) -> Mask:
    """Who rode again: by the rides by the horizon where they are known (not NaN), else by money."""
    with np.errstate(invalid="ignore"):  # infinities are a problem already
        by_money = to_micros(outcome - activity.monetary) > 0
        return np.where(np.isfinite(rides), rides > activity.frequency, by_money)


def read_instants(array: pa.Array, notation: DateNotation = YEAR_FIRST) -> Instants:
    """Dates and times as UTC without a zone; NaT where nothing can be read.

    Text and whole numbers are read by a notation, which `choose_notation` finds.
    """
    if pa.types.is_temporal(array.type) or (notation is YEAR_FIRST and is_text(array)):
        for kind in (_INSTANT, pa.timestamp("us", tz="UTC")):
            try:
                return np.asarray(pc.cast(pc.cast(array, kind), _INSTANT, safe=False))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                continue
    if not _may_hold_dates(array):
        return np.full(len(array), np.datetime64("NaT", "us"))
    moments = (None if text is None else notation.read(str(text)) for text in array.to_pylist())
    return np.array(
        [None if moment is None else moment.replace(tzinfo=None) for moment in moments],
        dtype="datetime64[us]",
    )


def choose_notation(column: str, arrays: Sequence[pa.Array]) -> DateNotation:
    """The one notation of a whole column of dates.

    Raises
    ------
    DataError
        If it can be read in two ways, or holds two notations.
    """
    texts: list[str] = []
    for array in filter(_may_hold_dates, arrays):
        present = array.drop_null()
        # Of a batch that is all in the ordinary notation one value is enough.
        telling = present[:1] if _is_year_first(present) else present
        texts += map(str, telling.to_pylist())
    return choose(column, shapes_of(texts), None)


def _is_year_first(array: pa.Array) -> bool:
    if not is_text(array):
        return False
    fits = pc.match_substring_regex(pc.utf8_trim_whitespace(array), YEAR_FIRST.pattern)
    return pc.all(fits).as_py() is not False


def _may_hold_dates(array: pa.Array) -> bool:
    kind = array.type
    return any(is_kind(kind) for is_kind in _DATES)


def read_ids(array: pa.Array) -> tuple[pa.Array, Mask]:
    """Ids, whole floats as whole numbers, and which of them are ids of nobody."""
    nobody = np.asarray(pc.is_null(array, nan_is_null=True), dtype=bool)
    if pa.types.is_floating(array.type):
        values = np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
        known = values[~nobody]
        if (np.abs(known) < 2.0**53).all() and (known == np.floor(known)).all():
            whole = np.where(nobody, 0, values).astype(np.int64)
            array = pa.array(whole, mask=nobody)
    elif is_text(array):
        words = pc.utf8_lower(pc.utf8_trim_whitespace(array))
        nobody |= np.asarray(pc.is_in(words, pa.array(sorted(NOBODY), words.type)), dtype=bool)
    return array, nobody


def read_numbers(
    array: pa.Array, name: str, column: Column, notation: Notation | None = None
) -> tuple[Floats, list[Problem]]:
    """One column as float64 with what is wrong in it, rows without a value included."""
    values, unreadable = _to_float(array, notation)
    if array.null_count == 0 and _all_valid(values, column):
        return values, []
    empty = np.asarray(pc.is_null(array), dtype=bool)
    finite = np.isfinite(values)
    present = ~empty & ~unreadable
    rules = [
        ("null", "empty", empty),
        ("not-a-number", "not a number", unreadable),
        ("non-finite", "not finite", present & ~finite),
        ("negative", "negative", finite & (values < column.low)),
        ("too-large", "too large", finite & (values > column.high)),
    ]
    if column.whole:
        fraction = np.zeros(len(values), dtype=bool)
        np.not_equal(values, np.floor(values), out=fraction, where=finite)
        rules.append(("fraction", "not whole", fraction))
    return values, [
        problem_of(
            code, name, f"{says}; expected {column.expected} ({column.meaning})", rows, array
        )
        for code, says, rows in rules
        if rows.any()
    ]


def _all_valid(values: Floats, column: Column) -> bool:
    """Whether every rule is kept; in a long table nearly all batches are of this kind."""
    if len(values) == 0:
        return True
    # Of values that are no numbers both are NaN, which no comparison holds for.
    if not (values.min() >= column.low and values.max() <= column.high):
        return False
    return not column.whole or bool((values == np.floor(values)).all())


def _to_float(array: pa.Array, notation: Notation | None) -> tuple[Floats, Mask]:
    """Values as float64 (NaN where there are none), and which of them are no numbers."""
    if notation is not None and is_text(array):
        return to_floats(array, notation)
    unreadable = np.zeros(len(array), dtype=bool)
    if pa.types.is_boolean(array.type) or pa.types.is_temporal(array.type):
        return np.full(len(array), np.nan), np.asarray(pc.is_valid(array), dtype=bool)
    if pa.types.is_decimal(array.type):
        # Arrow turns 7.27 into 7.2700000000000005, where its text gives the nearest float.
        array = pc.cast(array, pa.string())
    try:
        # safe=False: integers beyond 2**53 lose digits here, and are far out of range anyway.
        cast = pc.cast(array, pa.float64(), safe=False)
        return np.array(cast.to_numpy(zero_copy_only=False), dtype=np.float64), unreadable
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = np.full(len(array), np.nan)
        for row, value in enumerate(array.to_pylist()):
            if value is None:
                continue
            try:
                # float() alone would read '1_0' as 10.
                values[row] = float("" if "_" in str(value) else value)
            except (TypeError, ValueError, OverflowError):
                unreadable[row] = True
        return values, unreadable


def _contradictions(activity: Activity, names: Sequence[str]) -> list[Problem]:
    shown = np.empty(len(activity), dtype=object)
    problems = []
    for contradiction in CONTRADICTIONS:
        rows = contradiction.holds(activity.recency, activity.frequency, activity.monetary)
        if not rows.any():
            continue
        for row in np.flatnonzero(rows)[:10]:
            shown[row] = (
                f"{names[RECENCY]}={activity.recency[row]:g}, "
                f"{names[FREQUENCY]}={activity.frequency[row]:g}, "
                f"{names[MONETARY]}={activity.monetary[row]:g}"
            )
        problems.append(
            Problem(contradiction.code, ", ".join(names), contradiction.says, rows, shown)
        )
    return problems


def problem_of(code: str, column: str, says: str, rows: Mask, array: pa.Array) -> Problem:
    """Rows that break a rule, with the values of the first of them."""
    values = np.empty(len(rows), dtype=object)
    for row in np.flatnonzero(rows)[:10]:  # examples, not a list of all
        values[row] = _value(array[int(row)])
    return Problem(code, column, says, rows, values)


def _value(scalar: pa.Scalar) -> object:
    """As Python has it, or as text: DuckDB's dates go far beyond the year 9999, to infinity."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return str(scalar.cast(pa.string()))
