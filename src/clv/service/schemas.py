"""What travels over HTTP. Ranges come from `clv.schema`; names are those of the 7-day window."""

import re
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Path
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from clv.bundle import DEFAULT_LEVEL, MAX_LEVEL, MIN_LEVEL, Prediction, Predictor
from clv.schema import CONTRADICTIONS, Column, Window
from clv.tracking import TrackedRequest

__all__ = [
    "WINDOW",
    "BatchIn",
    "BatchOut",
    "IntervalOut",
    "PassengerId",
    "PassengerIn",
    "PredictIn",
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


def _at(where: tuple[int | str, ...], value: Any, message: str) -> ValidationError:
    """An error that names a place deeper than the field whose validator finds it."""
    misplaced = PydanticCustomError("misplaced", "{message}", {"message": message})
    return ValidationError.from_exception_data(
        "body", [InitErrorDetails(type=misplaced, loc=where, input=value)]
    )


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


Level = Annotated[
    float,
    Field(
        ge=MIN_LEVEL,
        le=MAX_LEVEL,
        strict=True,
        description="share of passengers whose spend their interval shall hold",
    ),
]


class PredictIn(PassengerIn):
    """A passenger, and how sure the interval shall be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": 1234, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5},
                {"id": 1234, "recency_7": 7, "frequency_7": 4, "monetary_7": 80, "level": 0.8},
            ]
        }
    )

    level: Level = DEFAULT_LEVEL


class IntervalOut(BaseModel):
    """Where the passenger's spend by day 30 lies, as surely as `level` says.

    The shortest interval that holds the level among passengers with a like expectation. Where
    enough of them never ride again it ends at what is spent already, and the mean lies above it.
    """

    level: float = Field(description="share of passengers whose spend lies in their interval")
    low: float = Field(description="often what is spent already: most never ride again", ge=0)
    high: float = Field(
        description="equal to `low` where a share of `level` or more never ride again", ge=0
    )


class PredictionOut(BaseModel):
    """What the passenger is expected to be worth, in currency units rounded to cents."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 1234,
                    "monetary_30": 14.28,
                    "expected_increment": 5.78,
                    "p_return": 0.1593,
                    "interval": {"level": 0.9, "low": 8.5, "high": 12.75},
                    "score_bin": 2,
                    "in_support": True,
                    "support_note": None,
                    "model_version": "1",
                },
                {
                    "id": 1235,
                    "monetary_30": 2410.5,
                    "expected_increment": 1160.5,
                    "p_return": 0.9617,
                    "interval": {"level": 0.9, "low": 1318.42, "high": 4127.03},
                    "score_bin": 10,
                    "in_support": False,
                    "support_note": "3 training customers were like this one (last ride on day 7, "
                    "48 to 63 rides, 1,216.00 to 2,432.00 spent); at least 20 are needed for a "
                    "prediction to rest on",
                    "model_version": "1",
                },
            ]
        }
    )

    id: int = Field(description="as asked")
    monetary_30: float = Field(
        description="expected spend from registration to day 30: the mean over passengers alike",
        ge=0,
    )
    expected_increment: float = Field(description="the part of it that is still to come", ge=0)
    p_return: float = Field(description="probability of any further ride by day 30", gt=0, lt=1)
    interval: IntervalOut = Field(
        description="`level`, `low`, `high`: the shortest range that holds the spend by day 30 of "
        "that share of the passengers of one score bin. `monetary_30` can lie above it: most never "
        "ride again and end at what they have spent, while the few who spend much raise the mean"
    )
    score_bin: int = Field(
        description="rank of the expected increment in about ten equal parts: from 1, the lowest, "
        "upwards; passengers of one bin share what their intervals are learnt from",
        ge=1,
    )
    in_support: bool = Field(
        description="whether enough passengers like this one were learnt from; where false, every "
        "number here is extrapolated"
    )
    support_note: str | None = Field(
        description="null in support; otherwise how few passengers were like this one, and in what"
    )
    model_version: str = Field(description="the version of the model that answered")

    @classmethod
    def of(cls, asked: PassengerIn, said: Prediction, champion: Predictor) -> Self:
        """Put an answer, rounded already, together; this is what is answered and tracked."""
        activity = asked.recency_7, asked.frequency_7, asked.monetary_7
        return cls(
            id=asked.id,
            monetary_30=said.monetary,
            expected_increment=said.expected_increment,
            p_return=said.p_return,
            interval=IntervalOut(level=said.level, low=said.low, high=said.high),
            score_bin=said.score_bin,
            in_support=said.in_support,
            support_note=None if said.in_support else champion.why_out_of_support(*activity),
            model_version=champion.version,
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
            p_return=self.p_return,
            level=self.interval.level,
            low=self.interval.low,
            high=self.interval.high,
            score_bin=self.score_bin,
            in_support=self.in_support,
            model_version=self.model_version,
            requested_at=at,
        )


class BatchIn(_In):
    """Several passengers at once, and how sure all intervals shall be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "passengers": [
                        {"id": 1234, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5},
                        {"id": 1235, "recency_7": 7, "frequency_7": 4, "monetary_7": 80},
                    ],
                    "level": 0.8,
                }
            ]
        }
    )

    passengers: list[PassengerIn] = Field(min_length=1, max_length=MAX_BATCH)
    level: Level = DEFAULT_LEVEL

    @field_validator("passengers", mode="before")
    @classmethod
    def _have_one_level(cls, passengers: Any) -> Any:
        # Ignored like other unknown fields, it would be believed of an interval of another level.
        for row, passenger in enumerate(passengers if isinstance(passengers, list) else ()):
            if isinstance(passenger, dict) and "level" in passenger:
                raise _at(
                    (row, "level"),
                    passenger["level"],
                    "a batch has one level for all; put it beside 'passengers'",
                )
        return passengers


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
