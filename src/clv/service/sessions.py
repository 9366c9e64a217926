"""Who is signed in to the pages: a random token in a cookie, never the key itself."""

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from datetime import timedelta

from clv.aside import Aside
from clv.clock import utc_now
from clv.errors import StoreError
from clv.tracking import Session, SessionStore

__all__ = ["Guesses", "Sessions", "cookie_name"]

_log = logging.getLogger(__name__)

_TOKEN = re.compile("[A-Za-z0-9_-]{43}").fullmatch
_MOST_KNOWN = 10_000
_STORE_S = 5.0


def cookie_name(scheme: str) -> str:
    """The name of the cookie.

    With TLS it begins with `__Host-`: browsers then take it from this host alone, for all of its
    paths, and send it over TLS only.
    """
    return "__Host-clv_session" if scheme == "https" else "clv_session"


@dataclass(frozen=True, slots=True)
class _Known:
    session: Session
    at: float  # when the database was asked


class Sessions:
    """The sessions that a worker knows of; all workers share those of the database.

    Parameters
    ----------
    store : SessionStore
    lifetime : timedelta
        Until one has to sign in again.
    poll_interval_s : float
        Seconds after which the database is asked again, and so the longest that another worker
        takes to notice a sign-out.
    """

    def __init__(self, store: SessionStore, lifetime: timedelta, poll_interval_s: float) -> None:
        self._store = store
        self._lifetime = lifetime
        self._poll_interval_s = poll_interval_s
        self._known: dict[str, _Known] = {}
        self._database = Aside("sessions", 1, _STORE_S, _late)

    async def begin(self, key_id: str) -> str:
        """Sign someone in with a key; returns the token for the cookie.

        Raises
        ------
        StoreError
            If it cannot be stored.
        """
        now = utc_now()
        session = Session(key_id, now + self._lifetime)

        def create() -> str:
            return self._store.create(session, at=now)

        return await self._database.run(create)

    async def end(self, token: str) -> None:
        """Sign someone out.

        Raises
        ------
        StoreError
            If the database did not note it: the session would go on.
        """
        if _TOKEN(token):
            await self._database.run(self._store.end, token)
        self._known.pop(token, None)

    async def key_of(self, token: str) -> str | None:
        """The id of the key that a token stands for; None if it stands for none.

        Raises
        ------
        StoreError
            If the database is away and this worker does not know the token.
        """
        if not _TOKEN(token):
            return None
        now = utc_now()
        known = self._known.get(token)
        if known is None or time.monotonic() - known.at > self._poll_interval_s:
            known = await self._asked(token, known)
        if known is None or known.session.expires_at <= now:
            self._known.pop(token, None)
            return None
        return known.session.key_id

    def stop(self) -> None:
        """Ask the database no more."""
        self._database.stop(wait_s=0.0)

    async def _asked(self, token: str, known: _Known | None) -> _Known | None:
        now = utc_now()

        def find() -> Session | None:
            return self._store.find(token, at=now)

        at = time.monotonic()
        try:
            session = await self._database.run(find)
        except StoreError as error:
            if known is None:
                raise
            # As with keys: a database that is away locks nobody out.
            _log.warning("A session could not be read: %s", error)
            return known
        if session is None:
            return None
        while len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[token] = _Known(session, at)
        return self._known[token]


class Guesses:
    """Slows guessing down: one wrong key at a time gets its answer, and only after a pause.

    A right key does not wait. Nobody guesses 256 bits; the load and the lines in the log of those
    who try are what is bounded.

    Parameters
    ----------
    pause_s : float
        Before each answer.
    most : int
        Wrong keys that may wait; beyond that they are refused at once.
    """

    def __init__(self, pause_s: float = 0.5, most: int = 20) -> None:
        self._pause_s = pause_s
        self._most = most
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def wait(self) -> bool:
        """Wait for the turn of a wrong key; False, at once, if too many wait already."""
        if self._waiting >= self._most:
            return False
        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(self._pause_s)
        finally:
            self._waiting -= 1
        return True


def _late() -> StoreError:
    return StoreError(f"The tracking database did not answer within {_STORE_S:g} s.")
