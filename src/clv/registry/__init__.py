"""Versions of the model, which of them serves, and why: a thin adapter on MLflow.

Two aliases name versions: `champion` serves, `challenger` waits. The champions that came before
are kept in a tag of the registered model, so that a rollback knows where to go; why a version
stands where it does is a tag of that version. Every change is added to a history.
"""

from clv.registry.history import Alias, Decision
from clv.registry.last import LastServed
from clv.registry.records import RunRecord, Version
from clv.registry.registry import NO_REASON, Registry, load_mlflow, open_registry

__all__ = [
    "NO_REASON",
    "Alias",
    "Decision",
    "LastServed",
    "Registry",
    "RunRecord",
    "Version",
    "load_mlflow",
    "open_registry",
]
