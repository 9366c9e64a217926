"""Every setting, and the only place that reads the environment."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from clv.errors import UsageError

__all__ = ["Settings", "load_settings", "metrics_folder", "tell_workers", "unknown_variables"]

_PREFIX = "CLV_"
_HOST_NAME = re.compile(r"\*|(\*\.)?[a-z0-9._-]+|\[?[0-9a-f:]+\]?")


class Settings(BaseSettings):
    """What can be set from outside, by environment variable. Frozen once read."""

    # An empty variable is an unset one: CLV_HOME= would otherwise be the current folder.
    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
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
    allow_anonymous: bool = Field(
        default=False,
        description="While no API key exists, answer everything, even if other machines can "
        "reach the service. Otherwise such a service only predicts.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Host names that are answered while no API key exists, in addition to "
        "localhost and 127.0.0.1: `clv.example.com, *.internal`, or `*` for any.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("127.0.0.1", "::1"),
        description="Addresses or networks of proxies whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are trusted: `10.0.0.0/8, 192.168.1.7`, or `*` for any.",
    )
    session_hours: float = Field(
        default=12.0,
        gt=0,
        le=24 * 365,
        description="Hours until a session on the pages expires and its user has to sign in again.",
    )
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
        description="Currency of amounts, shown next to them on the pages: a code such as `EUR`, "
        "or a sign. Default: numbers without a unit.",
    )

    @field_validator("allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _separated(cls, text: object) -> object:
        """`a, b` as two."""
        if isinstance(text, str):
            return tuple(part.strip().lower() for part in text.split(",") if part.strip())
        return text

    @field_validator("allowed_hosts")
    @classmethod
    def _names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST_NAME.fullmatch(host):
                raise PydanticCustomError(
                    "host", "expected names without scheme and port, such as clv.example.com"
                )
        return hosts

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                proxy == "*" or ip_network(proxy)
            except ValueError:
                raise PydanticCustomError(
                    "proxy", "expected IP addresses or networks, such as 10.0.0.0/8"
                ) from None
        return proxies

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
        name = name if name.isupper() else f"{_PREFIX}{name.upper()}"
        given = os.environ.get(name, first["input"])
        raise UsageError(
            f"{name} is {given!r}: {first['msg'][0].lower()}{first['msg'][1:]}. "
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


def unknown_variables() -> list[str]:
    """A warning for each `CLV_*` variable that is no setting, with the nearest one.

    A misspelt variable would otherwise be ignored without a word.
    """
    # Without the prefix, which all have in common: it would make everything near.
    known = {
        name.upper(): str(field.validation_alias.choices[0])
        if isinstance(field.validation_alias, AliasChoices)
        else f"{_PREFIX}{name.upper()}"
        for name, field in Settings.model_fields.items()
    }
    found = sorted(name for name in os.environ if name.startswith(_PREFIX))
    return [_unknown(name, known) for name in found if name.upper() not in known.values()]


def _unknown(name: str, known: Mapping[str, str]) -> str:
    near = get_close_matches(name.removeprefix(_PREFIX).upper(), sorted(known), n=1)
    return f"{name} is not a setting and is ignored. " + (
        f"Did you mean {known[near[0]]}?" if near else "Settings: docs/reference.md."
    )


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
