"""Who may do what: API keys, their scopes, their limits and the sessions begun with them."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus

from clv.aside import Aside
from clv.clock import utc_now
from clv.errors import StoreError
from clv.service.problems import RefusedError
from clv.service.sessions import Sessions
from clv.settings import metrics_folder
from clv.tracking import ApiKey, KeyStore, Scope, split_key

__all__ = ["KEY", "OPEN", "PAGES", "STATIC", "Keyring", "scope_of"]

_log = logging.getLogger(__name__)
_audit = logging.getLogger("clv.audit")

#: Where the gate leaves the key that let a request in; nothing if none is needed.
KEY = "clv.key"
#: What everybody may ask: whether the service lives, what it can be asked, and to be let in.
OPEN = frozenset(
    {
        "/health",
        "/ready",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/signin",
        "/signout",
    }
)
#: What pages are made of, which tells nothing of anybody.
STATIC = "/static/"
#: Pages, for people with a browser: they are sent to sign in where others get a 401.
PAGES = frozenset(
    {
        "/",
        "/campaign",
        "/predict",
        "/model",
        "/model/report",
        "/monitoring",
        "/reality",
        "/activity",
    }
)
_PREDICTING = frozenset({"/", "/campaign", "/predict", "/api/explain"})
_PREDICTS = frozenset(
    {
        "/api/predict",
        "/api/predict/batch",
        "/api/predict/tryout",
        "/api/segments/evaluate",
        "/predict",
        "/campaign/preview",
        "/campaign/judge",
        "/campaign/chosen",
    }
)
_SAFE = ("GET", "HEAD")
_RELOAD_S = 1.0
#: A store that hangs is waited for so long.
_LOAD_S = 5.0


def scope_of(method: str, path: str) -> Scope | None:
    """The scope that a request needs; None where it is open to all.

    What nobody thought of needs the widest.
    """
    if path in OPEN:
        return None
    if method in _SAFE:
        if path.startswith(STATIC):
            return None
        return Scope.PREDICT if path in _PREDICTING else Scope.READ
    if path in _PREDICTS:
        return Scope.PREDICT
    if path == "/api/outcomes":
        return Scope.OUTCOMES
    return Scope.ADMIN


class Keyring:
    """The keys that a worker knows of, and how often each was used.

    Parameters
    ----------
    store : KeyStore
    sessions : Sessions
    requests_per_s : float or None
        Limit of a key that has none of its own, in this process.
    poll_interval_s : float
        Seconds between two looks at the store; a key is created and revoked within so many.
    """

    def __init__(
        self,
        store: KeyStore,
        sessions: Sessions,
        requests_per_s: float | None,
        poll_interval_s: float,
    ) -> None:
        self.sessions = sessions
        self._store = store
        self._requests_per_s = requests_per_s
        self._poll_interval_s = poll_interval_s
        self._keys: dict[str, ApiKey] = {}
        self._required = False
        # A worker that is started in place of another asks for keys as that one did.
        shared = metrics_folder()
        self._mark = shared and shared / "keys-are-required"
        self._allowances: dict[str, tuple[float, float]] = {}  # requests left, and when
        self._used: dict[str, datetime] = {}
        self._loaded_at = 0.0
        self._stopped = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="key-follower", daemon=True)
        self._loader = Aside("key-loader", 1, _LOAD_S)

    @property
    def required(self) -> bool:
        """Whether a key is needed: as soon as there is one, even when it is revoked since.

        Keys that vanish, as with a backup that is older than they are, open nothing: only a start
        of the service without any does.
        """
        return self._required

    def start(self) -> None:
        """Load the keys, and follow the store from now on.

        Raises
        ------
        StoreError
            Where it cannot be read: nobody is let in unseen.
        """
        self.load()
        self._follower.start()

    def stop(self) -> None:
        """Follow no more, once it is written down what was used last; a store that hangs may not.

        Blocks, but not for long.
        """
        self._stopped.set()
        self._loader.stop(wait_s=0.0)
        self.sessions.stop()
        if self._follower.is_alive():
            self._follower.join(_LOAD_S)

    def load(self) -> None:
        """Read the keys."""
        is_first = not self._loaded_at
        self._loaded_at = time.monotonic()
        keys = {key.id: key for key in self._store.keys()}  # noqa: SIM118 - no dict
        if self._keys and not keys:
            _log.warning(
                "The keys are gone from the database: everybody is refused until one is created, "
                "or the service is started again"
            )
        if not is_first:
            _note_changes(self._keys, keys)
        self._keys = keys
        if not self._required:
            self._required = bool(keys) or (self._mark is not None and self._mark.exists())
            if keys and self._mark is not None:
                with suppress(OSError):  # a disk without room: this worker knows it
                    self._mark.touch()

    async def admit(
        self, authorization: Sequence[bytes], tokens: Sequence[bytes], scope: Scope
    ) -> ApiKey:
        """Let a request in, or not; says by which key.

        Parameters
        ----------
        authorization : sequence of bytes
            Values of the `Authorization` headers.
        tokens : sequence of bytes
            Session cookies; they give way to the header.
        scope : Scope
            What the request needs.

        Raises
        ------
        RefusedError
            401 without a usable key or session, 403 if the key is too narrow, 429 if its rate
            limit is exceeded.
        """
        if tokens and not authorization:
            key = await self._signed_in(tokens)
        else:
            key = await self.identified(authorization)
        if not key.allows(scope):
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                f"This key may not do that: it takes scope '{scope}', key {key.id} has "
                f"{', '.join(sorted(key.scopes))}. Ask for a wider key.",
            )
        self._take(key)
        self._used[key.id] = utc_now()
        return key

    async def identified(self, authorization: Sequence[bytes]) -> ApiKey:
        """The key that was sent, whatever it may do.

        Raises
        ------
        RefusedError
            401 where none that can be used was sent.
        """
        if len(authorization) != 1:
            raise _unauthorised("This service takes an API key: send 'Authorization: Bearer KEY'.")
        kind, _, text = authorization[0].decode("latin-1").partition(" ")
        parts = split_key(text.strip()) if kind.lower() == "bearer" else None
        if parts is None:
            raise _unauthorised("That is no API key: expected 'Authorization: Bearer clv_...'.")
        number, secret = parts
        if number not in self._keys and time.monotonic() - self._loaded_at > _RELOAD_S:
            # A key that was created a moment ago is as good as one of yesterday.
            try:
                await self._loader.run(self.load)
            except (StoreError, TimeoutError) as error:
                _log.warning("The keys could not be read again: %s", error or "no answer")
        key = self._keys.get(number)
        # One answer for all three: nobody learns which ids there are.
        if key is None or not key.matches(secret) or key.revoked_at is not None:
            raise _unauthorised("This API key is unknown or was revoked.")
        return key

    async def _signed_in(self, tokens: Sequence[bytes]) -> ApiKey:
        key_id = await self.sessions.key_of(tokens[0].decode("latin-1"))
        key = self._keys.get(key_id or "")
        # A session dies with its key. Two cookies are as good as none: one of them was planted.
        if len(tokens) != 1 or key is None or key.revoked_at is not None:
            raise _unauthorised("This session has ended: sign in again.")
        return key

    def _take(self, key: ApiKey) -> None:
        """One request from the key's allowance, which fills up by its limit each second."""
        limit = key.requests_per_s or self._requests_per_s
        if limit is None:
            return
        now = time.monotonic()
        most = max(limit, 1.0)
        left, at = self._allowances.get(key.id, (most, now))
        left = min(most, left + (now - at) * limit)
        if left < 1.0:
            self._allowances[key.id] = left, now
            raise RefusedError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"Rate limit of key {key.id} exceeded: {limit:g} requests per second.",
                headers={"Retry-After": str(int((1.0 - left) / limit) + 1)},
            )
        self._allowances[key.id] = left - 1.0, now

    def _follow(self) -> None:
        while not self._stopped.is_set():
            stopped = self._stopped.wait(self._poll_interval_s)
            try:
                self._write_down()
                if not stopped:
                    self.load()
            except StoreError as error:
                # Those known stay: a database that is away must not lock everybody out, or let in.
                _log.warning("The keys could not be read again: %s", error)
            except Exception:  # noqa: BLE001 - a follower that ends locks out every new key
                _log.exception("Following the keys failed")

    def _write_down(self) -> None:
        used, self._used = self._used, {}
        if not used:
            return
        try:
            self._store.used(used)
        except StoreError as error:
            _log.warning("When keys were used last is written down later: %s", error)
            self._used = {**used, **self._used}


def _note_changes(before: Mapping[str, ApiKey], after: Mapping[str, ApiKey]) -> None:
    """Log which keys were created and revoked since the keys were read last."""
    for key in after.values():
        known = before.get(key.id)
        if known is None:
            _note("create key", f"{key.name!r} for {', '.join(sorted(key.scopes))}", key)
        if key.revoked_at is not None and (known is None or known.revoked_at is None):
            _note("revoke key", f"{key.name!r}", key)


def _note(action: str, what: str, key: ApiKey) -> None:
    _audit.info("%s %s: %s", action, key.id, what, extra={"action": action, "key": key.id})


def _unauthorised(detail: str) -> RefusedError:
    return RefusedError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
