"""API keys: who may use the service, for what, and how often.

A key reads `clv_<id>_<secret>`. The id is public and names the key in lists and logs; of the secret
only a hash is kept, so that nobody who reads the database can use the service.
"""

import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Engine,
    Row,
    bindparam,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from clv.errors import StoreError, UsageError
from clv.tracking.failures import explain
from clv.tracking.guard import require_in_place
from clv.tracking.tables import api_keys

__all__ = ["ApiKey", "KeyStore", "Scope", "split_key"]

_NAME_CHARACTERS = 100
_SECRET_BYTES = 32  # 43 characters
_ID = re.compile("[0-9a-f]{8}")
_KEY = re.compile(f"clv_({_ID.pattern})_([A-Za-z0-9_-]{{43}})")


class Scope(StrEnum):
    """What a key is good for."""

    PREDICT = "predict"
    READ = "read"
    OUTCOMES = "outcomes"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: all of it but the secret.

    Attributes
    ----------
    id : str
        8 hex digits; public.
    name : str
        Who or what it is for.
    scopes : frozenset of Scope
        What it is good for.
    requests_per_s : float or None
        How often it may be used; None for the service's default.
    created_at : datetime
        When; aware, as are the others.
    revoked_at : datetime or None
        From when on it is refused.
    last_used_at : datetime or None
        When it was last used, as far as that is written down.
    digest : bytes
        SHA-256 of the secret.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    requests_per_s: float | None
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    digest: bytes = field(repr=False)

    def allows(self, scope: Scope) -> bool:
        """Whether it is good for this; one of `admin` is good for everything."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def matches(self, secret: str) -> bool:
        """Whether this is its secret, revoked or not; takes as long for a near miss as for any."""
        return hmac.compare_digest(self.digest, _digest(secret))


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key, whether or not there is such a key; None where the text is none."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


class KeyStore:
    """The keys in the tracking database.

    Every method raises `StoreError` where the database refuses or is away. Any number of threads
    and processes may use one database at a time.

    Parameters
    ----------
    engine : Engine
        Of `open_database`, upgraded; to be disposed by the caller.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        at: datetime,
        requests_per_s: float | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key.

        Parameters
        ----------
        name : str
            Who or what it is for, 1 to 100 printable characters; two keys may share one.
        scopes : iterable of Scope or str
            At least one, by value where it is no `Scope`.
        at : datetime
            Now; aware.
        requests_per_s : float, optional
            How often it may be used; more than 0. Default: the service's.

        Returns
        -------
        tuple of ApiKey and str
            The key as it is kept, and its whole text, which nothing can tell again.

        Raises
        ------
        UsageError
            Where an argument cannot be used.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        key = ApiKey(
            id=_new_id(),
            name=_checked_name(name),
            scopes=_checked_scopes(scopes),
            requests_per_s=_checked_limit(requests_per_s),
            created_at=at,
            revoked_at=None,
            last_used_at=None,
            digest=_digest(secret),
        )
        while not self._add(key):
            key = replace(key, id=_new_id())
        return key, f"clv_{key.id}_{secret}"

    def keys(self) -> list[ApiKey]:
        """All keys, those revoked too, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
            )
            return [_key(row) for row in rows]

    def revoke(self, key_id: str, *, at: datetime) -> ApiKey:
        """Refuse a key from now on; one that is revoked already stays so since the first time.

        Raises
        ------
        StoreError
            Also where there is no key of this id.
        """
        if not _ID.fullmatch(key_id):
            # Not repeated: it may be a whole key, and errors end in logs.
            raise StoreError(
                "What shall be revoked is no id of a key; expected 8 hex digits, those between "
                "the first '_' and the second of a key. See those there are: clv keys list"
            )
        this = api_keys.c.id == key_id
        with self._transaction() as connection:
            connection.execute(
                update(api_keys).where(this, api_keys.c.revoked_at.is_(None)).values(revoked_at=at)
            )
            row = connection.execute(select(api_keys).where(this)).one_or_none()
        if row is None:
            raise StoreError(f"There is no key '{key_id}'. See those there are: clv keys list")
        return _key(row)

    def used(self, last: Mapping[str, datetime]) -> None:
        """Write down when keys were last used, by id, in one transaction.

        A key that was used later than that according to somebody else keeps the later time; an id
        that is no key's is passed over.
        """
        if not last:
            return
        at: BindParameter[datetime] = bindparam("at")
        before = api_keys.c.last_used_at
        statement = (
            update(api_keys)
            .where(api_keys.c.id == bindparam("key"), or_(before.is_(None), before < at))
            .values(last_used_at=at)
        )
        # In one order everywhere: two servers that lock the same rows crosswise wait for ever.
        values = [{"key": key_id, "at": last[key_id]} for key_id in sorted(last)]
        with self._transaction() as connection:
            connection.execute(statement, values)

    def _add(self, key: ApiKey) -> bool:
        """Store a new key; False where its id is taken, which 8 digits make unlikely only."""
        values = {
            "id": key.id,
            "name": key.name,
            "scopes": " ".join(scope for scope in Scope if scope in key.scopes),
            "requests_per_s": key.requests_per_s,
            "created_at": key.created_at,
            "digest": key.digest,
        }
        try:
            with self._transaction() as connection:
                connection.execute(insert(api_keys), values)
        except StoreError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            if key.id not in {other.id for other in self.keys()}:
                raise
            return False
        return True

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
            require_in_place(self._engine)
        except SQLAlchemyError as error:
            raise explain(error, self._engine.url) from error


def _new_id() -> str:
    return secrets.token_hex(4)


def _digest(secret: str) -> bytes:
    # Slow hashes and salts protect what people think up. Nobody can try out 256 random bits, and
    # this is computed at each request. What no client can send (lone surrogates) is no error.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _key(row: Row[Any]) -> ApiKey:
    # A later version may know scopes that this one does not: they allow nothing here.
    given = row.scopes.split()
    return ApiKey(**{**row._asdict(), "scopes": frozenset(one for one in Scope if one in given)})


def _checked_name(name: str) -> str:
    name = name.strip()
    if not (0 < len(name) <= _NAME_CHARACTERS and name.isprintable()):
        raise UsageError(
            f"The name of a key is {name!r}; expected 1 to {_NAME_CHARACTERS} printable "
            "characters. Say who or what it is for, as in 'marketing dashboard'."
        )
    return name


def _checked_scopes(scopes: Iterable[str]) -> frozenset[Scope]:
    given = list(map(str, scopes))
    if not given or not set(given) <= set(map(str, Scope)):
        raise UsageError(
            f"The scopes of a key are {', '.join(map(repr, given)) or 'none'}; expected at least "
            f"one of {', '.join(Scope)}. Give it what it needs and no more."
        )
    return frozenset(map(Scope, given))


def _checked_limit(requests_per_s: float | None) -> float | None:
    if requests_per_s is not None and not 0 < requests_per_s < math.inf:
        raise UsageError(
            f"The limit of a key is {requests_per_s} requests per second; expected a number above "
            "0. Leave it out for the service's default."
        )
    return requests_per_s
