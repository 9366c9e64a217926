"""What lives as long as a worker, and how it stands."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request

from clv.aside import Aside
from clv.errors import (
    BundleError,
    DatabaseMovedError,
    NotTrainedError,
    PromotionError,
    RegistryError,
    StoreError,
)
from clv.registry import Registry, Version
from clv.service.access import Keyring
from clv.service.anonymous import AnonymousAccess
from clv.service.connections import Connections
from clv.service.metrics import Metrics
from clv.service.models import Models, load
from clv.service.problems import RefusedError
from clv.service.reality import Reality
from clv.service.receiving import Bodies
from clv.service.schemas import ReadyOut
from clv.service.sessions import Guesses
from clv.service.uploads import Uploads
from clv.settings import Settings, unknown_variables
from clv.tracking import RequestLog, RequestQueries, database_warnings

__all__ = ["Worker", "worker_of"]

_log = logging.getLogger(__name__)

_CHECK_TIMEOUT_S = 2.0
# A store that was written to so lately is not asked again: whoever asks often writes seldom.
_CHECK_HOLDS_S = 1.0
#: Of a registry that hangs, so many questions are waited for, and so long.
_REGISTRY_CALLS = 2
_REGISTRY_S = 30.0

_T = TypeVar("_T")


def _registry_hangs() -> RegistryError:
    return RegistryError(f"The registry did not answer within {_REGISTRY_S:g} s.")


@dataclass(slots=True)
class Worker:
    """One process of the service."""

    settings: Settings
    registry: Registry
    models: Models
    request_log: RequestLog
    keyring: Keyring
    metrics: Metrics
    queries: RequestQueries
    reality: Reality
    uploads: Uploads
    bodies: Bodies
    connections: Connections
    draining: bool = False
    settled: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    guesses: Guesses = field(default_factory=Guesses, init=False)
    _unknown: list[str] = field(default_factory=unknown_variables, init=False)
    _registry_calls: Aside = field(
        default_factory=lambda: Aside("registry", _REGISTRY_CALLS, _REGISTRY_S, _registry_hangs),
        init=False,
    )
    _check: asyncio.Task[None] | None = field(default=None, init=False)
    _checked_at: float = field(default=float("-inf"), init=False)

    async def knows_models(self) -> None:
        """Wait, as long as this worker has just begun, until it is known which model serves."""
        if not self.settled.is_set() and not self.models.serves:
            await self.settled.wait()

    async def ready(self) -> ReadyOut:
        """Say what answers here.

        Raises
        ------
        RefusedError
            503 with the reasons, where nobody should be sent here.
        """
        reasons = ["The service is shutting down."] if self.draining else []
        try:
            self.models.current()
        except NotTrainedError as error:
            reasons.append(str(error))
        if broken := await self._store_fails():
            reasons.append(broken)
        warnings = self.warnings()
        if reasons:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Not ready: " + " ".join(reasons),
                headers={"Retry-After": "5"},
                reasons=[*reasons, *warnings],
            )
        serving = self.models.versions()
        return ReadyOut(
            status="ready",
            model_version=serving["champion"],
            challenger_version=serving.get("challenger"),
            warnings=warnings,
        )

    def warnings(self) -> list[str]:
        """What needs attention although this worker is ready."""
        anonymous = None if self.keyring.required else AnonymousAccess.of(self.settings).warning
        return [
            *self.models.warnings(),
            *self.connections.warnings(),
            *self.metrics.warnings(),
            *database_warnings(self.settings.tracking_url),
            *filter(None, [anonymous]),
            *self._unknown,
        ]

    def pulse(self) -> None:
        """Bring the gauges up to date."""
        self.metrics.check()
        self.metrics.set_state(
            self.models.versions(), self.request_log.waiting_rows, len(self.warnings())
        )

    async def ask_registry(self, question: Callable[..., _T], *arguments: Any) -> _T:
        """What a function returns that asks the registry.

        Raises
        ------
        RegistryError
            Also where it hangs.
        """
        return await self._registry_calls.run(question, *arguments)

    def promote(self, version: str, reason: str, by: str) -> Version:
        """Make a version the champion; blocks.

        Raises
        ------
        RefusedError
            If it cannot be loaded: what no worker could serve must not become champion.
        NoSuchVersionError
            Where there is none such.
        PromotionError
            Where it is champion already.
        """
        self._require_loadable(version)
        self.registry.promote(version, reason, by=by)
        return self._now_champion(version)

    def roll_back(self, version: str, reason: str, by: str) -> Version:
        """Leave a version for the champion before; blocks.

        Raises
        ------
        RefusedError
            If the one before cannot be loaded.
        PromotionError
            Where the version is not champion, or there was none before.
        """
        if version == self.registry.number_of("champion"):
            before = self.registry.champion_before()
            if before is not None:
                self._require_loadable(before)
        return self._now_champion(self.registry.rollback(reason, by=by, expected=version))

    def _require_loadable(self, version: str) -> None:
        try:
            load(self.registry.bundle(version), version)
        except BundleError as error:
            _log.warning("%s", error)
            raise RefusedError(
                HTTPStatus.CONFLICT,
                f"Version {version} cannot be loaded, so it serves nobody; the reason is in the "
                "log. Train again, or choose another version.",
            ) from error

    def _now_champion(self, number: str) -> Version:
        self.models.refresh()
        for version in self.registry.versions():
            if version.number == number:
                return version
        raise PromotionError(f"Version {number} was promoted, and is gone since.")

    async def _store_fails(self) -> str:
        """Why rows cannot be stored, or nothing; one question at a time, however many ask."""
        loop = asyncio.get_running_loop()
        if self._check is None or (
            self._check.done() and loop.time() - self._checked_at > _CHECK_HOLDS_S
        ):
            self._check = loop.create_task(self.request_log.check())
            # One that nobody waits for any more, as while the database hangs, failed unheard.
            self._check.add_done_callback(lambda check: check.cancelled() or check.exception())
            self._checked_at = loop.time()
        await asyncio.wait([self._check], timeout=_CHECK_TIMEOUT_S)
        if not self._check.done():
            return f"The tracking database did not store a row within {_CHECK_TIMEOUT_S:g} s."
        failure = self._check.exception()
        if failure is None:
            return ""
        if isinstance(failure, DatabaseMovedError):
            return str(failure)
        if isinstance(failure, StoreError):
            return "The tracking database cannot store rows; the log says why."
        raise failure


def worker_of(request: Request) -> Worker:
    """The worker that answers a request."""
    worker: Worker = request.scope["state"]["worker"]
    return worker
