"""Logs: a JSON object a line for machines, a line of text for a person at a terminal."""

import logging
import os
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Any

from clv.printable import printable
from clv.settings import Settings

__all__ = ["REQUEST_ID", "as_json", "configuration", "new_request_id"]

#: Of the request that is answered just now; in every line that is logged meanwhile.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)

# Unique among all processes that there ever are, and a tenth of the cost of a UUID.
_PREFIX = os.urandom(8).hex()
_NUMBERS = count(1)

# Of each kind, so many lines are logged in so many seconds.
_BURST = 10
_BURST_S = 10.0


def new_request_id() -> bytes:
    """An id for a request that was sent without one."""
    return f"{_PREFIX}-{next(_NUMBERS)}".encode()


class _WithRequest(logging.Filter):
    """Adds the request to what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        request_id = REQUEST_ID.get()
        if request_id is not None:
            record.request_id = request_id
        record.__dict__.pop("color_message", None)  # uvicorn's, for its own formatter
        return True


class _Text(logging.Formatter):
    """A line for a person at a terminal, which nothing in a message can take over."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return printable(super().formatException(ei), keep="\n")


@dataclass
class _Kind:
    """Lines of one kind: since when they are counted, and how many were logged and left out."""

    since: float
    logged: int = 0
    left_out: int = 0


class _Flood(logging.Filter):
    """Leaves out what is said again and again; the next line says how many there were.

    A kind is a place in the code with a status, a route or a sort of error.
    """

    def __init__(self, exempt: Sequence[str]) -> None:
        super().__init__()
        self._exempt = exempt
        self._kinds: dict[tuple[object, ...], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO or record.name in self._exempt:
            return True
        kind = self._kinds.setdefault(_kind_of(record), _Kind(record.created))
        if record.created - kind.since >= _BURST_S:
            if kind.left_out:
                record.msg = f"{record.getMessage()} ({kind.left_out:,} more like this left out)"
                record.args = ()
            kind.since, kind.logged, kind.left_out = record.created, 0, 0
        if kind.logged >= _BURST:
            kind.left_out += 1
            return False
        kind.logged += 1
        return True


def _kind_of(record: logging.LogRecord) -> tuple[object, ...]:
    sort = type(record.args[0]) if isinstance(record.args, tuple) and record.args else None
    more = (getattr(record, name, None) for name in ("status", "route", "method"))
    return record.name, record.lineno, record.levelno, sort, *more


def as_json(settings: Settings) -> bool:
    """Whether logs are for machines."""
    return settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )


def configuration(settings: Settings) -> dict[str, Any]:
    """For `logging.config.dictConfig`: whoever logs, all to standard error and in one form."""
    # Who wants every request in the log gets every request.
    exempt = ["clv.access"] if settings.access_log else []
    here = {"handlers": ["stderr"], "level": settings.log_level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request": {"()": _WithRequest},
            "flood": {"()": _Flood, "exempt": exempt},
        },
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
                "formatter": "json" if as_json(settings) else "text",
                "filters": ["flood", "request"],
            }
        },
        "loggers": {"clv": here, "uvicorn": here},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
