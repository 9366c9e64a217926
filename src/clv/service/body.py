"""Bodies as they arrive: JSON straight into a model, and how the documentation tells of it.

FastAPI parses to Python objects first and then validates those; to validate the bytes takes a
fifth of the time (docs/decisions/0009-the-hot-path.md), and tells NaN and infinities from numbers
by itself.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from clv.service.messages import located
from clv.service.problems import RefusedError
from clv.service.schemas.predictions import MAX_BATCH
from clv.service.worker import worker_of

__all__ = ["FEW_VALUES", "documented", "parsed"]

_Body = TypeVar("_Body", bound=BaseModel)

#: Values that a body may hold: of a document with rows, and of one without.
_MOST_VALUES = 16 * MAX_BATCH
FEW_VALUES = 1_000
_HINTS = 20
_LONGEST_NAME = 64


async def parsed(
    kind: type[_Body], request: Request, *, required: bool = True, values: int = _MOST_VALUES
) -> _Body:
    """Parse and validate the body.

    Parameters
    ----------
    kind : type
        The model of the body.
    request : Request
    required : bool
        Whether an empty body is an error; otherwise it is a model of defaults.
    values : int
        How many values the body may hold.

    Raises
    ------
    RequestValidationError
        As FastAPI would; places begin with `body`.
    RefusedError
        413 if it is too large or holds too many values, 408 if the client leaves before it is
        whole, 503 if there is no room for it.
    """
    worker = worker_of(request)
    content = await worker.bodies.read(request, worker.settings.max_body_bytes)
    if not content and not required:
        return kind()
    sent_as = request.headers.get("content-type", "")
    # Other kinds are refused because a page of another site may send them without being asked.
    if not sent_as.startswith("application/json"):
        raise RequestValidationError(
            [
                {
                    "type": "content_type",
                    "loc": ("header", "content-type"),
                    "msg": "expected application/json",
                    "input": sent_as,
                }
            ]
        )
    _check_values(content, values)
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise RequestValidationError(_with_hints(kind, located(error, "body"))) from None


def _check_values(content: bytes, most: int) -> None:
    """Refuse what takes long to parse: that holds up all other requests, in whatever thread."""
    if content.count(b",") > most:
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body holds more than {most:,} values. Send fewer passengers at once, each with "
            "the fields that are documented.",
        )


def _with_hints(kind: type[BaseModel], errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of a missing field which one was probably sent instead."""
    missing = [one for one in errors if one["type"] == "missing"]
    for one in missing[:_HINTS]:
        one["ctx"] = {"hint": _misspelt(kind, one)}
    return errors


def _misspelt(kind: type[BaseModel], missing: Mapping[str, Any]) -> str:
    """Which field was probably meant to be the one that is missing."""
    sent = missing["input"]
    if not isinstance(sent, dict) or len(sent) > _HINTS:
        return ""
    unknown = [name[:_LONGEST_NAME] for name in sent if name not in _fields(kind)]
    near = get_close_matches(str(missing["loc"][-1]), unknown, n=1)
    return f", but {near[0]} was sent; correct the name" if near else ""


@cache
def _fields(kind: type[BaseModel]) -> frozenset[str]:
    """The names of all fields of a model and of those within it."""
    schema = kind.model_json_schema()
    models = [schema, *schema.get("$defs", {}).values()]
    return frozenset(name for model in models for name in model.get("properties", ()))


def documented(kind: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Describe the body for OpenAPI; `openapi.describe` adds the schema that is referred to."""
    extra = kind.model_config.get("json_schema_extra")
    examples: Any = extra.get("examples", []) if isinstance(extra, dict) else []
    content = {
        "schema": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "examples": {
            f"example {number}": {"value": one} for number, one in enumerate(examples, start=1)
        },
    }
    return {"requestBody": {"required": required, "content": {"application/json": content}}}
