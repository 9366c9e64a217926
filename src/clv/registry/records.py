"""What the registry keeps: versions of the model, and the runs that made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clv.registry.untrusted import version_number

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["RunRecord", "Version", "log_child", "log_run", "version_of"]


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


def version_of(version: "ModelVersion", aliases: Mapping[str, str]) -> Version:
    """As MLflow has it, in our words."""
    tags = dict(version.tags)
    number = version_number(version.version)
    return Version(
        number=number,
        model=tags.pop("model", ""),
        aliases=tuple(alias for alias, named in aliases.items() if named == number),
        created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        reason=tags.pop("reason", ""),
        tags=tags,
    )


def log_child(client: "MlflowClient", experiment: str, parent: str, record: RunRecord) -> None:
    """Log a run of its own below the run of the training."""
    child = client.create_run(experiment, run_name=record.name, tags={"mlflow.parentRunId": parent})
    log_run(client, child.info.run_id, record)
    client.set_terminated(child.info.run_id)


def log_run(client: "MlflowClient", run_id: str, record: RunRecord) -> None:
    """Log parameters and metrics."""
    from clv.registry.library import Metric, Param

    client.log_batch(
        run_id,
        metrics=[Metric(name, value, 0, 0) for name, value in record.metrics.items()],
        params=[Param(name, str(value)) for name, value in record.parameters.items()],
    )
