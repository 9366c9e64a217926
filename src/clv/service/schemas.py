"""What travels over HTTP. Ranges come from `clv.schema`; names are those of the 7-day window."""

import re
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from clv.bundle import Prediction, to_cents
from clv.schema import CONTRADICTIONS, Column, Window
from clv.tracking import TrackedRequest

__all__ = [
    "WINDOW",
    "BatchIn",
    "BatchOut",
    "PassengerId",
    "PassengerIn",
    "PredictionOut",
    "Problem",
    "RequestCount",
    "ResetOut",
]

#: The field names below say 7 and 30, so the service serves models of this window.
WINDOW = Window(7, 30)
MAX_BATCH = 10_000

_RECENCY, _FREQUENCY, _MONETARY = WINDOW.features
_INT64 = 2**63


def _whole(value: Any) -> Any:
    """JSON does not tell 1.0 from 1, so both are whole numbers; the strict check does the rest."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _decimal(text: Any) -> Any:
    """A path is text; only plain digits are an integer, not '1.0', ' 1' or '1_000'."""
    if isinstance(text, str) and not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise PydanticCustomError("whole_number", "expected a whole number of 64 bits")
    return text


def _bounds(column: Column) -> Any:
    return Field(ge=column.low, le=column.high, strict=True, description=column.meaning)


Id = Annotated[
    int,
    Field(ge=-_INT64, lt=_INT64, strict=True, description="the passenger's id"),
    BeforeValidator(_whole),
]
PassengerId = Annotated[
    Annotated[int, Field(ge=-_INT64, lt=_INT64), BeforeValidator(_decimal)],
    Path(description="the passenger's id", examples=[1234]),
]


class _In(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, frozen=True)


class PassengerIn(_In):
    """A passenger and what they did in the first 7 days after registration."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": 1234, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}]
        }
    )

    id: Id
    recency_7: Annotated[int, _bounds(_RECENCY), BeforeValidator(_whole)]
    frequency_7: Annotated[int, _bounds(_FREQUENCY), BeforeValidator(_whole)]
    monetary_7: Annotated[float, _bounds(_MONETARY)]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for contradiction in CONTRADICTIONS:
            if contradiction.holds(self.recency_7, self.frequency_7, self.monetary_7):
                raise PydanticCustomError(
                    "contradiction",
                    "{says} (recency_7={recency}, frequency_7={frequency}, monetary_7={monetary})",
                    {
                        "says": contradiction.says,
                        "recency": self.recency_7,
                        "frequency": self.frequency_7,
                        "monetary": self.monetary_7,
                    },
                )
        return self


class PredictionOut(BaseModel):
    """What the passenger is expected to be worth, in currency units rounded to cents."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 1234,
                    "monetary_30": 14.28,
                    "expected_increment": 5.78,
                    "model_version": "1",
                }
            ]
        }
    )

    id: int = Field(description="as asked")
    monetary_30: float = Field(description="expected spend from registration to day 30", ge=0)
    expected_increment: float = Field(description="the part of it that is still to come", ge=0)
    model_version: str = Field(description="the version of the model that answered")

    @classmethod
    def of(cls, passenger_id: int, prediction: Prediction, model_version: str) -> Self:
        """Round to cents; this is what is answered and what is tracked."""
        return cls(
            id=passenger_id,
            monetary_30=float(to_cents(prediction.monetary)),
            expected_increment=float(to_cents(prediction.expected_increment)),
            model_version=model_version,
        )

    def tracked(self, asked: PassengerIn, at: datetime) -> TrackedRequest:
        """The row that is kept of this answer."""
        return TrackedRequest(
            passenger_id=asked.id,
            recency=asked.recency_7,
            frequency=asked.frequency_7,
            monetary=asked.monetary_7,
            predicted=self.monetary_30,
            expected_increment=self.expected_increment,
            model_version=self.model_version,
            requested_at=at,
        )


class BatchIn(_In):
    """Several passengers at once."""

    passengers: list[PassengerIn] = Field(min_length=1, max_length=MAX_BATCH)


class BatchOut(BaseModel):
    """Their predictions, in the same order."""

    predictions: list[PredictionOut]


class RequestCount(BaseModel):
    """How often a prediction was asked for a passenger."""

    id: int
    count: int = Field(ge=0)


class ResetOut(BaseModel):
    """What a reset did."""

    message: str


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="where it is, as in body.recency_7 or body.passengers.3.id")
    value: str = Field(description="what stood there")
    message: str = Field(description="what was expected")


class Problem(BaseModel):
    """Problem details after RFC 9457, sent as application/problem+json."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)
