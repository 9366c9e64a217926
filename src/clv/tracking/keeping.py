"""What is kept no longer: old rows, and the rows of one passenger who asks for it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from clv.tracking.database import alone
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

__all__ = ["Erased", "erase", "export", "prune"]

_DAY = timedelta(days=1)
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

    No figure of the monitoring changes by it. Goes by days, each in a transaction of its own: those
    who predict meanwhile wait for no more than one, and whoever is killed goes on later.

    Parameters
    ----------
    engine : Engine
    before : datetime
        Aware. Outcomes without a prediction go where they were received before.
    told : callable, optional
        Called after each day with the predictions deleted.

    Raises
    ------
    StoreError
        Where the database fails; days that were done stay done.
    """
    gone = Erased()
    try:
        while (end := _next_end(engine, before)) is not None:
            with alone(engine) as connection:
                some = _prune_asked_before(connection, end)
            told(some.requests)
            gone = _sum(gone, some)
        with alone(engine) as connection:
            return _sum(gone, _prune_unmatched(connection, before))
    except SQLAlchemyError as error:
        raise explain(error, engine.url) from error


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


def _next_end(engine: Engine, before: datetime) -> datetime | None:
    """The end of the oldest day of which something is to go, or None."""
    with engine.connect() as connection:
        oldest: datetime | None = connection.scalar(select(func.min(requests.c.requested_at)))
    if oldest is None or oldest >= before:
        return None
    midnight = oldest.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    return min(midnight, before)


def _prune_asked_before(connection: Connection, end: datetime) -> Erased:
    old = requests.c.requested_at < end
    these = select(requests.c.passenger_id).where(old)
    promises = counted(requests.c.passenger_id.in_(these))
    connection.execute(update(requests).where(old, requests.c.id.in_(promises)).values(counts=True))
    now_counted = and_(old, requests.c.counts.is_(True))
    for sums in sums_of(connection.dialect.name, now_counted):
        _add(connection, sums)
    whose = select(requests.c.passenger_id).where(now_counted)
    connection.execute(
        update(requests)
        .where(requests.c.requested_at >= end, requests.c.passenger_id.in_(whose))
        .values(counts=False)
    )
    corrections = _delete(connection, outcome_history, outcome_history.c.passenger_id.in_(whose))
    known = _delete(connection, outcomes, outcomes.c.passenger_id.in_(whose))
    return Erased(_delete(connection, requests, old), known, corrections)


def _prune_unmatched(connection: Connection, before: datetime) -> Erased:
    """Outcomes of passengers of whom no prediction is kept."""
    old = and_(
        outcomes.c.received_at < before,
        ~exists().where(requests.c.passenger_id == outcomes.c.passenger_id, is_of_passenger()),
    )
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
    whose = select(outcomes.c.passenger_id).where(old)
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
