"""The audit trail: who changed what, one line in the log each."""

import logging
from typing import Any

from starlette.requests import Request

from clv.service.access import KEY
from clv.tracking import ApiKey

__all__ = ["audit"]

_log = logging.getLogger("clv.audit")


def audit(request: Request, action: str, result: str, **facts: Any) -> None:
    """Log a change that a request made.

    Parameters
    ----------
    request : Request
    action : str
        What was done, as `reset`.
    result : str
        What became of it, for people.
    **facts
        The same for machines, as fields of the line.
    """
    key: ApiKey | None = request.scope.get(KEY)
    who = "without a key" if key is None else f"by key {key.id}"
    fields = {"action": action, "key": key and key.id, **facts}
    _log.info("%s %s: %s", action, who, result, extra=fields)
