"""What monitoring reads at one moment: sums of promises, and how those of late are distributed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Table,
    and_,
    func,
    or_,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from clv.schema import CONTRADICTIONS, Floats, Instants, Ints, Window
from clv.tracking.failures import explain
from clv.tracking.promises import BY_OUTCOME, UNMATCHED, counted, is_judged, number_of, sums_of
from clv.tracking.tables import outcome_history, outcomes, promise_sums, requests

__all__ = [
    "QUANTITIES",
    "Judged",
    "OutcomeCounts",
    "Spread",
    "Tracked",
    "read_judged",
    "read_tracked",
]

_this = requests.c
#: What can be counted, by the names that a manifest's reference has.
QUANTITIES: Mapping[str, Any] = {
    "recency": _this.recency,
    "frequency": _this.frequency,
    "monetary": _this.monetary,
    "predicted": _this.predicted,
    "p_return": _this.p_return,
}


@dataclass(frozen=True, slots=True)
class Spread:
    """Promises of one version in a period.

    Attributes
    ----------
    customers : int
    counts : mapping of str to tuple of int
        For each quantity the customers in each bin: bin i holds (edges[i-1], edges[i]].
    out_of_support : int
        Customers like too few that the model learnt from: new values.
    impossible : int
        Customers whose values cannot be, by `clv.schema`: written by something else than a service.
    """

    customers: int
    counts: Mapping[str, tuple[int, ...]]
    out_of_support: int
    impossible: int


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """Outcomes by what became of them, and how many amounts were ever replaced.

    `judged` are held against a promise; `early` came before their horizon; `unmatched` have no
    promise.
    """

    judged: int
    early: int
    unmatched: int
    corrections: int


@dataclass(frozen=True, slots=True)
class Tracked:
    """What was read. `sums` has columns as `KEYS`, `COUNTS`, `AMOUNTS`; a group may stand twice."""

    sums: Sequence[Row[Any]]
    outcomes: OutcomeCounts
    spread: Spread


def read_tracked(
    engine: Engine, version: str | None, since: datetime, edges: Mapping[str, Sequence[float]]
) -> Tracked:
    """Read what became of all promises, pruned or kept, and how those of late are distributed.

    Parameters
    ----------
    engine : Engine
    version : str or None
        Whose promises of late are counted; None for nobody's.
    since : datetime
        From when on they are of late; aware.
    edges : mapping of str to sequence of float
        Bins of quantities in `QUANTITIES`.

    Raises
    ------
    StoreError
        Where the database fails.
    """
    try:
        # One moment for all: on SQLite a transaction is that anyway.
        isolated = (
            {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
        )
        with engine.connect().execution_options(**isolated) as connection, connection.begin():
            pruned = list(connection.execute(select(promise_sums)))
            kept: list[Row[Any]] = []
            for statement in _statements(connection):
                kept += connection.execute(statement)
            return Tracked(
                [*pruned, *kept],
                _counts(connection, kept, pruned),
                _spread(connection, version, since, edges) if version else Spread(0, {}, 0, 0),
            )
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error


@dataclass(frozen=True, slots=True)
class Judged:
    """Promises whose rows are kept and whose outcome is known, oldest first.

    Attributes
    ----------
    ids : array of shape (n,), int64
    activity : array of shape (n, 3)
        As it was asked, columns in the order of `clv.schema.FEATURES`.
    outcome : array of shape (n,), currency units
    rides : array of shape (n,)
        NaN where unknown.
    registered_at, asked_at, known_at : array of shape (n,), datetime64
        UTC. Where the outcome does not say when they registered: so long before they were asked
        about as is observed.
    """

    ids: Ints
    activity: Floats
    outcome: Floats
    rides: Floats
    registered_at: Instants
    asked_at: Instants
    known_at: Instants

    def __len__(self) -> int:
        return len(self.ids)


def read_judged(engine: Engine) -> Judged:
    """Read what can be learnt from.

    Raises
    ------
    StoreError
        Where the database fails.
    """
    this, came = requests.c, outcomes.c
    query = (
        select(
            this.passenger_id,
            this.recency,
            this.frequency,
            this.monetary,
            came.monetary,
            came.rides,
            came.registered_at,
            this.requested_at,
            came.known_at,
        )
        .join(outcomes, came.passenger_id == this.passenger_id)
        .where(is_judged(), this.id.in_(counted()))
        .order_by(this.id)
    )
    try:
        with engine.connect() as connection:
            rows = connection.execute(query).all()
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error
    columns = list(zip(*rows, strict=True)) or [()] * len(query.selected_columns)
    ids, recency, frequency, monetary, outcome, rides, registered, asked, known = columns
    asked_at = _instants(asked)
    registered_at = _instants(registered)
    observed = np.timedelta64(Window().observation_days, "D")
    return Judged(
        np.array(ids, dtype=np.int64),
        np.array([recency, frequency, monetary], dtype=np.float64).T.reshape(-1, 3),
        np.array(outcome, dtype=np.float64),
        np.array([np.nan if one is None else one for one in rides], dtype=np.float64),
        np.where(np.isnat(registered_at), asked_at - observed, registered_at),
        asked_at,
        _instants(known),
    )


def _instants(moments: Sequence[datetime | None]) -> Instants:
    plain = [None if one is None else one.replace(tzinfo=None) for one in moments]
    return np.array(plain, dtype="datetime64[us]")


def _statements(connection: Connection) -> list[Select[Any]]:
    """Without that of challengers where none ever predicted: it takes as long as the others."""
    answered, in_shadow, by_outcome = sums_of(connection.dialect.name)
    any_shadow = select(requests.c.id).where(requests.c.challenger_version.is_not(None)).limit(1)
    if connection.execute(any_shadow).first() is None:
        return [answered, by_outcome]
    return [answered, in_shadow, by_outcome]


def _counts(
    connection: Connection, kept: Sequence[Row[Any]], pruned: Sequence[Row[Any]]
) -> OutcomeCounts:
    def count(table: Table) -> int:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()

    (judged, early), (once_judged, once_early) = _matched(kept), _matched(pruned)
    once_unmatched = sum(row.customers for row in pruned if row.model_version == UNMATCHED)
    return OutcomeCounts(
        judged=judged + once_judged,
        early=early + once_early,
        unmatched=count(outcomes) - judged - early + once_unmatched,
        corrections=count(outcome_history),
    )


def _matched(rows: Sequence[Row[Any]]) -> tuple[int, int]:
    answers = [
        row
        for row in rows
        if not row.beside and row.score_bin != BY_OUTCOME and row.model_version != UNMATCHED
    ]
    return sum(row.customers for row in answers if row.known), sum(row.early for row in answers)


def _spread(
    connection: Connection, version: str, since: datetime, edges: Mapping[str, Sequence[float]]
) -> Spread:
    """Count the promises of a version that were asked since a moment, each passenger once."""
    lately = and_(_this.model_version == version, _this.requested_at >= since)
    whose = select(_this.passenger_id).where(lately)
    up_to = [(name, edge) for name, inner in edges.items() for edge in inner]
    query = select(
        func.count(),
        number_of(_this.in_support.is_(False)),
        number_of(_impossible()),
        *(number_of(QUANTITIES[name] <= edge) for name, edge in up_to),
    ).where(lately, _this.id.in_(counted(_this.passenger_id.in_(whose))))
    customers, out_of_support, impossible, *below = connection.execute(query).one()
    counts = {}
    for name, inner in edges.items():
        of_this = [int(number or 0) for (other, _), number in zip(up_to, below, strict=True)
                   if other == name]  # fmt: skip
        bounds = [0, *of_this, customers]
        counts[name] = tuple(bounds[at + 1] - bounds[at] for at in range(len(inner) + 1))
    return Spread(customers, counts, int(out_of_support or 0), int(impossible or 0))


def _impossible() -> ColumnElement[bool]:
    values = _this.recency, _this.frequency, _this.monetary
    columns = zip(values, Window().features, strict=True)
    beyond = [or_(value < column.low, value > column.high) for value, column in columns]
    return or_(*beyond, *(contradiction.holds(*values) for contradiction in CONTRADICTIONS))
