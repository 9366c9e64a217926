"""Retrain in a process of its own, which ends at a chosen place as `kill -9` would end it."""

import os
import signal
import sys
from datetime import datetime
from functools import partial
from pathlib import Path

from mlflow import MlflowClient

from clv.registry import Registry, open_registry
from clv.settings import Settings
from clv.tracking import open_database
from clv.training import retrain, train
from support import quick_candidates
from support.commands import WARM
from support.warm import Forked

__all__ = ["NOWHERE", "PLACES", "start"]

NOWHERE = "nowhere"
PLACES = ("before the version", "before the decision", "before the reason")


def start(home: Path, url: str, now: datetime, where: str = NOWHERE) -> Forked:
    """In a process of its own."""
    return WARM.start(
        "from support.retraining import main; main()",
        ["retraining", str(home), url, now.isoformat(), where],
        environment=os.environ,
        stdout=sys.__stdout__.buffer,
        stderr=sys.__stderr__.buffer,
    )


def _end(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    home, url, now, where = sys.argv[1:]
    if where == PLACES[0]:
        MlflowClient.create_model_version = _end
    elif where == PLACES[1]:
        Registry.promote = Registry.challenge = _end
    elif where == PLACES[2]:
        MlflowClient.set_model_version_tag = _end
    registry = open_registry(Settings(home=Path(home)))
    learn = partial(train, among=quick_candidates())
    engine = open_database(url)
    retrain(engine, registry, Path(home), now=datetime.fromisoformat(now), learn=learn)
    engine.dispose()
