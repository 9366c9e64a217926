"""MLflow behind an address: opened once, locked where that is possible, errors in our words."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from clv.errors import ClvError, DataError, RegistryError
from clv.sql import database_url, shown
from clv.sqlite import use_one_sqlite

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Store"]

_LONGEST_CAUSE = 1_000


class Store:
    """An MLflow server, or a database used as one.

    Parameters
    ----------
    uri : str
    folder : Path
        Made when the store is first used.
    """

    def __init__(self, uri: str, folder: Path) -> None:
        self.uri = uri
        self._folder = folder
        self._opened = False

    @property
    def is_server(self) -> bool:
        """Whether it keeps artefacts itself."""
        return self.uri.startswith(("http://", "https://", "databricks"))

    @property
    def is_new(self) -> bool:
        """No database file yet: reading must not create one (MLflow would, in 2 seconds)."""
        if not self.uri.startswith("sqlite:"):
            return False
        file = database_url(self.uri).database
        if file is None or Path(file).exists():
            return False
        if self._opened:
            raise RegistryError(
                f"The model registry at {self._shown()} is gone since it was opened. Put the file "
                "back, or restore it from a backup."
            )
        return True

    @contextmanager
    def client(self) -> Iterator["MlflowClient"]:
        """A client of the opened store.

        Raises
        ------
        RegistryError
            In place of whatever MLflow or the database raises.
        """
        from clv.registry.library import MlflowClient, MlflowException

        if not self.is_server:
            self._folder.mkdir(parents=True, exist_ok=True)
        try:
            if not self._opened:
                self._open()
            yield MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        except (MlflowException, SQLAlchemyError, OSError, ImportError, DataError) as error:
            raise self._cannot_be_used(str(error)) from error
        except ClvError:
            raise
        except Exception as error:
            # An answer that MLflow does not understand: KeyError, TypeError, whatever it trips on.
            raise self._cannot_be_used(f"{type(error).__name__}: {error}") from error

    def _cannot_be_used(self, cause: str) -> RegistryError:
        where = self._shown()
        # MLflow repeats the URI in its messages, password and all.
        first = (cause.strip().splitlines() or ["no reason given"])[0][:_LONGEST_CAUSE]
        said = first.replace(self.uri.rstrip("/"), where).rstrip(".")
        return RegistryError(
            f"The model registry at {where} cannot be used: {said}. "
            "Check MLFLOW_TRACKING_URI and that the registry is up."
        )

    def lock(self) -> AbstractContextManager[Any]:
        """One process at a time, as far as processes share the folder."""
        if self.is_server:
            return nullcontext()
        return FileLock(self._folder / ".registry.lock")

    def _open(self) -> None:
        """See that the registry answers, and let MLflow make its tables where they are missing.

        We connect before MLflow does, which tries for 100 s to reach a database that is away. It
        makes the tables at the first call, without a lock: two processes that meet there both fail.
        """
        from clv.registry.library import MlflowClient

        with self.lock():
            if not self.is_server:
                url = database_url(self.uri)
                use_one_sqlite()  # it may be the file of the tracking database
                patience = {"connect_timeout": 5} if url.get_backend_name() == "postgresql" else {}
                create_engine(url, poolclass=NullPool, connect_args=patience).connect().close()
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
        self._opened = True

    def _shown(self) -> str:
        """The URI without its password."""
        try:
            return shown(database_url(self.uri))
        except DataError:
            return "the address in MLFLOW_TRACKING_URI"
