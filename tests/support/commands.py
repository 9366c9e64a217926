"""`clv` as a process of its own, and other programs that use the package, started in no time."""

import os
from pathlib import Path

from support.warm import Warm

__all__ = ["WARM", "clv"]

#: Has imported what commands and trainings import when they run.
WARM = Warm(
    f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
import alembic.migration, duckdb, mlflow, psycopg, pyarrow.csv, pyarrow.parquet
import mlflow.store.model_registry.sqlalchemy_store, mlflow.store.tracking.sqlalchemy_store
import clv.cli, clv.registry, clv.scoring, clv.tracking, clv.training
import support.retraining
"""
)


def clv(*arguments: object, folder: Path | None = None, **variables: str) -> str:
    """Run a command that has to succeed; what it wrote to standard output."""
    done = WARM.run(
        "from clv.cli import main; main()",
        ["clv", *map(str, arguments)],
        environment={**os.environ, **variables},
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
