"""Every setting, and the only place that reads the environment."""

import os
from functools import cached_property
from pathlib import Path

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from clv.errors import UsageError

__all__ = ["Settings", "load_settings", "metrics_folder", "tell_workers"]


class Settings(BaseSettings):
    """What can be set from outside, by environment variable. Frozen once read."""

    # An empty variable is an unset one: CLV_HOME= would otherwise be the current folder.
    model_config = SettingsConfigDict(
        env_prefix="CLV_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    home: Path = Field(
        default=Path("var"),
        description="Folder of all that is kept: registry, artefacts, databases, sample data.",
    )
    database_url: str = Field(
        default="",
        description="Tracking database (SQLAlchemy URL). Default: `tracking.sqlite` in `CLV_HOME`.",
    )
    mlflow_tracking_uri: str = Field(
        default="",
        validation_alias=AliasChoices("MLFLOW_TRACKING_URI"),
        description="Registry: MLflow server or database. Default: `mlflow.sqlite` in `CLV_HOME`.",
    )
    model_name: str = Field(
        default="clv",
        pattern="^[^/:'\"]+$",  # as MLflow has it
        description="Name of the registered model; two products can share one MLflow server.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the service binds to.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port that the service binds to.")
    workers: int = Field(default=1, ge=1, le=64, description="Server processes.")
    poll_interval_s: float = Field(
        default=5.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds between two looks at the registry for a new champion.",
    )
    tracking_queue_rows: int = Field(
        default=20_000,
        ge=10_000,  # one batch
        description="Rows that may wait to be tracked; beyond that the service answers 503.",
    )
    max_body_bytes: int = Field(
        default=4 * 2**20,
        ge=1024,
        description="Largest body of a request; beyond that the service answers 413.",
    )
    max_upload_bytes: int = Field(
        default=64 * 2**20,
        ge=1024,
        description="Largest list of a segment that may be uploaded; beyond that it is 413.",
    )
    max_uploads: int = Field(
        default=4,
        ge=1,
        le=1_000,
        description="Uploaded lists of more than 1 MiB that a process holds at a time, and four "
        "times as many small ones; beyond that the service answers 503.",
    )
    max_buffered_bytes: int = Field(
        default=64 * 2**20,
        ge=1024,
        description="Memory of a process for the bodies of unfinished requests, not counting the "
        "first 64 KiB of each; beyond that the service answers 503.",
    )
    read_timeout_s: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a client may take to send a request; then it is 408.",
    )
    max_connections: int = Field(
        default=1_000,
        ge=1,
        description="Open connections of a process; beyond that idle ones are closed.",
    )
    requests_per_s: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Requests a second of an API key that has no limit of its own, in each "
        "process; beyond that the service answers 429. Default: no limit.",
    )
    drain_s: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that a service asked to stop (SIGTERM) still takes new requests, "
        "while `/ready` already answers 503: as long as a load balancer needs to notice.",
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="DEBUG, INFO, WARNING or ERROR.",
    )
    log_format: str = Field(
        default="auto",
        pattern="^(auto|json|text)$",
        description="`json` (a line each), `text`, or `auto`: text on a terminal, otherwise JSON.",
    )
    access_log: bool = Field(
        default=False, description="Log every request, not only those that failed."
    )

    keep_days: int | None = Field(
        default=None,
        ge=30,
        description="Days after which `clv prune` deletes tracked requests, once they are added up "
        "for the monitoring; at least 30, as outcomes come no sooner. Default: kept for ever.",
    )

    currency: str = Field(
        default="",
        pattern=r"^\S{0,8}$",
        description="What money is counted in, shown beside it on the pages: a code such as `EUR`, "
        "or a sign. Default: numbers without a unit.",
    )

    @cached_property
    def root(self) -> Path:
        """`home` as an absolute path, so that what is stored does not depend on the folder."""
        return self.home.expanduser().resolve()

    @property
    def tracking_url(self) -> str:
        """SQLAlchemy URL of the tracking database."""
        return self.database_url or f"sqlite:///{self.root / 'tracking.sqlite'}"

    @property
    def registry_uri(self) -> str:
        """Where MLflow keeps runs and versions."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.root / 'mlflow.sqlite'}"


def load_settings() -> Settings:
    """Read the environment.

    Raises
    ------
    UsageError
        Where a variable cannot be used; names it, its value and what was expected.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        name = name if name.isupper() else f"CLV_{name.upper()}"
        raise UsageError(
            f"{name} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}. "
            "Correct the variable or unset it."
        ) from error
    try:
        root = settings.root
        usable = next(path for path in (root, *root.parents) if path.exists()).is_dir()
    except (OSError, RuntimeError):  # RuntimeError: there is no such user as in ~user
        usable = False
    if not usable:
        raise UsageError(
            f"CLV_HOME is '{settings.home}': expected a folder, or a path where one can be made. "
            "Correct the variable or unset it."
        )
    return settings


# The library reads it when it is imported, in each worker.
_METRICS = "PROMETHEUS_MULTIPROC_DIR"


def tell_workers(*, metrics: str, host: str) -> None:
    """Have this process and those that it starts keep metrics in one folder, and know where it is.

    `host` is what the service is bound to, which the command line may have said.
    """
    os.environ[_METRICS] = metrics
    os.environ["CLV_HOST"] = host


def metrics_folder() -> Path | None:
    """Where the workers keep their metrics, or None: in memory."""
    folder = os.environ.get(_METRICS)
    return Path(folder) if folder else None
