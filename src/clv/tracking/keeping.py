"""What is kept no longer: old rows, and the rows of one passenger who asks for it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    and_,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from clv.tracking.failures import explain
from clv.tracking.promises import KEYS, UNMATCHED, counted, is_of_passenger, sums_of, week_of
from clv.tracking.tables import (
    AMOUNTS,
    COUNTS,
    outcome_history,
    outcomes,
    promise_sums,
    requests,
)
from clv.tracking.turns import CHUNK_ROWS, Turns

__all__ = ["Erased", "erase", "export", "prune"]

# Of one transaction beside predictions. To add rows up takes as long for a few as for these.
_PRUNED_ROWS = 4 * CHUNK_ROWS
_PERSONAL = {"requests": requests, "outcomes": outcomes, "outcome_history": outcome_history}


@dataclass(frozen=True, slots=True)
class Erased:
    """Rows that are gone: predictions, outcomes, and outcomes that had been corrected."""

    requests: int = 0
    outcomes: int = 0
    corrections: int = 0


def _ignore(_rows: int) -> None:
    """Take no notice of progress."""


def prune(engine: Engine, before: datetime, told: Callable[[int], None] = _ignore) -> Erased:
    """Delete what was asked before a moment, with its outcomes, once it is added up.

    No figure of the monitoring changes by it. It goes on some rows at a time, each with its sums in
    a transaction of its own, so that predictions are stored in between; after an interruption,
    prune again.

    Parameters
    ----------
    engine : Engine
    before : datetime
        Aware. Outcomes without a prediction go if they were received before.
    told : callable, optional
        Called after each transaction with the predictions deleted.

    Raises
    ------
    StoreError
        If the database fails; what was pruned until then stays so.
    """
    turns, gone = Turns(engine, _PRUNED_ROWS), Erased()
    try:
        for step in (_prune_requests, _prune_unmatched):
            is_done = False
            while not is_done:
                with turns.turn() as (connection, rows):
                    some = step(connection, before, rows)
                if some.requests:
                    told(some.requests)
                gone = _sum(gone, some)
                is_done = some == Erased()
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error
    return gone


def export(engine: Engine, passenger_id: int) -> dict[str, list[dict[str, Any]]]:
    """Everything that is kept of a passenger: the rows of each table, oldest first.

    Raises
    ------
    StoreError
        Where the database fails.
    """
    try:
        with engine.connect() as connection:
            return {
                name: [
                    dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to a dict
                    for row in connection.execute(
                        select(table)
                        .where(table.c.passenger_id == passenger_id)
                        .order_by(*table.primary_key)
                    )
                ]
                for name, table in _PERSONAL.items()
            }
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error


def erase(engine: Engine, passenger_id: int) -> Erased:
    """Delete everything that is kept of a passenger; the monitoring then knows nothing of them.

    What was added up by `prune` before is nobody's any more, and stays. SQLite overwrites what it
    deletes. Backups are not touched.

    Raises
    ------
    StoreError
        Where the database fails; nothing is deleted then.
    """
    try:
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                connection.connection.cursor().execute("PRAGMA secure_delete = ON")
                gone = _erase(connection, passenger_id)
                connection.commit()
                _forget_log(connection)
            return gone
        with engine.begin() as connection:
            return _erase(connection, passenger_id)
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error


def _erase(connection: Connection, passenger_id: int) -> Erased:
    rows = (_delete(connection, table, table.c.passenger_id == passenger_id)
            for table in _PERSONAL.values())  # fmt: skip
    return Erased(*rows)


def _forget_log(connection: Connection) -> None:
    """Take old pages out of the log; a reader may hold them for now, and the log is reused."""
    with suppress(SQLAlchemyError):
        connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.connection.cursor().execute("PRAGMA secure_delete = OFF")


def _prune_requests(connection: Connection, before: datetime, rows: int) -> Erased:
    """Prune the oldest requests; nothing if none is old enough."""
    this = requests.c
    oldest = (
        select(this.requested_at, this.id)
        .where(this.requested_at < before)
        .order_by(this.requested_at, this.id)
        .limit(rows)
    )
    found = connection.execute(oldest).all()
    if not found:
        return Erased()
    at, last = found[-1]
    old = and_(this.requested_at <= at, or_(this.requested_at < at, this.id <= last))
    these = select(this.passenger_id).where(old)
    promises = counted(this.passenger_id.in_(these))
    connection.execute(update(requests).where(old, this.id.in_(promises)).values(counts=True))
    now_counted = and_(old, this.counts.is_(True))
    for sums in sums_of(connection.dialect.name, now_counted):
        _add(connection, sums)
    whose = select(this.passenger_id).where(now_counted)
    connection.execute(
        update(requests).where(~old, this.passenger_id.in_(whose)).values(counts=False)
    )
    corrections = _delete(connection, outcome_history, outcome_history.c.passenger_id.in_(whose))
    known = _delete(connection, outcomes, outcomes.c.passenger_id.in_(whose))
    return Erased(_delete(connection, requests, old), known, corrections)


def _prune_unmatched(connection: Connection, before: datetime, rows: int) -> Erased:
    """Prune outcomes of passengers of whom no prediction is kept; nothing if there are none."""
    whose = connection.scalars(
        select(outcomes.c.passenger_id)
        .where(
            outcomes.c.received_at < before,
            ~exists().where(requests.c.passenger_id == outcomes.c.passenger_id, is_of_passenger()),
        )
        .limit(rows)
    ).all()
    old = outcomes.c.passenger_id.in_(whose)
    week = week_of(connection.dialect.name, outcomes.c.received_at)
    counts = {"customers": func.count()}
    columns: dict[str, Any] = {"model_version": literal(UNMATCHED), "beside": literal("")}
    columns |= {"cohort": week, "known": week, "score_bin": literal(0), "band": literal(0)}
    columns |= {name: counts.get(name, literal(0)) for name in COUNTS}
    columns |= {name: literal(0.0) for name in AMOUNTS}
    _add(
        connection,
        select(*(column.label(name) for name, column in columns.items()))
        .where(old)
        .group_by(text("3")),
    )
    corrections = _delete(connection, outcome_history, outcome_history.c.passenger_id.in_(whose))
    return Erased(0, _delete(connection, outcomes, old), corrections)


def _add(connection: Connection, sums: Any) -> None:
    """Add groups to those of earlier days."""
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    names = [*KEYS, *COUNTS, *AMOUNTS]
    adding = kind.insert(promise_sums).from_select(names, sums)
    connection.execute(
        adding.on_conflict_do_update(
            index_elements=list(KEYS),
            set_={
                name: promise_sums.c[name] + adding.excluded[name] for name in (*COUNTS, *AMOUNTS)
            },
        )
    )


def _delete(connection: Connection, table: Table, where: Any) -> int:
    return int(connection.execute(delete(table).where(where)).rowcount)


def _sum(one: Erased, other: Erased) -> Erased:
    return Erased(
        one.requests + other.requests,
        one.outcomes + other.outcomes,
        one.corrections + other.corrections,
    )
