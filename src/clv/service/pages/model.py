"""The Model page: the champion, its training, the other versions and their history."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import escape
from pydantic import TypeAdapter, ValidationError

from clv.bundle import Manifest
from clv.errors import ClvError, NotTrainedError
from clv.registry import Decision, Registry, Version
from clv.service.worker import Worker

__all__ = ["Drawn", "ModelView", "Training", "model_view", "report_page"]

_log = logging.getLogger(__name__)
_SHOWN = 50  # changes of the history


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture: `figure` is what the plotting library draws, as JSON."""

    name: str
    title: str
    reading: str
    height: int
    figure: str


@dataclass(frozen=True, slots=True)
class Training:
    """What the training of a version left: `report` as `report.json` has it, and its pictures."""

    report: Mapping[str, Any]
    pictures: tuple[Drawn, ...]

    @property
    def issues(self) -> list[Mapping[str, Any]]:
        """The checks that found something."""
        return [check for check in self.report["checks"] if check["status"] == "issue"]


@dataclass(frozen=True, slots=True)
class ModelView:
    """The champion that serves, and what the registry tells; None in what cannot be told now.

    Attributes
    ----------
    serving : str or None
        The version that answers.
    why_none : str
        Why none does.
    manifest : Manifest or None
        Of that version.
    training : Training or None
        Of that version.
    versions : tuple of Version or None
        All there are, newest first.
    before : str or None
        The version that a rollback returns to.
    history : tuple of Decision
        Who changed which version serves, when and why; newest first.
    warnings : tuple of str
    """

    serving: str | None
    why_none: str
    manifest: Manifest | None
    training: Training | None
    versions: tuple[Version, ...] | None
    before: str | None
    history: tuple[Decision, ...]
    warnings: tuple[str, ...]

    @property
    def source(self) -> str:
        """What the model was trained on, without the folders of the machine that trained it."""
        return _without_folders(self.manifest.data.source, self.manifest) if self.manifest else ""


async def model_view(worker: Worker) -> ModelView:
    """Gather it. A registry that is away takes what it would tell, and not the page."""
    serving, manifest, why_none = None, None, ""
    try:
        champion = worker.models.current().champion
    except NotTrainedError as error:
        why_none = str(error)
    else:
        serving, manifest = champion.version, champion.manifest
    versions: tuple[Version, ...] | None = None
    before: str | None = None
    history: tuple[Decision, ...] = ()
    try:
        versions, before, history = await worker.ask_registry(_registered, worker.registry)
    except ClvError as error:
        _log.warning("The versions cannot be listed: %s", error)
    return ModelView(
        serving,
        why_none,
        manifest,
        await _training(worker, serving) if serving else None,
        versions,
        before,
        history,
        tuple(worker.warnings()),
    )


def report_page(registry: Registry, number: str) -> str:
    """The report of a version's training, a page of its own; blocks.

    It does not name the folders of the machine that trained, which are nothing to its readers.

    Raises
    ------
    ClvError
        Where there is none.
    OSError
        Where it cannot be read.
    """
    from clv.evaluation import REPORT_PAGE  # noqa: PLC0415 - see `_read`

    page = registry.report(number, REPORT_PAGE).read_text(encoding="utf-8")
    return _without_folders(page, Manifest.read(registry.bundle(number)))


def _without_folders(text: str, manifest: Manifest) -> str:
    """The text with the names of the files that were learnt from in place of their paths."""
    for source in manifest.data.source.split(" and "):
        if "/" in source and "://" not in source:
            for written in (source, str(escape(source))):  # in a page, as it stands in HTML
                text = text.replace(written, Path(source).name)
    return text


def _registered(
    registry: Registry,
) -> tuple[tuple[Version, ...], str | None, tuple[Decision, ...]]:
    history = registry.history()[:_SHOWN]
    return tuple(registry.versions()), registry.champion_before(), tuple(history)


async def _training(worker: Worker, number: str) -> Training | None:
    try:
        return await worker.ask_registry(_read, worker.registry, number)
    except (ClvError, OSError, ValueError, KeyError) as error:
        _log.warning("The report of version %s cannot be shown: %s", number, error)
        return None


@lru_cache(maxsize=4)
def _read(registry: Registry, number: str) -> Training:
    """Read a version's report and draw its pictures; neither ever changes."""
    # What draws takes longer to import than the rest of the service, and most processes of a
    # service are never asked for this page.
    from clv.evaluation import REPORT_JSON, Evaluation  # noqa: PLC0415
    from clv.evaluation.page import pictures_of  # noqa: PLC0415

    text = registry.report(number, REPORT_JSON).read_text(encoding="utf-8")
    report = json.loads(_without_folders(text, Manifest.read(registry.bundle(number))))
    try:
        pictures = pictures_of(TypeAdapter(Evaluation).validate_python(report["evaluation"]))
    except ValidationError as error:
        _log.warning("The pictures of version %s cannot be drawn: %s", number, error)
        pictures = []
    return Training(
        report,
        tuple(
            Drawn(one.name, one.title, one.reading, one.plot.layout.height, one.plot.to_json())
            for one in pictures
        ),
    )
