"""The request log on a database, with group commit.

A commit that survives power loss costs far more than the row in it. So callers do not commit:
they leave their rows and wait, and whatever has gathered while the last transaction was under
way goes into the next one. A lone caller waits for one commit, a thousand callers share one.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from clv.errors import StoreError
from clv.tracking.database import open_database
from clv.tracking.failures import explain
from clv.tracking.log import TrackedRequest
from clv.tracking.migrate import upgrade
from clv.tracking.tables import requests

__all__ = ["DatabaseRequestLog", "open_request_log"]


def open_request_log(url: str, queue_rows: int) -> "DatabaseRequestLog":
    """Open the database, bring its tables up to date, and keep requests there.

    Parameters
    ----------
    url : str
        `sqlite:///file` or `postgresql://...`.
    queue_rows : int
        Rows that may wait to be stored.

    Raises
    ------
    StoreError
        Where the database cannot be used.
    """
    engine = open_database(url)
    try:
        upgrade(engine)
    except StoreError:
        engine.dispose()
        raise
    return DatabaseRequestLog(engine, queue_rows)


@dataclass(eq=False, slots=True)
class _Job:
    """An accepted call: rows to store, or None to delete all. `done` answers its caller."""

    rows: tuple[TrackedRequest, ...] | None
    done: asyncio.Future[int]


class DatabaseRequestLog:
    """A `RequestLog` on SQLite or PostgreSQL.

    To be used from one event loop. Where the database fails, everybody whose rows were in that
    transaction gets a `StoreError`; the next transaction is tried as if nothing had happened, so
    that the log recovers when the database does.

    Parameters
    ----------
    engine : Engine
        Of `open_database`, upgraded; `close` disposes it.
    queue_rows : int
        Rows that may be accepted and not yet stored. More are refused at once: who waits longer
        than the queue is better served by trying again.
    """

    def __init__(self, engine: Engine, queue_rows: int) -> None:
        self._engine = engine
        self._queue_rows = queue_rows
        self._waiting: deque[_Job] = deque()
        self._pending_rows = 0
        self._draining: asyncio.Task[None] | None = None
        self._closed = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="tracking-writer")
        # Reads have their own threads: a slow transaction does not hold up a count.
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="tracking-reader")

    async def append(self, rows: Sequence[TrackedRequest]) -> None:
        """Store the rows, all or none; returns once they are committed.

        A caller who is cancelled meanwhile does not take the rows back.

        Raises
        ------
        StoreError
            At once where the queue is full or the log is closed; later where the database fails.
        """
        self._refuse_when_closed()
        accepted = tuple(rows)
        if accepted:
            self._refuse_beyond_queue(len(accepted))
            await self._accept(accepted)

    async def count(self, passenger_id: int) -> int:
        """How many stored predictions are of this passenger; 0 for any id that cannot be stored."""
        self._refuse_when_closed()
        if not -(2**63) <= passenger_id < 2**63:
            return 0
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, self._count, passenger_id)
        except SQLAlchemyError as error:
            raise explain(error, self._engine.url) from error

    async def clear(self) -> int:
        """Delete all rows, those accepted before this call included; returns how many."""
        self._refuse_when_closed()
        return await self._accept(None)

    async def close(self) -> None:
        """Refuse further calls, store what was accepted, close the connections. Repeatable."""
        self._closed = True
        if self._draining is not None:
            # Not awaited itself: a cancelled `close` would cancel it and lose accepted rows.
            await asyncio.wait([self._draining])
        await asyncio.to_thread(self._release)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StoreError("The request log is closed. Start the service again to use it.")

    def _refuse_beyond_queue(self, rows: int) -> None:
        if rows > self._queue_rows:
            raise StoreError(
                f"{rows:,} rows at once are more than the tracking queue ever holds "
                f"({self._queue_rows:,}). Send fewer, or raise CLV_TRACKING_QUEUE_ROWS."
            )
        if self._pending_rows + rows > self._queue_rows:
            raise StoreError(
                f"The tracking queue is full: {self._pending_rows:,} of {self._queue_rows:,} rows "
                "wait to be stored. Try again in a moment."
            )

    def _accept(self, rows: tuple[TrackedRequest, ...] | None) -> asyncio.Future[int]:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(rows, done))
        self._pending_rows += len(rows or ())
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain(), name="tracking-writer")
        return done

    async def _drain(self) -> None:
        """Carry out what waits, transaction by transaction, until nothing does."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            jobs = self._take()
            work = loop.run_in_executor(self._writer, self._carry_out, jobs)
            await asyncio.wait([work])
            self._pending_rows -= sum(len(job.rows or ()) for job in jobs)
            self._answer(jobs, work)

    def _take(self) -> list[_Job]:
        """One deletion, or all that is to be stored before the next one."""
        jobs = [self._waiting.popleft()]
        if jobs[0].rows is not None:
            while self._waiting and self._waiting[0].rows is not None:
                jobs.append(self._waiting.popleft())
        return jobs

    def _answer(self, jobs: list[_Job], work: asyncio.Future[int]) -> None:
        failure = work.exception()
        for job in jobs:
            if job.done.done():  # its caller was cancelled
                continue
            if failure is None:
                job.done.set_result(work.result())
            else:
                # Each gets an error of its own: a traceback grows with each raise.
                error = explain(failure, self._engine.url)
                error.__cause__ = failure
                job.done.set_exception(error)

    def _carry_out(self, jobs: list[_Job]) -> int:
        """In the writer's thread: one transaction. Rows stored or deleted."""
        with self._engine.begin() as connection:
            if jobs[0].rows is None:
                return connection.execute(delete(requests)).rowcount
            values = [_values(row) for job in jobs for row in job.rows or ()]
            connection.execute(insert(requests), values)
            return len(values)

    def _count(self, passenger_id: int) -> int:
        query = select(func.count()).where(requests.c.passenger_id == passenger_id)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def _release(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


def _values(row: TrackedRequest) -> dict[str, Any]:
    return {
        "passenger_id": row.passenger_id,
        "recency": row.recency,
        "frequency": row.frequency,
        "monetary": row.monetary,
        "predicted": row.predicted,
        "expected_increment": row.expected_increment,
        "p_return": row.p_return,
        "level": row.level,
        "low": row.low,
        "high": row.high,
        "score_bin": row.score_bin,
        "in_support": row.in_support,
        "model_version": row.model_version,
        "requested_at": row.requested_at,
    }
