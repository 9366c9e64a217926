"""Predictions beside what came of them, added up where they are: in the database.

**Which prediction counts.** Of each passenger one does, a *promise*; those that were tried out on
the page never do. Where the outcome says when
they registered, it is the first that was asked once the observation window was over and before the
horizon; otherwise the first that is kept. It is *judged* where the outcome was known after the
horizon; an outcome from before is *early*, and counts as none.

Everything that is said of promises is computed from sums, and sums add. So those of rows that were
pruned stand in a table beside those of the rows that are kept, and pruning changes no figure.

The sums stand by

- `model_version`: the version that promised. Where `beside` names another, it did so in shadow,
  beside the answer of that one;
- `cohort`: Monday of the week of the prediction, in UTC, as '2026-11-23';
- `known`: Monday of the week in which the outcome was known; '' where it is not yet;
- `score_bin` (0 in shadow) and `band`, a finer cut of the expected increment, the same for every
  version: what order and deciles are computed from. Judged customers stand once more under the
  score bin `BY_OUTCOME`, cut by the increment that came: what a perfect order would be.

Amounts are in currency units; with `known` '' those of outcomes are 0:

- `customers`; `early`, those whose outcome came too early; `in_support`; `covered`, whose outcome
  lay in its interval; `returned`;
- `spent` in the observation window, `predicted`, `increment` expected, `p_return`, `level`;
  `p_variance` and `level_variance` are p (1 - p) of the two;
- `actual` spend and `actual_increment`; `squared_error` and `absolute_error` of the prediction;
  `squared_p_error` of the probability;
- `difference`: squared error in shadow less that of the answer, and `squared_difference`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from clv.tracking.tables import AMOUNTS, COUNTS, outcomes, requests

__all__ = [
    "BY_OUTCOME",
    "KEYS",
    "UNMATCHED",
    "counted",
    "is_judged",
    "is_of_passenger",
    "number_of",
    "sums_of",
    "week_of",
]

#: What the sums stand by.
KEYS = ("model_version", "beside", "cohort", "known", "score_bin", "band")
#: The score bin of sums by what came, which hold `customers` and `actual_increment` alone.
BY_OUTCOME = -1
#: The version under which outcomes without a promise are counted once they are pruned.
UNMATCHED = ""

# By number: PostgreSQL takes two copies of one expression with parameters for different ones.
_BY_KEYS = [text(str(number)) for number in range(1, len(KEYS) + 1)]
_CENT = 1e-6  # sums of cents in binary
_DECADES = 9


def counted(*where: ColumnElement[bool]) -> Select[Any]:
    """Select the `id` of the prediction that counts of each passenger for whom `where` holds."""
    in_window = or_(
        outcomes.c.counts_from.is_(None),
        and_(
            requests.c.requested_at >= outcomes.c.counts_from,
            requests.c.requested_at < outcomes.c.counts_until,
        ),
    )
    return (
        select(func.min(requests.c.id).label("id"))
        .select_from(_with_outcomes())
        .where(requests.c.counts.is_not(False), is_of_passenger(), in_window, *where)
        # Rows of before 0002 promised neither probability nor interval.
        .where(requests.c.p_return.is_not(None), _is_moment(requests.c.requested_at))
        .group_by(requests.c.passenger_id)
    )


class _is_moment(FunctionElement[bool]):  # noqa: N801 - named like a function of SQL
    """Whether a column holds a moment: on SQLite it is text, in which anything may stand."""

    type = Boolean()
    inherit_cache = True


@compiles(_is_moment)
def _always(_element: object, _compiler: object, **_: Any) -> str:
    return "true"


@compiles(_is_moment, "sqlite")
def _if_readable(element: FunctionElement[bool], compiler: Any, **options: Any) -> str:
    return f"date({compiler.process(element.clauses, **options)}) IS NOT NULL"


def is_of_passenger() -> ColumnElement[bool]:
    """Whether a prediction was requested for a passenger, not tried out on the page."""
    return requests.c.source.is_distinct_from("page")


def is_judged() -> ColumnElement[bool]:
    """Whether the outcome of a promise holds the whole horizon; NULL where there is none."""
    return requests.c.requested_at <= outcomes.c.asked_by


def sums_of(dialect: str, *where: ColumnElement[bool]) -> list[Select[Any]]:
    """The statements that add up promises: as they were answered, in shadow, and by what came.

    Parameters
    ----------
    dialect : str
        Name of SQLAlchemy's dialect: dates are cut into weeks in different ways.
    where : column elements
        Which rows of `requests` are promises; by default those that `counted` selects.
    """
    # A join, because ids are unique: PostgreSQL would make those of an IN unique once more.
    among = None if where else counted().subquery()
    shadowed = (*where, requests.c.challenger_version.is_not(None))
    return [
        _summed(dialect, _ANSWERED, among, where),
        _summed(dialect, _IN_SHADOW, among, shadowed),
        _by_outcome(dialect, among, where),
    ]


def week_of(dialect: str, moment: ColumnElement[Any]) -> ColumnElement[str]:
    """Monday of the week of a moment, in UTC, as text."""
    if dialect == "sqlite":
        # Moments are text there, in UTC: '2026-01-02 03:04:05.678901'.
        day = func.substr(type_coerce(moment, Text), 1, 10)
        return func.date(day, "weekday 0", "-6 days")
    return func.to_char(func.date_trunc("week", func.timezone("UTC", moment)), "YYYY-MM-DD")


@dataclass(frozen=True, slots=True)
class _Said:
    """What a version said, as columns."""

    version: ColumnElement[Any]
    beside: ColumnElement[Any]
    predicted: ColumnElement[Any]
    p_return: ColumnElement[Any]
    low: ColumnElement[Any]
    high: ColumnElement[Any]
    score_bin: ColumnElement[Any]


_this = requests.c
_ANSWERED = _Said(
    _this.model_version,
    literal("", Text),
    _this.predicted,
    _this.p_return,
    _this.low,
    _this.high,
    _this.score_bin,
)
_IN_SHADOW = _Said(
    _this.challenger_version,
    _this.model_version,
    _this.challenger_predicted,
    _this.challenger_p_return,
    _this.challenger_low,
    _this.challenger_high,
    literal(0, Integer),
)


def _with_outcomes(among: Subquery | None = None) -> Any:
    rows: Any = requests
    if among is not None:
        rows = requests.join(among, among.c.id == requests.c.id)
    return rows.outerjoin(outcomes, outcomes.c.passenger_id == requests.c.passenger_id)


def _summed(
    dialect: str, said: _Said, among: Subquery | None, where: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    this, came = requests.c, outcomes.c
    judged = is_judged()
    increment = said.predicted - this.monetary
    error = came.monetary - said.predicted
    answered_error = came.monetary - this.predicted
    returned = case((came.rides.is_not(None), came.rides > this.frequency),
                    else_=came.monetary - this.monetary > _CENT)  # fmt: skip
    covered = and_(said.low <= came.monetary + _CENT, came.monetary <= said.high + _CENT)
    happened = case((returned, 1.0), else_=0.0)
    difference = error * error - answered_error * answered_error
    counts = {
        "customers": func.count(),
        "early": number_of(and_(came.passenger_id.is_not(None), ~judged)),
        "in_support": number_of(this.in_support.is_(True)),
        "covered": number_of(and_(judged, covered)),
        "returned": number_of(and_(judged, returned)),
    }
    promised = {
        "spent": this.monetary,
        "predicted": said.predicted,
        "increment": increment,
        "p_return": said.p_return,
        "p_variance": said.p_return * (1 - said.p_return),
        "level": this.level,
        "level_variance": this.level * (1 - this.level),
    }
    came_of_it = {
        "actual": came.monetary,
        "actual_increment": _increment_that_came(),
        "squared_error": error * error,
        "absolute_error": func.abs(error),
        "squared_p_error": (said.p_return - happened) * (said.p_return - happened),
        "difference": difference,
        "squared_difference": difference * difference,
    }
    keys = {
        "model_version": said.version,
        "beside": said.beside,
        "cohort": week_of(dialect, this.requested_at),
        "known": case((judged, week_of(dialect, came.known_at)), else_=""),
        "score_bin": said.score_bin,
        "band": _band(increment),
    }
    columns: dict[str, ColumnElement[Any]] = {
        **keys,
        **{name: cast(counts[name], BigInteger) for name in COUNTS},
        **{name: cast(func.sum(value), Double) for name, value in promised.items()},
        **{
            name: cast(func.sum(case((judged, value), else_=0.0)), Double)
            for name, value in came_of_it.items()
        },
    }
    return (
        select(*(columns[name].label(name) for name in (*KEYS, *COUNTS, *AMOUNTS)))
        .select_from(_with_outcomes(among))
        .where(*where)
        .group_by(*_BY_KEYS)
    )


def _by_outcome(
    dialect: str, among: Subquery | None, where: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    came = _increment_that_came()
    columns: dict[str, ColumnElement[Any]] = dict.fromkeys(COUNTS, literal(0, BigInteger))
    columns |= dict.fromkeys(AMOUNTS, literal(0.0, Double))
    columns |= {
        "model_version": requests.c.model_version,
        "beside": literal("", Text),
        "cohort": week_of(dialect, requests.c.requested_at),
        "known": week_of(dialect, outcomes.c.known_at),
        "score_bin": literal(BY_OUTCOME, Integer),
        "band": _band(came),
        "customers": func.count(),
        "actual_increment": func.sum(came),
    }
    return (
        select(*(columns[name].label(name) for name in (*KEYS, *COUNTS, *AMOUNTS)))
        .select_from(_with_outcomes(among))
        .where(*where, is_judged())
        .group_by(*_BY_KEYS)
    )


def _increment_that_came() -> ColumnElement[float]:
    more = outcomes.c.monetary - requests.c.monetary
    return case((more > 0, more), else_=0.0)


def number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """In how many rows it holds; NULL where there are none."""
    return func.sum(case((condition, 1), else_=0))


def _band(increment: ColumnElement[float]) -> ColumnElement[int]:
    """Cut an increment into ten bands up to one unit, and 36 of one width each decade beyond.

    Whole numbers only, so that databases agree. A band is at most a quarter of its lowest amount
    wide.
    """
    cents = cast(func.round(increment * 100), BigInteger)
    steps: list[tuple[ColumnElement[bool], ColumnElement[int]]] = [(cents < 100, cents // 10)]
    for decade in range(_DECADES):
        least = 100 * 10**decade
        steps.append((cents < 10 * least, 10 + 36 * decade + (cents - least) // (least // 4)))
    return cast(case(*steps, else_=10 + 36 * _DECADES), Integer)
