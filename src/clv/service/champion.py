"""The model that a worker serves with: follows the registry, and never lets go of a good one."""

import asyncio
import logging

from clv.bundle import Predictor
from clv.errors import BundleError, ClvError, NotTrainedError
from clv.registry import Registry
from clv.service.schemas import WINDOW

__all__ = ["Champion"]

_log = logging.getLogger(__name__)


class Champion:
    """Holds the current predictor and replaces it when the registry names another.

    Parameters
    ----------
    registry : Registry
    poll_interval_s : float
        Seconds between two looks.
    """

    def __init__(self, registry: Registry, poll_interval_s: float) -> None:
        self._registry = registry
        self._poll_interval_s = poll_interval_s
        self._current: Predictor | None = None
        self._refused: str | None = None

    def current(self) -> Predictor:
        """The predictor to use for one request, from its beginning to its end.

        Raises
        ------
        NotTrainedError
            Where there is none yet, or none that could be loaded.
        """
        if self._current is None and self._refused:
            raise NotTrainedError(
                f"Version {self._refused} was refused: it cannot be loaded; see the service's log. "
                "Train anew, or promote another: clv models list"
            )
        if self._current is None:
            raise NotTrainedError(
                "There is no model yet. Train one with `clv train --data SOURCE`; "
                "this service picks it up by itself."
            )
        return self._current

    def refresh(self) -> None:
        """Look once: load the champion where it is another than the one that serves."""
        number = self._registry.number_of("champion")
        serving = self._current.version if self._current else None
        if number == self._refused:
            return
        self._refused = None
        if number in (None, serving):
            return
        try:
            predictor = Predictor.load(self._registry.bundle(number), version=number)
            if predictor.window != WINDOW:
                raise BundleError(
                    f"Version {number} is of {predictor.window}; this service is of {WINDOW}."
                )
        except BundleError as error:
            # Not tried again until the registry names another: a broken bundle stays broken.
            self._refused = number
            _log.error("Version %s refused, %s serves on: %s", number, serving or "none", error)
            return
        self._current, self._refused = predictor, None
        _log.info("Version %s (%s) serves", number, predictor.manifest.model)

    async def follow(self) -> None:
        """Look again and again until cancelled; a registry that is away changes nothing."""
        while True:
            await asyncio.sleep(self._poll_interval_s)
            try:
                await asyncio.to_thread(self.refresh)
            except ClvError as error:
                _log.warning("The registry was not asked for a new champion: %s", error)
            except Exception:  # noqa: BLE001
                # Whatever it was, a follower that ends would leave the service behind for good.
                _log.exception("Looking for a new champion failed")
