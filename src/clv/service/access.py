"""Who may do what: API keys, their scopes and their limits."""

import logging
import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address

from clv.aside import Aside
from clv.clock import utc_now
from clv.errors import StoreError
from clv.service.problems import RefusedError
from clv.settings import metrics_folder
from clv.tracking import ApiKey, KeyStore, Scope, split_key

__all__ = ["OPEN", "PAGES", "Keyring", "is_loopback", "names_this_machine", "scope_of"]

_log = logging.getLogger(__name__)

#: What everybody may ask: whether the service lives, what it can be asked, and to be let in.
OPEN = frozenset(
    {
        "/health",
        "/ready",
        "/docs",
        "/docs/oauth2-redirect",
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
    {"/", "/campaign", "/predict", "/model", "/model/report", "/reality", "/activity"}
)
_PREDICTING = frozenset({"/", "/campaign", "/predict", "/api/explain"})
_PREDICTS = frozenset(
    {
        "/api/predict",
        "/api/predict/batch",
        "/api/segments/evaluate",
        "/campaign/preview",
        "/campaign/judge",
        "/campaign/chosen",
    }
)
_SAFE = ("GET", "HEAD")
_RELOAD_S = 1.0
#: A store that hangs is waited for so long.
_LOAD_S = 5.0
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d+)?").fullmatch


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


def is_loopback(host: str) -> bool:
    """Whether a name or an address, without port and brackets, is of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@lru_cache(maxsize=64)
def names_this_machine(host: bytes) -> bool:
    """Whether a `Host` header is of this machine alone; browsers send one always."""
    found = _HOST(host.decode("latin-1").lower())
    return not host or (found is not None and is_loopback(found[1].strip("[]")))


class Keyring:
    """The keys that a worker knows of, and how often each was used.

    Parameters
    ----------
    store : KeyStore
    requests_per_s : float or None
        Limit of a key that has none of its own, in this process.
    poll_interval_s : float
        Seconds between two looks at the store; a key is created and revoked within so many.
    """

    def __init__(
        self, store: KeyStore, requests_per_s: float | None, poll_interval_s: float
    ) -> None:
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
        if self._follower.is_alive():
            self._follower.join(_LOAD_S)

    def load(self) -> None:
        """Read the keys."""
        self._loaded_at = time.monotonic()
        keys = {key.id: key for key in self._store.keys()}  # noqa: SIM118 - no dict
        if self._keys and not keys:
            _log.warning(
                "The keys are gone from the database: everybody is refused until one is created, "
                "or the service is started again"
            )
        self._keys = keys
        if not self._required:
            self._required = bool(keys) or (self._mark is not None and self._mark.exists())
            if keys and self._mark is not None:
                with suppress(OSError):  # a disk without room: this worker knows it
                    self._mark.touch()

    async def admit(self, authorization: Sequence[bytes], scope: Scope) -> ApiKey:
        """Let a request in, or not; says by which key.

        Raises
        ------
        RefusedError
            401 without a usable key, 403 where it is too narrow, 429 where it comes too often.
        """
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
                f"Key {key.id} may send {limit:g} requests a second.",
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


def _unauthorised(detail: str) -> RefusedError:
    return RefusedError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
