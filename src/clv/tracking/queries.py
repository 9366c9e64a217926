"""What is asked of the tracked requests to show them: the latest, those of one, how many when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Text, func, select, type_coerce
from sqlalchemy.exc import SQLAlchemyError

from clv.aside import Aside
from clv.errors import StoreError
from clv.tracking.failures import PATIENCE_S, explain, hangs
from clv.tracking.tables import requests

__all__ = ["LATEST", "Asked", "Bucket", "Recent", "RequestQueries"]

_Found = TypeVar("_Found")
Period = Literal["hour", "day"]

#: Rows of a list.
LATEST = 50
_HOURS = 48
_DAYS = 90


class Asked(NamedTuple):
    """A tracked prediction as it is shown; None for what was not kept when the row was written."""

    passenger_id: int | None
    requested_at: datetime | None
    recency: int
    frequency: int
    monetary: float
    predicted: float
    p_return: float | None
    score_bin: int | None
    model_version: str
    source: str | None


class Bucket(NamedTuple):
    """Requests of an hour or a day, and when it begins; aware, UTC."""

    at: datetime
    requests: int


@dataclass(frozen=True, slots=True)
class Recent:
    """What was asked of late.

    Attributes
    ----------
    total : int
        All rows there are.
    period : {'hour', 'day'}
        What a bucket holds: an hour while the first request is no older than two days.
    over_time : tuple of Bucket
        Without gaps up to now, oldest first: 48 hours, or the days since the first request and 90
        at the most; empty where nothing was ever asked.
    latest : tuple of Asked
        Newest first.
    """

    total: int
    period: Period
    over_time: tuple[Bucket, ...]
    latest: tuple[Asked, ...]


class RequestQueries:
    """Reads tracked requests in a thread of its own, one question after the other.

    Whoever looks at a page must not hold up those who are answered: one reader takes one
    connection and one core at the most, however many look.

    Every method raises `StoreError` where the database refuses, is away or this is closed.

    Parameters
    ----------
    engine : Engine
        Of `open_database`, upgraded; to be disposed by the caller.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = Aside("tracking-pages", 1, PATIENCE_S, partial(hangs, engine.url))
        self._closed = False

    async def recent(self, now: datetime) -> Recent:
        """What was asked of late, as seen from `now`, which is aware."""
        return await self._read(lambda connection: _recent(connection, now))

    async def of_passenger(self, passenger_id: int, limit: int = LATEST) -> tuple[Asked, ...]:
        """The latest predictions of a passenger, newest first."""
        if not -(2**63) <= passenger_id < 2**63:
            return ()
        this = requests.c.passenger_id == passenger_id
        return await self._read(lambda connection: _latest(connection, limit, this))

    def close(self) -> None:
        """Answer no more; what is being read is read to its end, unless the database hangs."""
        self._closed = True
        self._reader.stop(PATIENCE_S)

    async def _read(self, query: Callable[[Connection], _Found]) -> _Found:
        if self._closed:
            raise StoreError("The tracking database is closed. Start the service again to use it.")

        def read() -> _Found:
            with self._engine.connect() as connection:
                return query(connection)

        try:
            return await self._reader.run(read)
        except SQLAlchemyError as error:
            raise explain(error, self._engine.url) from error


def _recent(connection: Connection, now: datetime) -> Recent:
    total = connection.execute(select(func.count()).select_from(requests)).scalar_one()
    # By the key and not by time: what is stored first was asked first, within a moment.
    first = connection.execute(
        select(requests.c.requested_at).order_by(requests.c.id).limit(1)
    ).scalar()
    period: Period = "day"
    if first is None and total:  # what stands there is no moment
        first = now - timedelta(days=_DAYS)
    if first is None or now - first < timedelta(hours=_HOURS):
        period = "hour"
    return Recent(
        total,
        period,
        _over_time(connection, period, first, now) if first else (),
        _latest(connection, LATEST),
    )


def _latest(connection: Connection, limit: int, *where: ColumnElement[bool]) -> tuple[Asked, ...]:
    columns = [requests.c[name] for name in Asked._fields]
    query = select(*columns).where(*where).order_by(requests.c.id.desc()).limit(limit)
    return tuple(Asked(*row) for row in connection.execute(query))


def _over_time(
    connection: Connection, period: Period, first: datetime, now: datetime
) -> tuple[Bucket, ...]:
    """Count by hour or day, no farther back than is drawn."""
    step = timedelta(hours=1) if period == "hour" else timedelta(days=1)
    newest = _floor(now, period)
    most = _HOURS if period == "hour" else _DAYS
    oldest = newest - (most - 1) * step
    if period == "day":
        oldest = min(max(_floor(first, period), oldest), newest)
    begins = _begins(connection.dialect.name, period)
    query = select(begins, func.count()).where(requests.c.requested_at >= oldest).group_by(begins)
    counts = {_moment(at): int(count) for at, count in connection.execute(query)}
    times = [oldest + number * step for number in range((newest - oldest) // step + 1)]
    return tuple(Bucket(at, counts.get(at, 0)) for at in times)


def _begins(dialect: str, period: Period) -> ColumnElement[Any]:
    """When the hour or day of a row begins."""
    if dialect == "sqlite":
        # Moments are text there, in UTC and of one form: '2026-01-02 03:04:05.678901'.
        text = type_coerce(requests.c.requested_at, Text)
        return func.substr(text, 1, 13 if period == "hour" else 10)
    return func.date_trunc(period, requests.c.requested_at, "UTC")


def _moment(begins: str | datetime) -> datetime | None:
    if isinstance(begins, datetime):
        return begins.astimezone(UTC)
    try:
        return datetime.fromisoformat(begins).replace(tzinfo=UTC)
    except ValueError:
        return None


def _floor(at: datetime, period: Period) -> datetime:
    at = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return at if period == "hour" else at.replace(hour=0)
