"""Libraries that do more than asked are told not to. Import before them; it acts on import.

MLflow sends usage data by default, writes to standard error in a form of its own, and can be told
otherwise only by environment variables that stand before it is imported. Who set them already is
left alone.
"""

import os

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    # A registry that is away is said within seconds, not after seven retries.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}.items():
    os.environ.setdefault(_name, _value)  # noqa: TID251 - written for others, not read
