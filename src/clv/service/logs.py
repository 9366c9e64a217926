"""Logs: a JSON object a line for machines, a line of text for a person at a terminal."""

import logging
import sys
from contextvars import ContextVar
from typing import Any

from clv.settings import Settings

__all__ = ["REQUEST_ID", "configuration"]

#: Of the request that is answered just now; in every line that is logged meanwhile.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)


class _WithRequest(logging.Filter):
    """Adds the request to what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        request_id = REQUEST_ID.get()
        if request_id is not None:
            record.request_id = request_id
        return True


def configuration(settings: Settings) -> dict[str, Any]:
    """For `logging.config.dictConfig`: ours and uvicorn's alike, to standard error."""
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    here = {"handlers": ["stderr"], "level": settings.log_level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": _WithRequest}},
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "format": "%(levelname)s %(name)s %(message)s",
                "rename_fields": {"levelname": "level", "name": "logger"},
                "timestamp": "at",
            },
            "text": {"format": "%(levelname)s: %(message)s"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "json" if as_json else "text",
                "filters": ["request"],
            }
        },
        "loggers": {"clv": here, "uvicorn": here, "py.warnings": here},
    }
