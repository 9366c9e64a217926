"""Sessions of people who signed in with an API key: random, kept as a hash, and expiring."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from clv.tracking.failures import explain
from clv.tracking.tables import sessions

__all__ = ["Session", "SessionStore"]

_TOKEN_BYTES = 32  # 43 characters


@dataclass(frozen=True, slots=True)
class Session:
    """Someone who signed in.

    Attributes
    ----------
    key_id : str
        The key that they signed in with; the session is good for what the key is, while it is.
    expires_at : datetime
        When they have to sign in again; aware.
    """

    key_id: str
    expires_at: datetime


class SessionStore:
    """The sessions in the tracking database.

    Every method raises `StoreError` if the database refuses or is away. Any number of threads and
    processes may use one database at a time.

    Parameters
    ----------
    engine : Engine
        Of `open_database`, upgraded; to be disposed by the caller.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, session: Session, *, at: datetime) -> str:
        """Begin a session, and forget those that have expired; returns its token.

        Parameters
        ----------
        session : Session
        at : datetime
            Now; aware.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        values = {
            "digest": _digest(token),
            "key_id": session.key_id,
            "created_at": at,
            "expires_at": session.expires_at,
        }
        with self._transaction() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= at))
            connection.execute(insert(sessions), values)
        return token

    def find(self, token: str, *, at: datetime) -> Session | None:
        """The session of a token; None if it is unknown, ended or expired."""
        query = select(sessions.c.key_id, sessions.c.expires_at).where(
            sessions.c.digest == _digest(token), sessions.c.expires_at > at
        )
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Session(row.key_id, row.expires_at)

    def end(self, token: str) -> None:
        """End a session; one that is unknown or has ended is no error."""
        with self._transaction() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == _digest(token)))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise explain(error, self._engine.url) from error


def _digest(token: str) -> bytes:
    # As of a key: nobody can try out 256 random bits.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
