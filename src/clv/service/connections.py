"""Open connections: none may wait for ever on a client, and idle ones never keep others out.

uvicorn limits how long a connection may rest between two requests, not how long a client may take
to send one. Here a worker looks over its connections once a second, which costs a request nothing.
"""

import asyncio
import errno
import logging
import os
import resource
from collections.abc import Callable

from clv.service.protocol import Protocol

__all__ = ["Connections"]

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
# Open files that a process needs besides its connections: databases, models, uploaded lists. Some
# more are asked for than have to be there.
_OTHER_FILES = 128
_WANTED_FILES = 512
_GIVE_WAY = 16


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
        files = _allow_files(most + _WANTED_FILES)
        self._wanted = most
        self._most = most if files is None else min(most, max(files - _OTHER_FILES, files // 4))
        self._short = False
        self._read_timeout_s = read_timeout_s
        self._open: dict[Protocol, tuple[object, float] | None] = {}  # what it waits for, since
        self._crowded = False

    def warnings(self) -> list[str]:
        """What keeps clients out although the service answers."""
        found = []
        if self._most < self._wanted:
            found.append(
                f"A process holds at most {self._most:,} connections, not {self._wanted:,} "
                "(CLV_MAX_CONNECTIONS): it may not open more files. Raise the limit to "
                f"{self._wanted + _WANTED_FILES:,}: ulimit -n, or ulimits in a container."
            )
        if self._short:
            found.append("No more files can be opened, so new connections are reset.")
        return found

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
                self._give_way()
                self.look(loop.time())
            except Exception:  # noqa: BLE001 - one odd connection must not end the watch
                _log.exception("Looking over the connections failed")

    def _give_way(self) -> None:
        """Close idle connections if no more files can be opened.

        The event loop accepts connections only to reset them then, and tells nobody.
        """
        short = not _can_open_a_file()
        if short:
            self._most = max(1, len(self._open) - _GIVE_WAY)
            while len(self._open) > self._most and (idle := self._first_idle()):
                self.remove(idle)
                idle.drop()
            if not self._short:
                _log.error(
                    "No more files can be opened: idle connections are closed, and from now on at "
                    "most %d are held",
                    self._most,
                )
        self._short = short

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


def _allow_files(wanted: int) -> int | None:
    """Raise the limit of open files as far as needed and allowed; returns it, None for no limit.

    Each connection is an open file, and what a shell allows by default is few.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def _can_open_a_file() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in (errno.EMFILE, errno.ENFILE)
    return True
