"""Logs: a JSON object a line for machines, a line of text for a person at a terminal."""

import logging
import os
import sys
from contextvars import ContextVar
from itertools import count
from typing import Any

from clv.printable import printable
from clv.settings import Settings

__all__ = ["REQUEST_ID", "configuration", "new_request_id"]

#: Of the request that is answered just now; in every line that is logged meanwhile.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)

# Unique among all processes that there ever are, and a tenth of the cost of a UUID.
_PREFIX = os.urandom(8).hex()
_NUMBERS = count(1)


def new_request_id() -> bytes:
    """An id for a request that was sent without one."""
    return f"{_PREFIX}-{next(_NUMBERS)}".encode()


class _WithRequest(logging.Filter):
    """Adds the request to what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        request_id = REQUEST_ID.get()
        if request_id is not None:
            record.request_id = request_id
        return True


class _Text(logging.Formatter):
    """A line for a person at a terminal, which nothing in a message can take over."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return printable(super().formatException(ei), keep="\n")


def configuration(settings: Settings) -> dict[str, Any]:
    """For `logging.config.dictConfig`: whoever logs, all to standard error and in one form."""
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
            "text": {"()": _Text, "fmt": "%(levelname)s: %(message)s"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "json" if as_json else "text",
                "filters": ["request"],
            }
        },
        "loggers": {"clv": here, "uvicorn": here},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
