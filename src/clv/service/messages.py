"""What is wrong with a field, in words: one table for everything that pydantic may find."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from clv.service.schemas import FieldError

__all__ = ["field_error", "located"]

_SHOWN = 100  # characters of a bad value that are repeated

#: Pydantic's kinds of error: a stable code, and words with what pydantic tells of the limit.
_WORDS: Mapping[str, tuple[str, str]] = {
    "missing": ("missing", "required{hint}"),
    "extra_forbidden": ("unknown_field", "unknown field; remove it or correct its name"),
    "misplaced": ("misplaced", "{msg}"),
    "contradiction": ("contradiction", "{msg}"),
    "content_type": ("content_type", "{msg}"),
    "json_invalid": ("invalid_json", "invalid JSON: {error}"),
    "greater_than_equal": ("too_small", "expected at least {ge}"),
    "greater_than": ("too_small", "expected more than {gt}"),
    "less_than_equal": ("too_large", "expected at most {le}"),
    "less_than": ("too_large", "expected less than {lt}"),
    "int_parsing_size": ("too_large", "expected a 64-bit whole number"),
    "string_too_short": ("too_short", "expected text of {min_length} or more characters"),
    "string_too_long": ("too_long", "expected text of at most {max_length} characters"),
    "too_short": ("too_short", "expected a list with {min_length} or more entries"),
    "too_long": ("too_long", "expected a list with at most {max_length} entries"),
    # Of all fields, only the version in a path has a pattern.
    "string_pattern_mismatch": ("wrong_form", "expected a version number, such as 3"),
    "literal_error": ("unknown_value", "expected {expected}"),
    "moment": ("wrong_form", "{msg}"),
    "model_type": ("wrong_type", "expected a JSON object"),
    "model_attributes_type": ("wrong_type", "expected a JSON object"),
    "finite_number": ("wrong_type", "expected a finite number"),
}
#: The same for those that are told by how their names begin.
_BEGINNINGS: tuple[tuple[tuple[str, ...], tuple[str, str]], ...] = (
    (("int_", "whole_number"), ("wrong_type", "expected a whole number")),
    (("float_", "number"), ("wrong_type", "expected a number")),
    (("list_",), ("wrong_type", "expected a list")),
    (("dict_",), ("wrong_type", "expected a JSON object")),
    (("string_",), ("wrong_type", "expected text")),
    (
        ("datetime_", "date_", "timezone_"),
        ("wrong_form", "expected a date and time, such as 2026-01-05T08:30:00Z"),
    ),
)
_OTHER = ("invalid", "not a valid value")
#: Names of limits in pydantic, and in JSON Schema.
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}


def located(error: ValidationError, where: str) -> list[dict[str, Any]]:
    """Pydantic's errors, their fields being in `where`: body, query, path or header."""
    return [{**one, "loc": (where, *one["loc"])} for one in error.errors(include_url=False)]


def field_error(item: Mapping[str, Any]) -> FieldError:
    """One of pydantic's errors, in words and safe to send."""
    kind, context = item["type"], item.get("ctx") or {}
    code, words = _words(kind)
    facts = {name: _figure(value) for name, value in context.items()}
    found = FieldError(
        field=_text(".".join(str(part) for part in item["loc"])),
        code=code,
        message=_text(words.format_map({"msg": item["msg"], "hint": "", **facts})),
    )
    if kind not in ("missing", "contradiction"):  # the message names all that stood there
        found.value = _value(item.get("input"))
    bounds = {_BOUNDS[name]: value for name, value in context.items() if name in _BOUNDS}
    if bounds:
        found.bounds = bounds
    return found


def _words(kind: str) -> tuple[str, str]:
    if kind in _WORDS:
        return _WORDS[kind]
    return next((words for names, words in _BEGINNINGS if kind.startswith(names)), _OTHER)


def _figure(value: Any) -> str:
    """A limit as people write it; what pydantic says in text stays, without Python's quotes."""
    if isinstance(value, int | float):
        whole = int(value) if float(value).is_integer() else value
        return f"{whole:,}" if abs(value) >= 1 else f"{value:.10g}"
    return str(value).replace("'", "")


def _value(value: Any) -> Any:
    """What stood there, as JSON has it; as text if it is long or no JSON, such as NaN."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return _shortened(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()  # lone surrogates cannot be sent
    except (TypeError, ValueError):
        return _shortened(_as_text(value))
    return value if len(text) <= _SHOWN else _shortened(text)


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else ("-" if value < 0 else "") + "Infinity"
    dump: Callable[[Any], str] = repr if isinstance(value, int) else json.dumps
    try:
        return dump(value)
    except (TypeError, ValueError):
        return ""


def _shortened(text: str) -> str:
    text = _text(text)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _text(text: str) -> str:
    """Text that can be sent: lone surrogates as their numbers."""
    return text.encode("utf-8", "backslashreplace").decode()
