"""Long work beside predictions: short transactions, and a pause after each for everybody else.

SQLite has one writer at a time, and no queue for it: whoever waits looks again and again. Work that
takes the lock back at once leaves it to nobody. So it stays away for a while, and if predictions
were stored meanwhile, for longer than it had the lock. On PostgreSQL that leaves them the disk.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, func, select

from clv.tracking.database import alone
from clv.tracking.tables import requests

__all__ = ["CHUNK_ROWS", "Turns"]

#: Rows that one transaction of long work writes at most.
CHUNK_ROWS = 250
# A pause lasts so many times as long as the transaction before it: beside predictions, and alone.
_PAUSE, _SHORT_PAUSE = 3.0, 0.5


class Turns:
    """The transactions of one piece of long work.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._next_at = 0.0
        self._newest: int | None = None
        self._one = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[Connection]:
        """One transaction, once the pause after the one before is over; blocks until then."""
        with self._one:
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            with alone(self._engine) as connection:
                began = time.monotonic()
                newest = connection.scalar(select(func.max(requests.c.id)))
                yield connection
            ended = time.monotonic()
            pause = _PAUSE if newest != self._newest else _SHORT_PAUSE
            self._newest, self._next_at = newest, ended + pause * (ended - began)
