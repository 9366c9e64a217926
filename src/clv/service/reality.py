"""Promise against reality beside a service that predicts: outcomes taken in, and looked at."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Engine

from clv.aside import Aside
from clv.bundle import Manifest
from clv.clock import utc_now
from clv.errors import ClvError, NotTrainedError, QueueFullError, StoreError
from clv.monitoring import Monitoring, manifests_of, monitor
from clv.registry import Registry
from clv.service.models import Models
from clv.tracking import Outcome, OutcomeStore, Recorded

__all__ = ["Reality"]

_log = logging.getLogger(__name__)

# What is seen may be so many times as old as it takes to look: looking takes a twentieth of a core.
_REST = 20.0
#: Metrics are scraped often and by several; what they tell changes by the day.
_METRICS_REST_S = 60.0
_LOOK_LIMIT_S = 300.0
_RECORD_LIMIT_S = 60.0
#: Outcomes that wait to be stored: ten full requests, far fewer than are stored in that time.
_MOST_WAITING = 100_000


def _slow() -> StoreError:
    return StoreError("The tracking database did not answer in time. Try again later.")


class Reality:
    """Takes in outcomes and compares promises with them, each in a thread of its own.

    Parameters
    ----------
    engine : Engine
        Of `open_database`, upgraded; to be disposed by the caller.
    models : Models
        Whose champion is watched.
    registry : Registry
        Of former versions.
    told : callable
        Told of each look, in the event loop.
    """

    def __init__(
        self,
        engine: Engine,
        models: Models,
        registry: Registry,
        told: Callable[[Monitoring], None],
    ) -> None:
        self._engine = engine
        self._models = models
        self._store = OutcomeStore(engine)
        self._former = manifests_of(registry)
        self._told = told
        self._looker = Aside("monitoring", 1, _LOOK_LIMIT_S, _slow)
        self._writer = Aside("outcomes", 1, _RECORD_LIMIT_S, _slow)
        self._waiting = 0  # outcomes
        self._look: asyncio.Task[Monitoring] | None = None
        self._seen: Monitoring | None = None
        self._seen_at = self._took_s = 0.0
        # How often something changed here, and how often when what was seen was looked at.
        self._changes = self._seen_changes = 0

    async def record(self, sent: Sequence[Outcome]) -> Recorded:
        """Keep outcomes; returns once they are committed.

        Raises
        ------
        StoreError
            Where the database fails.
        QueueFullError
            At once, if too many wait to be stored already.
        """
        if self._waiting and self._waiting + len(sent) > _MOST_WAITING:
            raise QueueFullError(
                f"{self._waiting:,} outcomes wait to be stored already. Try again in a moment."
            )
        self._waiting += len(sent)
        try:
            found = await self._writer.run(self._store.record, sent, utc_now())
        finally:
            self._waiting -= len(sent)
        self.changed()
        return found

    def changed(self) -> None:
        """What was seen is not so any more: who sends outcomes and then looks must see them."""
        self._changes += 1

    async def now(self) -> Monitoring:
        """What there is to see; not older than a moment, unless looking takes long.

        Raises
        ------
        StoreError
            Where the database fails.
        """
        changes = self._changes
        is_young = self._age_s() < _REST * self._took_s
        if self._seen is not None and is_young and self._seen_changes == changes:
            return self._seen
        found = await asyncio.shield(self._looking())
        if self._seen_changes < changes:  # that look had begun before
            found = await asyncio.shield(self._looking())
        return found

    def refresh(self) -> None:
        """Have it looked at again where what was seen is old, changed or not; waits for nothing."""
        if self._seen is None or self._age_s() > max(_REST * self._took_s, _METRICS_REST_S):
            self._looking()

    def close(self) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()
        self._looker.stop(wait_s=0.0)
        self._writer.stop(wait_s=_RECORD_LIMIT_S)

    def _age_s(self) -> float:
        return asyncio.get_running_loop().time() - self._seen_at

    def _looking(self) -> asyncio.Task[Monitoring]:
        """One look at a time, however many ask."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._take_a_look(), name="monitoring")
            self._look.add_done_callback(_heard)
        return self._look

    async def _take_a_look(self) -> Monitoring:
        loop = asyncio.get_running_loop()
        began, changes = loop.time(), self._changes
        champion, manifest_of = None, self._former
        try:
            serving = self._models.current().champion
        except NotTrainedError:
            pass
        else:
            champion = serving.version
            manifest_of = partial(_manifest, champion, serving.manifest, self._former)
        found = await self._looker.run(monitor, self._engine, champion, manifest_of, utc_now())
        self._seen, self._seen_at, self._took_s = found, began, loop.time() - began
        self._seen_changes = changes
        self._told(found)
        return found


def _manifest(
    champion: str, manifest: Manifest, former: Callable[[str], Manifest | None], version: str
) -> Manifest | None:
    """That of the champion is at hand, also while the registry is away."""
    return manifest if version == champion else former(version)


def _heard(look: "asyncio.Task[Monitoring]") -> None:
    """Nobody may wait for a look any more; then the log tells of it."""
    if not look.cancelled() and isinstance(look.exception(), ClvError):
        _log.warning("Promises could not be compared with outcomes: %s", look.exception())
