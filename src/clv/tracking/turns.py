"""Long work beside predictions: short transactions, and a pause after each for everybody else.

SQLite has one writer at a time, and no queue for it: whoever waits looks again and again. Work that
takes the lock back at once leaves it to nobody. So it stays away for a while, and if predictions
were stored meanwhile, for longer than it had the lock. On PostgreSQL that leaves them the disk.

A short transaction costs nearly as much as a long one. So while no prediction is stored, each turn
may write twice as many rows as the one before; after a prediction the next one is short again.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select

from clv.tracking.database import alone
from clv.tracking.tables import requests

__all__ = ["CHUNK_ROWS", "GROWTH", "Turn", "Turns"]

#: Rows that one transaction of long work writes at most beside predictions.
CHUNK_ROWS = 250
#: Alone, a transaction grows to as many times as many rows.
GROWTH = 16
# Nor does it grow beyond this: the next prediction may come while it has the lock. SQLite looks
# again after a third of what it has waited, 100 ms at most: it finds the pause after it.
_LONG_S = 0.25
# A pause lasts so many times as long as the transaction before it: beside predictions, and alone.
_PAUSE, _SHORT_PAUSE = 3.0, 0.5


class Turn(NamedTuple):
    """One transaction, and how many rows it may write."""

    connection: Connection
    rows: int


class Turns:
    """The transactions of one piece of long work.

    Parameters
    ----------
    engine : Engine
    rows : int
        Rows that a transaction may write beside predictions.
    """

    def __init__(self, engine: Engine, rows: int = CHUNK_ROWS) -> None:
        self._engine = engine
        self._least = self._rows = rows
        self._next_at = self._took_s = 0.0
        self._newest: int | None = None
        self._one = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """One transaction, once the pause after the one before is over; blocks until then."""
        with self._one:
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            with alone(self._engine) as connection:
                began = time.monotonic()
                newest = connection.scalar(select(func.max(requests.c.id))) or 0
                is_beside = newest != self._newest
                self._rows = self._least if is_beside else self._next_rows()
                self._newest = newest
                yield Turn(connection, self._rows)
            ended = time.monotonic()
            self._took_s = ended - began
            pause = _PAUSE if is_beside else _SHORT_PAUSE
            self._next_at = ended + pause * self._took_s

    def _next_rows(self) -> int:
        """Rows of a turn before which no prediction was stored since the last one."""
        if self._took_s > _LONG_S:
            return max(self._least, self._rows // 2)
        return min(2 * self._rows, GROWTH * self._least)
