"""The models that a worker serves with: follows the registry, and never lets go of a good one."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clv.bundle import Predictor
from clv.errors import BundleError, ClvError, NotTrainedError
from clv.service.schemas import WINDOW

__all__ = ["Models", "Serving", "load"]

_log = logging.getLogger(__name__)


class Source(Protocol):
    """What is asked of a registry."""

    def aliases(self) -> dict[str, str]: ...
    def bundle(self, number: str) -> Path: ...


class Last(Protocol):
    """Where the bundle that serves is kept for the next start."""

    def keep(self, number: str, bundle: Path) -> None: ...
    def find(self) -> tuple[str, Path] | None: ...
    def mark(self) -> str: ...
    def confirm(self, number: str, mark: str) -> None: ...
    def is_champion(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Serving:
    """The models of one moment: a request takes them once and keeps them to its end."""

    champion: Predictor
    challenger: Predictor | None

    @property
    def shadow_version(self) -> str | None:
        """The version that predicts beside the champion and is not answered."""
        return self.challenger.version if self.challenger else None


class Models:
    """Holds the current models and replaces them when the registry names others.

    A thread of its own does the looking: a registry that hangs holds up nobody.

    Parameters
    ----------
    registry : Source
    last : Last
    poll_interval_s : float
        Seconds between two looks.
    """

    def __init__(self, registry: Source, last: Last, poll_interval_s: float) -> None:
        self._registry = registry
        self._last = last
        self._poll_interval_s = poll_interval_s
        self._champion: Predictor | None = None
        self._challenger: Predictor | None = None
        self._serving: Serving | None = None
        self._refused: dict[str, str] = {}  # by alias, the version that cannot be loaded
        self._broken: set[str] = set()  # aliases whose refused version is there, but spoilt
        self._away = ""
        self._unnamed = False
        self._copy: Predictor | None = None  # serves until the registry's own bundle was looked at
        self._shadow_failures: dict[str, int] = {}  # of predictions, by version
        self._looking = threading.Lock()
        self._looked = threading.Event()
        self._stopped = threading.Event()

    # ------------------------------------------------------------ what serves

    def current(self) -> Serving:
        """The models to use for one request, from its beginning to its end.

        Raises
        ------
        NotTrainedError
            Where there is no champion yet, or none that could be loaded.
        """
        if self._serving is None:
            raise NotTrainedError(self._why_none())
        return self._serving

    @property
    def serves(self) -> bool:
        """Whether there is a champion that was loaded."""
        return self._serving is not None

    def versions(self) -> dict[str, str]:
        """The version that serves under each alias."""
        found = {"champion": self._champion, "challenger": self._challenger}
        return {alias: model.version for alias, model in found.items() if model}

    def warnings(self) -> list[str]:
        """What needs somebody's attention although predictions are answered."""
        found = [
            f"Version {number} is {alias} and was refused: it cannot be loaded."
            for alias, number in self._refused.items()
        ]
        challenger = self._challenger.version if self._challenger else None
        if failed := self._shadow_failures.get(challenger or "", 0):
            found.append(
                f"Challenger version {challenger} failed to predict {failed:,} times; the "
                "log says why. The champion's predictions are not affected."
            )
        if self._away:
            found.append(self._away)
        elif self._unnamed and self._champion is not None:
            found.append(
                f"The registry names no champion: version {self._champion.version} serves on."
            )
        return found

    def shadow_failed(self, version: str, error: Exception) -> None:
        """Note that a challenger could not predict; the log says the first time why."""
        failed = self._shadow_failures.get(version, 0)
        if not failed:
            _log.error("Version %s failed in shadow", version, exc_info=error)
        self._shadow_failures[version] = failed + 1

    def _why_none(self) -> str:
        if number := self._refused.get("champion"):
            return (
                f"Version {number} was refused: it cannot be loaded; see the service's log. "
                "Train again, or promote another version: clv models list"
            )
        if self._away:
            return f"There is no model: {self._away}"
        return (
            "There is no model yet. Train one with `clv train --data SOURCE`; "
            "this service picks it up by itself."
        )

    # ------------------------------------------------------------ following

    def start(self) -> None:
        """Begin to follow; returns at once.

        The last champion that served does so again if the registry is as it was then.
        """
        self._away = "The registry has not answered since the start."
        if self._last.is_champion() and (kept := self._load_last()) is not None:
            _log.info("Version %s, kept from before, is champion still", kept.version)
            self._champion = self._copy = kept
            self._serve()
        threading.Thread(target=self._follow, name="registry-follower", daemon=True).start()

    def wait(self, first_look_s: float) -> None:
        """Return after the first look, or after `first_look_s` without one.

        Where the registry does not name by then whom this worker can load, the last champion that
        served does.
        """
        self._looked.wait(first_look_s)
        if self._serving is None:
            self._serve_last()

    def stop(self) -> None:
        """Look no more; what serves stays."""
        self._stopped.set()

    def refresh(self) -> None:
        """Look once: load what the registry names and this worker does not have.

        Raises
        ------
        RegistryError
            Where the registry is away; what serves stays.
        """
        with self._looking:
            mark = self._last.mark()
            named = self._registry.aliases()
            self._unnamed = "champion" not in named
            self._champion = self._follow_alias("champion", named, self._champion)
            self._serve()  # now: a challenger that fails must not keep the champion from serving
            self._challenger = self._follow_alias("challenger", named, self._challenger)
            self._serve()
            self._away = ""
            if self._champion is not None and self._champion is not self._copy:
                champion = self._champion.version
                self._confirm(champion, mark if named.get("champion") == champion else "")

    def _serve(self) -> None:
        if self._champion is not None:
            self._serving = Serving(self._champion, self._challenger)

    def _follow(self) -> None:
        """Look again and again; whatever fails, the next look may not."""
        while not self._stopped.is_set():
            try:
                self.refresh()
            except ClvError as error:
                self._away = "The registry is away: nobody is told of a new champion."
                _log.warning("The registry was not asked for a new champion: %s", error)
            except Exception:  # noqa: BLE001
                # Whatever it was, a follower that ends would leave the service behind for good.
                self._away = "Looking for a new champion fails; see the log."
                _log.exception("Looking for a new champion failed")
            self._looked.set()
            self._stopped.wait(self._poll_interval_s)

    def _follow_alias(
        self, alias: str, named: dict[str, str], current: Predictor | None
    ) -> Predictor | None:
        """The predictor to have for an alias: the named one where it can be loaded."""
        number = named.get(alias)
        if number != self._refused.get(alias):
            self._refused = {key: old for key, old in self._refused.items() if key != alias}
            self._broken.discard(alias)
        if number is None:
            # A champion stays when its alias is taken away; a challenger is just not asked.
            return current if alias == "champion" else None
        # A spoilt bundle is not tried again until the registry names another, one that is gone is.
        if alias in self._broken:
            return current
        if current and current is not self._copy and number == current.version:
            return current
        folder = None
        try:
            folder = self._registry.bundle(number)
            predictor = load(folder, number)
        except BundleError as error:
            if number != self._refused.get(alias):
                serves = current.version if current else "none"
                _log.error("Version %s (%s) refused, %s stays: %s", number, alias, serves, error)
            self._refused = {**self._refused, alias: number}
            # What a disk or network did not give this time, it may give the next.
            if folder is not None and not isinstance(error.__cause__, OSError):
                self._broken.add(alias)
            return current
        self._refused = {key: old for key, old in self._refused.items() if key != alias}
        _log.info("Version %s (%s) is %s", number, predictor.manifest.model, alias)
        if alias == "champion":
            self._keep(number, folder)
        return predictor

    def _keep(self, number: str, folder: Path) -> None:
        try:
            self._last.keep(number, folder)
        except OSError as error:
            _log.warning("Version %s serves, but was not kept for a restart: %s", number, error)

    def _confirm(self, number: str, mark: str) -> None:
        """Note for the next start that a registry with this mark need not be asked."""
        try:
            self._last.confirm(number, mark)
        except OSError as error:
            _log.warning("That version %s is champion was not kept: %s", number, error)

    def _serve_last(self) -> None:
        predictor = self._load_last()
        if predictor is None:
            return
        why = self._away or "The registry names no champion that can be loaded."
        _log.warning("%s Version %s, kept from before, serves", why, predictor.version)
        if self._serving is None:  # the registry may have answered meanwhile
            self._champion = predictor
            self._serving = Serving(predictor, None)

    def _load_last(self) -> Predictor | None:
        kept = self._last.find()
        if kept is None:
            return None
        number, folder = kept
        try:
            return load(folder, number)
        except BundleError as error:
            _log.error("Version %s, kept from before, cannot be loaded: %s", number, error)
            return None


def load(folder: Path, number: str) -> Predictor:
    """The predictor of a version that this service can serve with.

    Raises
    ------
    BundleError
        Where it is spoilt, cannot be read, or is of another window.
    """
    predictor = Predictor.load(folder, version=number)
    if predictor.window != WINDOW:
        raise BundleError(
            f"Version {number} is of {predictor.window}; this service is of {WINDOW}."
        )
    return predictor
