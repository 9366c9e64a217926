"""Versions of the model and which of them serves: a thin adapter on MLflow, and its only user.

Two aliases name versions: `champion` serves, `challenger` waits. The champions that came before
are kept in a tag of the registered model, so that a rollback knows where to go; why a version
stands where it does is a tag of that version.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

import clv.offline  # noqa: F401 - before MLflow

# isort: split
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Param
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from clv.errors import DataError, NotTrainedError, RegistryError
from clv.settings import Settings
from clv.sql import database_url, shown

__all__ = ["Alias", "Registry", "RunRecord", "Version", "open_registry"]

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

Alias = Literal["champion", "challenger"]

_FORMER = "former_champions"
_KEPT = 20  # a tag holds 5,000 characters
_BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class Version:
    """One registered model; `reason` says why it is or is not the champion."""

    number: str
    model: str
    aliases: tuple[str, ...]
    created_at: datetime
    reason: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a training leaves for scientists: one MLflow run, with one run a candidate below it."""

    name: str
    parameters: Mapping[str, object]
    metrics: Mapping[str, float]
    candidates: Sequence["RunRecord"] = ()


def open_registry(settings: Settings) -> "Registry":
    """The registry that the settings name."""
    return Registry(settings.registry_uri, settings.root, settings.model_name)


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

    Raises
    ------
    RegistryError
        From every method, where the registry is away or refuses.
    """

    def __init__(self, uri: str, folder: Path, name: str) -> None:
        self.uri = uri
        self.name = name
        self._folder = folder
        self._opened = False

    # ------------------------------------------------------------ reading

    def versions(self) -> list[Version]:
        """All versions, newest first."""
        if self._is_new():
            return []
        with self._client() as client:
            aliases = self._aliases(client)
            found = client.search_model_versions(f"name='{self.name}'")
        return sorted(
            (_version(version, aliases) for version in found),
            key=lambda version: -int(version.number),
        )

    def number_of(self, alias: Alias) -> str | None:
        """The version that an alias names, or None; cheap enough to ask every few seconds."""
        if self._is_new():
            return None
        with self._client() as client:
            return self._aliases(client).get(alias)

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
        """The folder of a version's bundle, downloaded where the registry is remote."""
        if self._is_new():
            raise self._no_such(number)
        with self._client() as client:
            try:
                version = client.get_model_version(self.name, number)
            except MlflowException as error:
                if _is_missing(error):
                    raise self._no_such(number) from error
                raise
            return Path(download_artifacts(artifact_uri=str(version.source), tracking_uri=self.uri))

    # ------------------------------------------------------------ writing

    def prepare(self) -> None:
        """See that the registry can be written to, and make its tables where they are missing."""
        with self._client():
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
        with self._client() as client:
            experiment = self._experiment(client)
            run = client.create_run(experiment, run_name=record.name)
            run_id = run.info.run_id
            try:
                _log(client, run_id, record)
                for candidate in record.candidates:
                    _log_child(client, experiment, run_id, candidate)
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

    def promote(self, number: str, reason: str) -> None:
        """Make a version the champion; the one before stays known for `rollback`."""
        number = str(int(number)) if number.isdecimal() else number  # MLflow takes 01 for 1
        self.bundle(number)  # a version that cannot be fetched must not become champion
        with self._client() as client:
            aliases = self._aliases(client)
            if aliases.get("champion") == number:
                raise RegistryError(f"Version {number} is the champion already.")
            former = self._former(client)
            if "champion" in aliases:
                former.append(aliases["champion"])
            self._crown(client, number, former)
            client.set_model_version_tag(self.name, number, "reason", reason)

    def challenge(self, number: str, reason: str) -> None:
        """Make a version the challenger."""
        with self._client() as client:
            client.set_registered_model_alias(self.name, "challenger", number)
            client.set_model_version_tag(self.name, number, "reason", reason)

    def rollback(self) -> str:
        """Return to the champion before, and say which it is.

        Raises
        ------
        RegistryError
            Where there was none.
        """
        left = self.champion()
        with self._client() as client:
            former = self._former(client)
            if not former:
                raise RegistryError("There is no champion before this one to return to.")
            number = former.pop()
            self.bundle(number)  # as in `promote`
            self._crown(client, number, former)
            client.set_model_version_tag(self.name, left, "reason", f"rolled back to {number}")
        return number

    # ------------------------------------------------------------ MLflow

    def _crown(self, client: MlflowClient, number: str, former: list[str]) -> None:
        # The tag first: where the second call fails, a rollback still leads somewhere sensible.
        client.set_registered_model_tag(self.name, _FORMER, json.dumps(former[-_KEPT:]))
        if self._aliases(client).get("challenger") == number:
            client.delete_registered_model_alias(self.name, "challenger")
        client.set_registered_model_alias(self.name, "champion", number)

    def _former(self, client: MlflowClient) -> list[str]:
        model = self._model(client)
        return list(json.loads(model.tags.get(_FORMER, "[]"))) if model else []

    def _aliases(self, client: MlflowClient) -> dict[str, str]:
        model = self._model(client)
        return {alias: str(number) for alias, number in model.aliases.items()} if model else {}

    def _model(self, client: MlflowClient) -> Any:
        try:
            return client.get_registered_model(self.name)
        except MlflowException as error:
            if _is_missing(error):
                return None
            raise

    def _experiment(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self.name)
        if found:
            return str(found.experiment_id)
        # A server has a place of its own for artefacts; a bare database has not.
        folder = None if self._is_server() else (self._folder / "artifacts").as_uri()
        return str(client.create_experiment(self.name, artifact_location=folder))

    def _is_server(self) -> bool:
        return self.uri.startswith(("http://", "https://", "databricks"))

    def _is_new(self) -> bool:
        """No database file yet: reading must not create one (MLflow would, in 2 seconds)."""
        if not self.uri.startswith("sqlite:"):
            return False
        file = database_url(self.uri).database
        return file is not None and not Path(file).exists()

    def _no_such(self, number: str) -> RegistryError:
        return RegistryError(
            f"There is no version '{number}' of '{self.name}'. See those there are: clv models list"
        )

    def _open(self) -> None:
        """See that the registry answers, and let MLflow make its tables where they are missing.

        We connect before MLflow does, which tries for 100 s to reach a database that is away. It
        makes the tables at the first call, without a lock: two processes that meet there both fail.
        """
        lock = nullcontext() if self._is_server() else FileLock(self._folder / ".registry.lock")
        with lock:
            if not self._is_server():
                url = database_url(self.uri)
                patience = {"connect_timeout": 5} if url.get_backend_name() == "postgresql" else {}
                create_engine(url, poolclass=NullPool, connect_args=patience).connect().close()
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
        self._opened = True

    @contextmanager
    def _client(self) -> Iterator[MlflowClient]:
        if not self._is_server():
            self._folder.mkdir(parents=True, exist_ok=True)
        try:
            if not self._opened:
                self._open()
            yield MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        except (MlflowException, SQLAlchemyError, OSError, ImportError, DataError) as error:
            where = self._shown()
            # MLflow repeats the URI in its messages, password and all.
            cause = str(error).strip().splitlines()[0].replace(self.uri.rstrip("/"), where)
            raise RegistryError(
                f"The model registry at {where} cannot be used: {cause.rstrip('.')}. "
                "Check MLFLOW_TRACKING_URI and that the registry is up."
            ) from error

    def _shown(self) -> str:
        """The URI without its password."""
        try:
            return shown(database_url(self.uri))
        except DataError:
            return "the address in MLFLOW_TRACKING_URI"


def _version(version: ModelVersion, aliases: Mapping[str, str]) -> Version:
    tags = dict(version.tags)
    return Version(
        number=str(version.version),
        model=tags.pop("model", ""),
        aliases=tuple(alias for alias, number in aliases.items() if number == str(version.version)),
        created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        reason=tags.pop("reason", ""),
        tags=tags,
    )


def _is_missing(error: MlflowException) -> bool:
    return error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


def _log_child(client: MlflowClient, experiment: str, parent: str, record: RunRecord) -> None:
    child = client.create_run(experiment, run_name=record.name, tags={"mlflow.parentRunId": parent})
    _log(client, child.info.run_id, record)
    client.set_terminated(child.info.run_id)


def _log(client: MlflowClient, run_id: str, record: RunRecord) -> None:
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, 0, 0) for name, value in record.metrics.items()],
        params=[Param(name, str(value)) for name, value in record.parameters.items()],
    )
