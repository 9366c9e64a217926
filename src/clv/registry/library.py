"""What the registry uses of MLflow. Imported at first use: it takes longer than a server's start.

MLflow reads its settings as it is imported: `clv.offline` stands before it.
"""

import clv.offline  # noqa: F401 - before MLflow

# isort: split
import logging

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

__all__ = ["Metric", "MlflowClient", "MlflowException", "Param", "download_artifacts"]

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
