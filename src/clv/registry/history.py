"""Who changed which model serves, when and why: a history that is only ever added to.

Each decision is an MLflow run of its own, in an experiment beside that of the trainings. Two
processes that decide at the same time add two runs, on a server as in a database, and neither a
version that is deleted nor a later decision takes one away.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["LONGEST", "Action", "Alias", "Decision", "decisions", "recorded"]

Alias = Literal["champion", "challenger"]
Action = Literal["promote", "rollback", "train", "retrain"]

#: Characters that a tag holds in every version of MLflow.
LONGEST = 5_000
_TAG = "clv."
_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class Decision:
    """One change of which model serves.

    Attributes
    ----------
    at : datetime
        When; aware, UTC.
    action : {'promote', 'rollback', 'train', 'retrain'}
        `promote` and `rollback` by a person; `train` and `retrain` decide by a comparison.
    version : str
        The version that the decision is about.
    alias : {'champion', 'challenger'}
        What it became.
    previous : str or None
        The champion until then.
    by : str
        An API key id, or the user of the command line; empty if unknown.
    reason : str
    """

    at: datetime
    action: str
    version: str
    alias: str
    previous: str | None
    by: str
    reason: str


@contextmanager
def recorded(
    client: "MlflowClient",
    experiment: str,
    action: Action,
    version: str,
    *,
    alias: Alias,
    previous: str | None,
    by: str,
    reason: str,
) -> Iterator[None]:
    """Add a decision to the history while the block carries it out.

    It is written down first, as done: a process that is killed in between leaves a decision that
    may not have been carried out, rather than a change that nobody can explain. One that fails is
    not listed.
    """
    tags = {
        "action": action,
        "version": version,
        "alias": alias,
        "previous": previous or "",
        "by": by,
        "reason": reason[:LONGEST],
    }
    run = client.create_run(
        experiment,
        run_name=f"{action} {version}",
        tags={_TAG + name: value for name, value in tags.items()},
    )
    client.set_terminated(run.info.run_id)
    try:
        yield
    except BaseException:
        from clv.registry.library import MlflowException

        with suppress(MlflowException, SQLAlchemyError, OSError):
            client.set_terminated(run.info.run_id, "FAILED")
        raise


def decisions(client: "MlflowClient", experiment: str) -> list[Decision]:
    """The last thousand decisions, newest first."""
    query = "attributes.status = 'FINISHED'"
    order = ["attributes.start_time DESC"]
    found = list(client.search_runs([experiment], query, max_results=_SHOWN, order_by=order))
    return [_decision(run) for run in found if _TAG + "version" in run.data.tags]


def _decision(run: "Run") -> Decision:
    tags = {name.removeprefix(_TAG): value for name, value in run.data.tags.items()}
    return Decision(
        at=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        action=tags["action"],
        version=tags["version"],
        alias=tags["alias"],
        previous=tags["previous"] or None,
        by=tags["by"],
        reason=tags["reason"],
    )
