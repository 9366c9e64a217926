"""Outcomes: what passengers spent in the end. Kept with their corrections, joined to promises.

`clv.tracking.promises` says which prediction an outcome is held against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from clv.schema import Window
from clv.tracking.failures import explain
from clv.tracking.promises import counted, is_judged
from clv.tracking.tables import outcome_history, outcomes, requests
from clv.tracking.turns import Turns

__all__ = ["Outcome", "OutcomeStore", "Recorded"]

_WINDOW = Window()
_OBSERVED = timedelta(days=_WINDOW.observation_days)
_HORIZON = timedelta(days=_WINDOW.horizon_days)


class Outcome(NamedTuple):
    """What a passenger spent from registration to the horizon.

    Attributes
    ----------
    passenger_id : int
    monetary : float
        Currency units; contains the observation window.
    rides : int or None
        Likewise; tells who returned where the amount alone cannot.
    registered_at : datetime or None
        Aware. With it the horizon is known to the second; without, it is taken to lie as long after
        the prediction as the horizon lies after the observation window.
    as_of : datetime or None
        When the amount was drawn up, aware; by default as it is received.
    """

    passenger_id: int
    monetary: float
    rides: int | None = None
    registered_at: datetime | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of outcomes that were sent.

    Attributes
    ----------
    accepted : int
        Of passengers of whom none was known.
    corrected : int
        Another one than was known; that one is kept in the history.
    unchanged : int
        The one that is known, again.
    outdated : int
        Drawn up before the one that is known; kept in the history.
    unmatched : int
        Passengers without a prediction that counts. Kept, and matched once there is one.
    early : int
        Passengers whose outcome was drawn up before their horizon. Kept; it counts once it is sent
        again after the horizon.
    """

    accepted: int = 0
    corrected: int = 0
    unchanged: int = 0
    outdated: int = 0
    unmatched: int = 0
    early: int = 0

    def __add__(self, other: "Recorded") -> "Recorded":
        names = [field.name for field in fields(self)]
        return Recorded(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(slots=True)
class _Kept:
    """A row of `outcomes`."""

    passenger_id: int
    monetary: float
    rides: int | None
    registered_at: datetime | None
    as_of: datetime
    received_at: datetime
    known_at: datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        return cls(*(getattr(row, field.name) for field in fields(cls)))

    def values(self) -> dict[str, Any]:
        """All columns."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | self.follows()

    def follows(self) -> dict[str, datetime | None]:
        """The columns that follow from others."""
        if self.registered_at is None:
            asked_by = self.known_at - (_HORIZON - _OBSERVED)
            return {"counts_from": None, "counts_until": None, "asked_by": asked_by}
        horizon = self.registered_at + _HORIZON
        return {
            "counts_from": self.registered_at + _OBSERVED,
            "counts_until": horizon,
            # All predictions that count were asked by then, or none was.
            "asked_by": horizon if self.known_at >= horizon else self.registered_at,
        }

    def history(self, now: datetime) -> dict[str, Any]:
        """The row that is kept of it when another takes its place."""
        names = ("passenger_id", "monetary", "rides", "registered_at", "as_of", "received_at")
        return {name: getattr(self, name) for name in names} | {"replaced_at": now}


class OutcomeStore:
    """Outcomes in the tracking database. Methods block, and raise `StoreError` where it fails.

    Parameters
    ----------
    engine : Engine
        Of `open_database`, upgraded; to be disposed by the caller.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turns = Turns(engine)

    def record(self, sent: Sequence[Outcome], now: datetime) -> Recorded:
        """Keep outcomes; once it returns they are committed.

        They are stored some at a time, so that predictions are stored in between; if the database
        fails, those before are kept. Send all again then: the same outcomes again change nothing.
        Of one passenger the one that was drawn up last is in force; of those drawn up at once, the
        one that came last.

        Parameters
        ----------
        sent : sequence of Outcome
            Checked: in the ranges of `clv.schema`, and nothing drawn up after `now`.
        now : datetime
            Aware.
        """
        counts, matches, done = Recorded(), _Matches(), 0
        try:
            while done < len(sent):
                with self._turns.turn() as (connection, rows):
                    some, found = _record(connection, sent[done : done + rows], now)
                counts, matches, done = counts + some, matches.then(found), done + rows
        except SQLAlchemyError as error:
            raise explain(error, self._engine.url) from error
        return replace(counts, unmatched=len(matches.unmatched), early=len(matches.early))

    def count(self) -> int:
        """Outcomes in force."""
        try:
            with self._engine.connect() as connection:
                return connection.execute(select(func.count()).select_from(outcomes)).scalar_one()
        except SQLAlchemyError as error:
            raise explain(error, self._engine.url) from error


@dataclass(frozen=True, slots=True)
class _Matches:
    """Passengers, and which of them have no prediction that counts or an outcome too early."""

    passengers: frozenset[int] = frozenset()
    unmatched: frozenset[int] = frozenset()
    early: frozenset[int] = frozenset()

    def then(self, later: "_Matches") -> "_Matches":
        """Both; what was found later holds."""
        return _Matches(
            self.passengers | later.passengers,
            (self.unmatched - later.passengers) | later.unmatched,
            (self.early - later.passengers) | later.early,
        )


def _record(
    connection: Connection, sent: Sequence[Outcome], now: datetime
) -> tuple[Recorded, _Matches]:
    ids = list(dict.fromkeys(one.passenger_id for one in sent))
    kept = _kept(connection, ids)
    accepted = corrected = unchanged = outdated = 0
    changed: set[int] = set()
    history = []
    for one in sent:
        before, new = kept.get(one.passenger_id), _merged(kept.get(one.passenger_id), one, now)
        if before is None:
            accepted += 1
        elif new.as_of < before.as_of:
            outdated += 1
            if _says(new) != _says(before):
                history.append(new.history(now))
            continue
        elif _says(new) == _says(before):
            unchanged += 1
            if new.as_of == before.as_of:
                continue
        else:
            corrected += 1
            history.append(before.history(now))
        kept[one.passenger_id] = new
        changed.add(one.passenger_id)
    _write(connection, [kept[one] for one in ids if one in changed], history)
    return Recorded(accepted, corrected, unchanged, outdated), _held_against(connection, ids, kept)


def _merged(before: _Kept | None, one: Outcome, now: datetime) -> _Kept:
    """What is known once this came; what it does not say stays."""
    as_of = one.as_of or now
    new = _Kept(one.passenger_id, one.monetary, one.rides, one.registered_at, as_of, now, as_of)
    if before is None:
        return new
    same_amount = one.rides is None and one.monetary == before.monetary
    return replace(
        new,
        rides=before.rides if same_amount else one.rides,
        registered_at=one.registered_at or before.registered_at,
        known_at=before.known_at,
    )


def _says(one: _Kept) -> tuple[Any, ...]:
    return one.monetary, one.rides, one.registered_at


def _kept(connection: Connection, ids: Sequence[int]) -> dict[int, _Kept]:
    names = [outcomes.c[field.name] for field in fields(_Kept)]
    query = select(*names).where(outcomes.c.passenger_id.in_(ids))
    return {row.passenger_id: _Kept.of(row) for row in connection.execute(query)}


def _write(connection: Connection, rows: list[_Kept], history: list[dict[str, Any]]) -> None:
    if history:
        connection.execute(insert(outcome_history), history)
    if rows:
        kind = postgresql if connection.dialect.name == "postgresql" else sqlite
        upsert = kind.insert(outcomes)
        said = {c.name: upsert.excluded[c.name] for c in outcomes.c if c.name != "passenger_id"}
        statement = upsert.on_conflict_do_update(index_elements=["passenger_id"], set_=said)
        connection.execute(statement, [row.values() for row in rows])


def _held_against(connection: Connection, ids: Sequence[int], kept: dict[int, _Kept]) -> _Matches:
    """Find those without a promise and those too early; what came early and is due now is so."""
    matched, early, due = set(), set(), []
    query = (
        select(requests.c.passenger_id, requests.c.requested_at, is_judged())
        .join(outcomes, outcomes.c.passenger_id == requests.c.passenger_id)
        .where(requests.c.id.in_(counted(requests.c.passenger_id.in_(ids))))
    )
    for passenger_id, requested_at, judged in connection.execute(query):
        matched.add(passenger_id)
        if judged:
            continue
        now_due = replace(kept[passenger_id], known_at=kept[passenger_id].as_of)
        asked_by = now_due.follows()["asked_by"]
        if asked_by is not None and requested_at <= asked_by:
            due.append(now_due)
        else:
            early.add(passenger_id)
    if due:
        connection.execute(
            update(outcomes).where(outcomes.c.passenger_id == bindparam("of")),
            [{"of": one.passenger_id, "known_at": one.known_at, **one.follows()} for one in due],
        )
    return _Matches(frozenset(ids), frozenset(ids) - matched, frozenset(early))
