"""The registered model: versions, aliases, artefacts, on MLflow."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import EllipsisType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy.exc import SQLAlchemyError

from clv.errors import (
    BundleError,
    NoSuchVersionError,
    NotTrainedError,
    PromotionError,
    RegistryError,
)
from clv.registry.history import LONGEST, Action, Alias, Decision, decisions, recorded
from clv.registry.records import RunRecord, Version, log_child, log_run, version_of
from clv.registry.store import Store
from clv.registry.untrusted import named, run_of, version_numbers, wanted_files
from clv.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

__all__ = ["NO_REASON", "Registry", "load_mlflow", "open_registry"]

#: What stands for the reason of a rollback if none is given.
NO_REASON = "no reason given"

_FORMER = "former_champions"
_KEPT = 20  # a tag holds 5,000 characters
_BUNDLE = "bundle"
_HISTORY = " history"  # of the experiment, after the name of the model


def open_registry(settings: Settings, *, by: str = "") -> "Registry":
    """The registry that the settings name; `by` says who uses it, for its history."""
    return Registry(settings.registry_uri, settings.root, settings.model_name, by=by)


def load_mlflow() -> None:
    """Import MLflow now; otherwise it is imported when a registry is first used."""
    import clv.registry.library  # noqa: F401


class Registry:
    """The versions of one registered model. Nothing is created before the first `register`.

    Parameters
    ----------
    uri : str
        MLflow server, or database such as `sqlite:////folder/mlflow.sqlite`.
    folder : Path
        Where artefacts are kept when `uri` is a database.
    name : str
        The registered model, and the experiment.
    by : str
        Who uses it: what the history says of decisions that name nobody else.

    Raises
    ------
    RegistryError
        From every method, where the registry is away or refuses.
    """

    def __init__(self, uri: str, folder: Path, name: str, *, by: str = "") -> None:
        self.uri = uri
        self.name = name
        self.by = by
        self._folder = folder
        self._artifacts = folder / "artifacts"
        self._store = Store(uri, folder)

    # ------------------------------------------------------------ reading

    def versions(self) -> list[Version]:
        """All versions, newest first."""
        if self._store.is_new:
            return []
        with self._store.client() as client:
            aliases = self._aliases(client)
            found = client.search_model_versions(f"name='{self.name}'")
            return sorted(
                (version_of(version, aliases) for version in found),
                key=lambda version: -int(version.number),
            )

    def aliases(self) -> dict[str, str]:
        """The version that each alias names; cheap enough to ask every few seconds."""
        if self._store.is_new:
            return {}
        with self._store.client() as client:
            return self._aliases(client)

    def number_of(self, alias: Alias) -> str | None:
        """The version that an alias names, or None."""
        return self.aliases().get(alias)

    def champion(self) -> str:
        """The version that serves.

        Raises
        ------
        NotTrainedError
            Where there is none yet.
        """
        number = self.number_of("champion")
        if number is None:
            raise NotTrainedError("There is no champion yet. Train one: clv train --data SOURCE")
        return number

    def bundle(self, number: str) -> Path:
        """The folder of a version's bundle.

        Raises
        ------
        BundleError
            Where it is gone.
        NoSuchVersionError
            Where there is no such version.
        """
        return self._artefact(number, _BUNDLE)

    def report(self, number: str, name: str) -> Path:
        """A report that the training of a version left."""
        return self._artefact(number, name)

    def history(self) -> list[Decision]:
        """Who changed which version serves, when and why: the last 1,000, newest first."""
        if self._store.is_new:
            return []
        with self._store.client() as client:
            kept = client.get_experiment_by_name(self.name + _HISTORY)
            return decisions(client, str(kept.experiment_id)) if kept else []

    def _artefact(self, number: str, name: str) -> Path:
        """A file or folder of the run that made a version; downloaded once from a server."""
        from clv.registry.library import MlflowException, download_artifacts

        if self._store.is_new:
            raise self._no_such(number)
        with self._store.client() as client:
            try:
                version = client.get_model_version(self.name, number)
            except MlflowException as error:
                if _is_missing(error):
                    raise self._no_such(number) from error
                raise
            run_id = run_of(version.run_id)
            if self._store.is_server:
                return self._downloaded(client, run_id, name)
            # The stored addresses are absolute: they are of where the folder was at first.
            here = self._artifacts / run_id / "artifacts" / name
            if here.exists():
                return here
            source = str(version.source).removesuffix(_BUNDLE) + name
            if here.parent.exists() or _is_gone(source):
                kind = BundleError if name == _BUNDLE else RegistryError
                raise kind(
                    f"The '{name}' of version {number} of '{self.name}' is gone. Put it back, "
                    "train again, or ask for another version: clv models list"
                )
            return Path(download_artifacts(artifact_uri=source, tracking_uri=self.uri))

    def _downloaded(self, client: "MlflowClient", run_id: str, name: str) -> Path:
        """From a server, whole or not at all; artefacts of a run do not change."""
        from clv.registry.library import download_artifacts

        kept = self._folder / "cache" / run_id / name
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=kept.parent, prefix=".download-") as folder:
                fetch = partial(
                    download_artifacts, run_id=run_id, dst_path=folder, tracking_uri=self.uri
                )
                if name == _BUNDLE:
                    whole = Path(folder) / "whole"
                    whole.mkdir()
                    for path in wanted_files(name, client.list_artifacts(run_id, name)):
                        Path(fetch(artifact_path=path)).rename(whole / Path(path).name)
                else:
                    whole = Path(fetch(artifact_path=name))
                with suppress(OSError):  # another process was faster
                    whole.rename(kept)
        return kept

    # ------------------------------------------------------------ writing

    def prepare(self) -> None:
        """See that the registry can be written to, and make its tables where they are missing."""
        with self._store.client():
            pass

    def register(
        self, bundle: Path, extras: Sequence[Path], record: RunRecord, tags: Mapping[str, str]
    ) -> str:
        """Log a training run with its artefacts and register its bundle as a new version.

        The version is created last: a failure before leaves a run, never a half-registered model.

        Returns
        -------
        str
            Number of the version; no alias names it yet.
        """
        from clv.registry.library import MlflowException

        with self._store.client() as client:
            experiment = self._experiment(client)
            run = client.create_run(experiment, run_name=record.name, tags=dict(tags))
            run_id = run.info.run_id
            try:
                log_run(client, run_id, record)
                for candidate in record.candidates:
                    log_child(client, experiment, run_id, candidate)
                client.log_artifacts(run_id, str(bundle), _BUNDLE)
                for path in extras:
                    client.log_artifact(run_id, str(path))
            except (MlflowException, SQLAlchemyError, OSError):
                with suppress(MlflowException, SQLAlchemyError, OSError):
                    client.set_terminated(run_id, "FAILED")
                raise
            client.set_terminated(run_id)
            if self._model(client) is None:
                client.create_registered_model(self.name)
            version = client.create_model_version(
                self.name,
                source=f"{run.info.artifact_uri}/{_BUNDLE}",
                run_id=run_id,
                tags={"model": record.name, **tags},
            )
            return str(version.version)

    def promote(
        self,
        number: str,
        reason: str,
        *,
        by: str | None = None,
        action: Action = "promote",
        expected: str | EllipsisType | None = ...,
    ) -> None:
        """Make a version the champion; the one before stays known for `rollback`.

        Parameters
        ----------
        number : str
        reason : str
            Kept with the version, and in the history.
        by : str, optional
            Who does it, for the history; by default who uses the registry.
        action : {'promote', 'train', 'retrain'}
            What led to it, for the history.
        expected : str or None, optional
            The champion that it was compared with, None where there was none. Where that is not
            so any more, nothing is promoted; left out, whoever is champion gives way.

        Raises
        ------
        RegistryError
            Where it is the champion already, or the champion is not the expected one.
        """
        number = str(int(number)) if number.isdecimal() else number  # MLflow takes 01 for 1
        self.bundle(number)  # a version that cannot be fetched must not become champion
        with self._store.client() as client, self._store.lock():
            aliases = self._aliases(client)
            champion = aliases.get("champion")
            if champion == number:
                raise PromotionError(f"Version {number} is the champion already.")
            if expected is not ... and champion != expected:
                before = f"compared with version {expected}" if expected else "to be the first"
                now = f"version {champion}" if champion else "none"
                raise PromotionError(
                    f"Version {number} was {before}, but {now} became champion meanwhile. Nothing "
                    f"was promoted; train again, or: clv models promote {number}"
                )
            former = self._former(client)
            if champion:
                former.append(champion)
            with self._recorded(client, action, number, "champion", champion, by, reason):
                self._crown(client, number, former)
                client.set_model_version_tag(self.name, number, "reason", reason[:LONGEST])

    def challenge(self, number: str, reason: str, *, action: Action = "train") -> None:
        """Make a version the challenger; `action` as in `promote`."""
        with self._store.client() as client:
            champion = self._aliases(client).get("champion")
            with self._recorded(client, action, number, "challenger", champion, None, reason):
                client.set_registered_model_alias(self.name, "challenger", number)
                client.set_model_version_tag(self.name, number, "reason", reason[:LONGEST])

    def end_interrupted(self, tag: str) -> None:
        """Have runs that carry a tag and never ended, as after `kill -9`, be ended as killed.

        For callers who know that none of them still runs.
        """
        if self._store.is_new:
            return
        with self._store.client() as client:
            experiment = self._experiment(client)
            query = f"attributes.status = 'RUNNING' and tags.`{tag}` != ''"
            for run in client.search_runs([experiment], query):
                client.set_terminated(run.info.run_id, "KILLED")

    def remember(self, name: str, text: str) -> None:
        """Keep a sentence with the registered model, in place of the last of that name."""
        with self._store.client() as client:
            if self._model(client) is not None:
                client.set_registered_model_tag(self.name, name, text[:LONGEST])

    def remembered(self, name: str) -> str:
        """The sentence of that name; empty where there is none."""
        if self._store.is_new:
            return ""
        with self._store.client() as client:
            model = self._model(client)
        return str(model.tags.get(name, "")) if model else ""

    def explain(self, number: str, reason: str) -> None:
        """Keep with a version why it stands where it does."""
        with self._store.client() as client:
            client.set_model_version_tag(self.name, number, "reason", reason)

    def champion_before(self) -> str | None:
        """The version that a rollback returns to, or None."""
        if self._store.is_new:
            return None
        with self._store.client() as client:
            former = self._former(client)
        return former[-1] if former else None

    def rollback(
        self, reason: str = NO_REASON, *, by: str | None = None, expected: str | None = None
    ) -> str:
        """Return to the champion before, and say which it is.

        Parameters
        ----------
        reason : str
            Kept with both versions, and in the history.
        by : str, optional
            Who does it, for the history; by default who uses the registry.
        expected : str, optional
            The champion to leave. Where another is champion, nothing is done.

        Raises
        ------
        PromotionError
            Where there was none before, or the champion is not the expected one.
        """
        self.champion()  # where there is none there is nothing to open
        with self._store.client() as client, self._store.lock():
            left = self.champion()
            if expected not in (None, left):
                raise PromotionError(
                    f"Version {expected} is not the champion, version {left} is. Nothing was done."
                )
            former = self._former(client)
            if not former:
                raise PromotionError("There is no champion before this one to return to.")
            number = former.pop()
            self.bundle(number)  # as in `promote`
            with self._recorded(client, "rollback", number, "champion", left, by, reason):
                self._crown(client, number, former)
                for version, why in (
                    (number, f"rolled back from {left}: {reason}"),
                    (left, f"rolled back to {number}: {reason}"),
                ):
                    client.set_model_version_tag(self.name, version, "reason", why[:LONGEST])
        return number

    # ------------------------------------------------------------ MLflow

    def _recorded(
        self,
        client: "MlflowClient",
        action: Action,
        number: str,
        alias: Alias,
        previous: str | None,
        by: str | None,
        reason: str,
    ) -> AbstractContextManager[None]:
        name = self.name + _HISTORY
        kept = client.get_experiment_by_name(name)
        # Nothing is stored in its folder, so the history stays one when the folder is moved.
        place = None if self._store.is_server else self._artifacts.as_uri()
        return recorded(
            client,
            str(kept.experiment_id if kept else client.create_experiment(name, place)),
            action,
            number,
            alias=alias,
            previous=previous,
            by=self.by if by is None else by,
            reason=reason,
        )

    def _crown(self, client: "MlflowClient", number: str, former: list[str]) -> None:
        # The tag first: where the second call fails, a rollback still leads somewhere sensible.
        client.set_registered_model_tag(self.name, _FORMER, json.dumps(former[-_KEPT:]))
        if self._aliases(client).get("challenger") == number:
            client.delete_registered_model_alias(self.name, "challenger")
        client.set_registered_model_alias(self.name, "champion", number)

    def _former(self, client: "MlflowClient") -> list[str]:
        model = self._model(client)
        return version_numbers(model.tags.get(_FORMER, "[]")) if model else []

    def _aliases(self, client: "MlflowClient") -> dict[str, str]:
        model = self._model(client)
        return named(model.aliases) if model else {}

    def _model(self, client: "MlflowClient") -> Any:
        from clv.registry.library import MlflowException

        try:
            return client.get_registered_model(self.name)
        except MlflowException as error:
            if _is_missing(error):
                return None
            raise

    def _experiment(self, client: "MlflowClient") -> str:
        """Where runs are logged: one experiment, and one for each place the folder was moved to.

        A server has a place of its own for artefacts; for a bare database it is our folder, and
        that of an experiment cannot be changed.
        """
        place = None if self._store.is_server else self._artifacts.as_uri()
        name = self.name
        found = client.get_experiment_by_name(name)
        if found and place not in (None, found.artifact_location):
            name = f"{self.name} in {self._folder}"
            found = client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        return str(client.create_experiment(name, artifact_location=place))

    def _no_such(self, number: str) -> NoSuchVersionError:
        return NoSuchVersionError(
            f"There is no version '{number}' of '{self.name}'. See those there are: clv models list"
        )


def _is_gone(address: str) -> bool:
    """Whether an artefact in the file system is not there; of other places nobody can tell."""
    parts = urlsplit(address)
    return parts.scheme == "file" and not Path(url2pathname(parts.path)).exists()


def _is_missing(error: "MlflowException") -> bool:
    return error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
