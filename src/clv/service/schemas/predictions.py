"""Passengers as they are asked about, and what is answered of them."""

import math
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from clv.bundle import DEFAULT_LEVEL, Prediction
from clv.schema import CONTRADICTIONS
from clv.service.schemas.fields import Frequency, Id, Level, Monetary, Recency
from clv.tracking import Source, TrackedRequest

__all__ = [
    "BatchIn",
    "BatchOut",
    "IntervalOut",
    "Passenger",
    "PassengerIn",
    "PredictIn",
    "PredictionOut",
    "TryOutIn",
    "TryOutOut",
    "answer",
    "tracked",
]

MAX_BATCH = 10_000


class _In(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, frozen=True)


class Passenger(_In):
    """A passenger and what they did in the first 7 days after registration."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": 1234, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}]
        }
    )

    id: Id
    recency_7: Recency
    frequency_7: Frequency
    monetary_7: Monetary

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for contradiction in CONTRADICTIONS:
            if contradiction.holds(self.recency_7, self.frequency_7, self.monetary_7):
                raise PydanticCustomError(
                    "contradiction",
                    "{says} (last ride on day {day}, rides: {rides}, money spent: {spent})",
                    {
                        "says": contradiction.says,
                        "day": self.recency_7,
                        "rides": self.frequency_7,
                        "spent": f"{self.monetary_7:,.2f}",
                    },
                )
        return self


class PredictIn(Passenger):
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


class TryOutIn(PredictIn):
    """A passenger whose prediction is tried out; the id may be left out."""

    id: Id | None = None  # type: ignore[assignment]


def _refuse_level(value: Any) -> None:
    # Ignored like other unknown fields, it would be believed of an interval of another level.
    raise PydanticCustomError(
        "misplaced", "a batch has one level for all; put it next to 'passengers'", {"input": value}
    )


def _hide_level(schema: dict[str, Any]) -> None:
    schema["properties"].pop("level")


class PassengerIn(Passenger):
    """A passenger of a batch."""

    model_config = ConfigDict(json_schema_extra=_hide_level)

    level: Annotated[None, BeforeValidator(_refuse_level)] = None


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


class IntervalOut(BaseModel):
    """Where the passenger's spend by day 30 lies, as surely as `level` says.

    The shortest interval that holds the level among passengers with a like expectation. Where
    enough of them never ride again it ends at what is spent already, and the mean lies above it.
    """

    level: float = Field(description="share of passengers whose spend lies in their interval")
    low: float = Field(description="often what is spent already: most never ride again", ge=0)
    high: float = Field(
        description="equal to `low` if a share of `level` or more never ride again", ge=0
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
                    "reliable prediction",
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
        "upwards; passengers of one bin share the training data of their intervals",
        ge=1,
    )
    in_support: bool = Field(
        description="whether the training data has enough passengers like this one; if false, "
        "every number here is extrapolated"
    )
    support_note: str | None = Field(
        description="null in support; otherwise how few passengers were like this one, and in what"
    )
    model_version: str = Field(description="the version of the model that answered")


class TryOutOut(PredictionOut):
    """A prediction that was tried out."""

    id: int | None = Field(description="as asked")  # type: ignore[assignment]


class BatchOut(BaseModel):
    """Their predictions, in the same order."""

    predictions: list[PredictionOut]


def answer(
    passenger_id: int | None, said: Prediction, support_note: str | None, version: str
) -> dict[str, Any]:
    """A `PredictionOut`, of a prediction rounded already; a dict, because pydantic's are slow."""
    return {
        "id": passenger_id,
        "monetary_30": said.monetary,
        "expected_increment": said.expected_increment,
        "p_return": said.p_return,
        "interval": {"level": said.level, "low": said.low, "high": said.high},
        "score_bin": said.score_bin,
        "in_support": said.in_support,
        "support_note": support_note,
        "model_version": version,
    }


def tracked(
    asked: Passenger,
    said: Prediction,
    version: str,
    at: datetime,
    shadow: Prediction | None,
    shadow_version: str | None,
    source: Source = "api",
) -> TrackedRequest:
    """The row that is kept of an answer, and of what the challenger would have answered."""
    row = (
        asked.id,
        asked.recency_7,
        asked.frequency_7,
        asked.monetary_7,
        said.monetary,
        said.expected_increment,
        said.p_return,
        said.level,
        said.low,
        said.high,
        said.score_bin,
        said.in_support,
        version,
        at,
    )
    # Absurd numbers of a model that answers nobody must not keep the answer of one that does.
    if shadow is None or not math.isfinite(
        shadow.monetary + shadow.p_return + shadow.low + shadow.high
    ):
        return TrackedRequest(*row, source=source)
    return TrackedRequest(
        *row, shadow_version, shadow.monetary, shadow.p_return, shadow.low, shadow.high, source
    )
