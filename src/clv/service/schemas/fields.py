"""The fields that travel over HTTP; their ranges are those of `clv.schema`."""

import re
from typing import Annotated, Any

from fastapi import Path
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from clv.bundle import MAX_LEVEL, MIN_LEVEL
from clv.schema import Column, Window

__all__ = [
    "WINDOW",
    "Frequency",
    "Id",
    "Level",
    "Monetary",
    "PassengerId",
    "Recency",
    "Version",
    "bounds",
    "whole",
]

#: The names of fields say 7 and 30, so the service serves models of this window.
WINDOW = Window(7, 30)

_RECENCY, _FREQUENCY, _MONETARY = WINDOW.features
_INT64 = 2**63
_EXACT = 2**53


def whole(value: Any) -> Any:
    """JSON does not tell 1.0 from 1, so both are whole numbers; the strict check does the rest.

    A float beyond 2**53 may be a neighbour of the number that was sent.
    """
    if not isinstance(value, float) or not value.is_integer():
        return value
    if abs(value) >= _EXACT:
        raise PydanticCustomError(
            "whole_number", "expected a whole number; send large ones without a decimal point"
        )
    return int(value)


def _decimal(text: Any) -> Any:
    """A path is text; only plain digits are an integer, not '1.0', ' 1' or '1_000'."""
    if isinstance(text, str) and not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise PydanticCustomError("whole_number", "expected a whole number of 64 bits")
    return text


def bounds(column: Column) -> Any:
    """The field of a column: its range and its meaning."""
    return Field(ge=column.low, le=column.high, strict=True, description=column.meaning)


Id = Annotated[
    int,
    Field(ge=-_INT64, lt=_INT64, strict=True, description="the passenger's id"),
    BeforeValidator(whole),
]
PassengerId = Annotated[
    Annotated[int, Field(ge=-_INT64, lt=_INT64), BeforeValidator(_decimal)],
    Path(description="the passenger's id", examples=[1234]),
]


Level = Annotated[
    float,
    Field(
        ge=MIN_LEVEL,
        le=MAX_LEVEL,
        strict=True,
        description="share of passengers whose spend their interval shall hold",
    ),
]
Recency = Annotated[int, bounds(_RECENCY), BeforeValidator(whole)]
Frequency = Annotated[int, bounds(_FREQUENCY), BeforeValidator(whole)]
Monetary = Annotated[float, bounds(_MONETARY)]
Version = Annotated[
    str,
    Path(
        description="number of the version, as `GET /api/models` lists it",
        pattern="^[1-9][0-9]{0,8}$",
        examples=["3"],
    ),
]
