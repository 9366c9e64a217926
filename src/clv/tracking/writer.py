"""The request log on a database, with group commit.

A commit that survives power loss costs far more than the row in it. So callers do not commit:
they leave their rows and wait, and whatever has gathered while the last transaction was under
way goes into the next one. A lone caller waits for one commit, a thousand callers share one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from clv.aside import Aside
from clv.errors import QueueFullError, StoreError
from clv.tracking.database import one_writer, open_database
from clv.tracking.failures import PATIENCE_S, explain, hangs
from clv.tracking.guard import require_in_place
from clv.tracking.log import TrackedRequest
from clv.tracking.promises import is_of_passenger
from clv.tracking.revision import upgrade
from clv.tracking.tables import outcome_history, outcomes, promise_sums, requests

__all__ = ["DatabaseRequestLog", "Observe", "open_request_log"]

#: Told of each transaction: how many rows it was to store, and whether it did.
Observe = Callable[[int, bool], None]

# In one statement: SQLite takes 32,766 values and PostgreSQL 65,535.
_ROWS_A_STATEMENT = 500
# Of one transaction that clears a table.
_ROWS_CLEARED = 2_000
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP = TrackedRequest._fields.index("requested_at")


def _ignore(_rows: int, _stored: bool) -> None:  # noqa: FBT001
    pass


def open_request_log(url: str, queue_rows: int, observe: Observe = _ignore) -> "DatabaseRequestLog":
    """Open the database, bring its tables up to date, and keep requests there.

    Parameters
    ----------
    url : str
        `sqlite:///file` or `postgresql://...`.
    queue_rows : int
        Rows that may wait to be stored.
    observe : callable, optional
        Called in the event loop after each transaction.

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
    return DatabaseRequestLog(engine, queue_rows, observe)


@dataclass(eq=False, slots=True)
class _Job:
    """An accepted call: rows to store, or work that has a transaction of its own."""

    rows: Sequence[TrackedRequest]
    alone: Callable[[Connection], int] | None
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
    observe : callable, optional
        Called in the event loop after each transaction.
    patience_s : float, optional
        Seconds until a database that neither stores nor fails is given up: all who wait get a
        `StoreError`, and so does everybody else at once until it answers.
    """

    def __init__(
        self,
        engine: Engine,
        queue_rows: int,
        observe: Observe = _ignore,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._engine = engine
        # A single statement is a transaction by itself; on SQLite that spares two handovers of
        # Python's global lock, see `_carry_out`. psycopg cannot change its mind in a transaction.
        alone = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "sqlite" else {}
        self._single = engine.execution_options(**alone)
        # SQLite refuses at once to write what was read before somebody else wrote.
        self._reading_first = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._queue_rows = queue_rows
        self._observe = observe
        # SQLite keeps a moment as text, PostgreSQL as it is.
        stamp = requests.c.requested_at.type.dialect_impl(engine.dialect)
        self._stamp = stamp.bind_processor(engine.dialect)
        self._placeholder = "?" if engine.dialect.paramstyle == "qmark" else "%s"
        self._waiting: deque[_Job] = deque()
        self._pending_rows = 0
        self._draining: asyncio.Task[None] | None = None
        self._closed = False
        self._hangs = False
        self._patience_s = patience_s
        self._writer = Aside("tracking-writer", 1)
        # Reads have their own threads: a slow transaction does not hold up a count.
        self._readers = Aside("tracking-reader", 2, patience_s, partial(hangs, engine.url))

    @property
    def waiting_rows(self) -> int:
        """Rows that were accepted and are not yet stored."""
        return self._pending_rows

    async def append(self, rows: Sequence[TrackedRequest]) -> None:
        """Store the rows, all or none; returns once they are committed.

        A caller who is cancelled meanwhile does not take the rows back.

        Raises
        ------
        StoreError
            At once where the queue is full or the log is closed; later where the database fails.
        ValueError
            At once where some database could not store a row.
        """
        self._refuse_when_closed()
        accepted = [row.checked() for row in rows]
        if accepted:
            self._refuse_beyond_queue(len(accepted))
            await self._accept(accepted)

    async def count(self, passenger_id: int) -> int:
        """How many stored predictions are of this passenger, those of the page not counted.

        0 for any id that cannot be stored.
        """
        self._refuse_when_closed()
        if not -(2**63) <= passenger_id < 2**63:
            return 0
        try:
            return await self._readers.run(self._count, passenger_id)
        except SQLAlchemyError as error:
            raise explain(error, self._engine.url) from error

    async def clear(self) -> int:
        """Delete all rows, those accepted before this call included, and their outcomes.

        Returns how many rows that were. Many are deleted some at a time, so that others are stored
        in between; if the database fails, clear again.
        """
        self._refuse_when_closed()
        clearing, loop = _Clearing(), asyncio.get_running_loop()
        while not clearing.is_done:
            began = loop.time()
            await self._accept((), clearing.step)
            if not clearing.is_done:  # as long for the rows that came meanwhile
                await asyncio.sleep(loop.time() - began)
                self._refuse_when_closed()
        return clearing.cleared

    async def check(self) -> None:
        """See that rows can be stored: one is, and deleted again, in one transaction.

        To begin a transaction would not tell: only a write meets a full or read-only disk.

        Raises
        ------
        StoreError
            Where the queue is full, the log is closed or the database fails.
        """
        self._refuse_when_closed()
        self._refuse_beyond_queue(1)
        await self._accept((), _write_and_take_back)

    async def close(self) -> None:
        """Refuse further calls, store what was accepted, close the connections. Repeatable.

        A database that hangs is not waited for: whose rows it had was told that already.
        """
        self._closed = True
        if self._draining is not None and not self._hangs:
            # Not awaited itself: a cancelled `close` would cancel it and lose accepted rows.
            await asyncio.wait([self._draining], timeout=2 * self._patience_s)
        await asyncio.to_thread(self._release)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StoreError("The request log is closed. Start the service again to use it.")

    def _refuse_while_it_hangs(self) -> None:
        if self._hangs:
            raise hangs(self._engine.url)

    def _refuse_beyond_queue(self, rows: int) -> None:
        if rows > self._queue_rows:
            raise QueueFullError(
                f"{rows:,} rows at once are more than the tracking queue ever holds "
                f"({self._queue_rows:,}). Send fewer, or raise CLV_TRACKING_QUEUE_ROWS."
            )
        if self._pending_rows + rows > self._queue_rows:
            raise QueueFullError(
                f"The tracking queue is full: {self._pending_rows:,} of {self._queue_rows:,} rows "
                "wait to be stored. Try again in a moment."
            )

    def _accept(
        self,
        rows: Sequence[TrackedRequest],
        alone: Callable[[Connection], int] | None = None,
    ) -> asyncio.Future[int]:
        self._refuse_while_it_hangs()
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(rows, alone, done))
        self._pending_rows += len(rows)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain(), name="tracking-writer")
        return done

    async def _drain(self) -> None:
        """Carry out what waits, transaction by transaction, until nothing does."""
        while self._waiting:
            jobs = self._take()
            work = self._writer.start(self._carry_out, jobs)
            await asyncio.wait([work], timeout=self._patience_s)
            if not work.done():
                await self._give_up(jobs, work)
            rows = sum([len(job.rows) for job in jobs])
            self._pending_rows -= rows
            self._answer(jobs, work)
            self._observe(rows, work.exception() is None)

    async def _give_up(self, jobs: list[_Job], work: asyncio.Future[int]) -> None:
        """Tell all who wait, and store nothing more until this transaction has ended somehow."""
        self._hangs = True
        for job in (*jobs, *self._waiting):
            if not job.done.done():
                job.done.set_exception(hangs(self._engine.url))
        self._pending_rows -= sum([len(job.rows) for job in self._waiting])
        self._waiting.clear()
        await asyncio.wait([work])
        self._hangs = False

    def _take(self) -> list[_Job]:
        """One job of its own, or all that is to be stored before the next such."""
        jobs = [self._waiting.popleft()]
        if jobs[0].alone is None:
            while self._waiting and self._waiting[0].alone is None:
                jobs.append(self._waiting.popleft())
        return jobs

    def _answer(self, jobs: list[_Job], work: asyncio.Future[int]) -> None:
        failure = work.exception()
        for job in jobs:
            if job.done.done():  # its caller was cancelled, or told that the database hangs
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
        rows = [row for job in jobs for row in job.rows]
        # Many rows a statement, not many runs of a statement: the driver lets go of Python's global
        # lock in each run, and a busy event loop gives it back only milliseconds later.
        one_statement = jobs[0].alone is None and len(rows) <= _ROWS_A_STATEMENT
        with one_writer(self._engine):
            stored = self._store(jobs, rows, one_statement=one_statement)
        # Nobody is told of rows that are in a file which was deleted or replaced meanwhile.
        require_in_place(self._engine)
        return stored

    def _store(self, jobs: list[_Job], rows: list[TrackedRequest], *, one_statement: bool) -> int:
        if jobs[0].alone is not None:
            with self._reading_first.begin() as connection:
                return jobs[0].alone(connection)
        with (self._single if one_statement else self._engine).begin() as connection:
            stored = self._as_stored(rows)
            for first in range(0, len(stored), _ROWS_A_STATEMENT):
                some = stored[first : first + _ROWS_A_STATEMENT]
                statement = _insert_of(len(some), self._placeholder)
                connection.exec_driver_sql(statement, tuple(chain.from_iterable(some)))
            if self._hangs:  # whoever waits for these was told that they are not stored
                raise hangs(self._engine.url)
            return len(rows)

    def _as_stored(self, rows: list[TrackedRequest]) -> Sequence[tuple[Any, ...]]:
        if self._stamp is None:
            return rows
        texts = {at: self._stamp(at) for at in {row.requested_at for row in rows}}
        return [(*row[:_STAMP], texts[row.requested_at], *row[_STAMP + 1 :]) for row in rows]

    def _count(self, passenger_id: int) -> int:
        this = requests.c.passenger_id == passenger_id
        query = select(func.count()).where(this, is_of_passenger())
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def _release(self) -> None:
        wait_s = 0.0 if self._hangs else self._patience_s
        self._writer.stop(wait_s)
        self._readers.stop(wait_s)
        self._engine.dispose()


@lru_cache(maxsize=_ROWS_A_STATEMENT)
def _insert_of(rows: int, placeholder: str) -> str:
    """The statement that inserts so many rows, made by hand: SQLAlchemy's takes 20 times longer."""
    one = f"({', '.join([placeholder] * len(TrackedRequest._fields))})"
    columns = ", ".join(TrackedRequest._fields)
    return f"INSERT INTO {requests.name} ({columns}) VALUES {', '.join([one] * rows)}"  # noqa: S608


class _Clearing:
    """Deletes everything up to the newest request of its first step, some rows in each step."""

    def __init__(self) -> None:
        self.cleared = 0
        self.is_done = False
        self._newest: int | None = None

    def step(self, connection: Connection) -> int:
        if self._newest is None:
            self._newest = connection.scalar(select(func.max(requests.c.id))) or 0
        left = _ROWS_CLEARED
        for table in (promise_sums, outcome_history, outcomes, requests):
            gone = self._delete(connection, table, left)
            left -= gone
            if table is requests:
                self.cleared += gone
        self.is_done = left > 0
        return 0

    def _delete(self, connection: Connection, table: Table, most: int) -> int:
        """Delete the first rows of a table; how many there were."""
        keys = list(table.primary_key)
        some = select(*keys).order_by(*keys).limit(most)
        if table is requests:
            some = some.where(requests.c.id <= self._newest)
        these = tuple_(*keys).in_(some) if len(keys) > 1 else keys[0].in_(some)
        return int(connection.execute(delete(table).where(these)).rowcount)


def _write_and_take_back(connection: Connection) -> int:
    zeros = dict.fromkeys(TrackedRequest._fields[:6], 0)
    row = insert(requests).values(**zeros, model_version="", requested_at=_NEVER)
    key = connection.execute(row.returning(requests.c.id)).scalar_one()
    return connection.execute(delete(requests).where(requests.c.id == key)).rowcount
