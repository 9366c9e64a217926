"""Open connections: none may wait for ever on a client, and idle ones never keep others out.

uvicorn limits how long a connection may rest between two requests, not how long a client may take
to send one. Here a worker looks over its connections once a second, which costs a request nothing.
"""

import asyncio
import logging
from collections.abc import Callable

from clv.service.protocol import Protocol

__all__ = ["Connections"]

_log = logging.getLogger(__name__)

_LOOK_S = 1.0


class Connections:
    """The open connections of a worker.

    Parameters
    ----------
    most : int
        Beyond so many the one that came first of those that never sent a request is closed; where
        there is none such, of those whose requests are all answered; then of those that owe us
        the rest of one; or else the new one.
    read_timeout_s : float
        Seconds that a client may take to send a request.
    """

    def __init__(self, most: int, read_timeout_s: float) -> None:
        self._most = most
        self._read_timeout_s = read_timeout_s
        self._open: dict[Protocol, tuple[object, float] | None] = {}  # what it waits for, since
        self._crowded = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Protocol) -> None:
        """A new connection; another may have to go for it."""
        if len(self._open) >= self._most:
            idle = self._first_idle() or connection
            if not self._crowded:
                _log.warning("More than %d connections: idle ones are closed", self._most)
            self._crowded = True
            self._open.pop(idle, None)
            idle.drop()
            if idle is connection:
                return
        self._open[connection] = None

    def remove(self, connection: Protocol) -> None:
        """A connection that has ended."""
        self._open.pop(connection, None)

    def _first_idle(self) -> Protocol | None:
        """Whose going harms least."""
        kinds: tuple[Callable[[Protocol], bool], ...] = (
            lambda one: one.never_asked,
            lambda one: one.at_rest,
            lambda one: one.waits_for is not None,
        )
        found = (next(filter(kind, self._open), None) for kind in kinds)
        return next((one for one in found if one is not None), None)

    async def watch(self) -> None:
        """Close what is too slow, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                self.look(loop.time())
            except Exception:  # noqa: BLE001 - one odd connection must not end the watch
                _log.exception("Looking over the connections failed")

    def look(self, now: float) -> None:
        """Close each connection whose client has owed us the same for too long."""
        self._crowded = len(self._open) >= self._most
        for connection, before in list(self._open.items()):
            owed = connection.waits_for
            if owed is None:
                self._open[connection] = None
            elif before is None or before[0] != owed:
                self._open[connection] = owed, now
            elif now - before[1] > self._read_timeout_s:
                connection.time_out()
