"""What the pages ask besides predictions; whoever else wants to show the same may ask it, too."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from clv.bundle import Prediction
from clv.service.explain import Explanation
from clv.service.schemas.fields import WINDOW
from clv.service.schemas.predictions import IntervalOut
from clv.tracking import Asked, Recent

__all__ = [
    "ActivityOut",
    "AskedFrequency",
    "AskedMonetary",
    "AskedOut",
    "AskedRecency",
    "ExplainOut",
    "PassengerRequestsOut",
]

_RECENCY, _FREQUENCY, _MONETARY = WINDOW.features
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")


def _whole(text: Any) -> Any:
    """A query is text; only plain digits are an integer, not '1.0', ' 1' or '1_000'."""
    if isinstance(text, str) and not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise PydanticCustomError("whole_number", "expected a whole number")
    return text


def _number(text: Any) -> Any:
    """As JSON has numbers: no 'nan', no ' 1' and no '1_000'."""
    if isinstance(text, str) and not _NUMBER.fullmatch(text):
        raise PydanticCustomError("number", "expected a number")
    return text


AskedRecency = Annotated[
    Annotated[int, Field(ge=0, le=int(_RECENCY.high)), BeforeValidator(_whole)],
    Query(description=_RECENCY.meaning, examples=[1]),
]
AskedFrequency = Annotated[
    Annotated[int, Field(ge=0, le=int(_FREQUENCY.high)), BeforeValidator(_whole)],
    Query(description=_FREQUENCY.meaning, examples=[1]),
]
AskedMonetary = Annotated[
    Annotated[float, Field(ge=0, le=_MONETARY.high), BeforeValidator(_number)],
    Query(description=_MONETARY.meaning, examples=[8.5]),
]


class WhatIfOut(BaseModel):
    """What would be said of the passenger if one thing were otherwise."""

    change: str = Field(description="what is otherwise", examples=["one more ride"])
    recency_7: int
    frequency_7: int
    monetary_7: float
    monetary_30: float = Field(description="expected spend by day 30 then", ge=0)
    difference: float = Field(description="that less what is expected of the passenger as asked")
    expected_increment: float = Field(description="the part that is still to come then", ge=0)
    increment_difference: float = Field(description="that less the part to come as asked")
    p_return: float = Field(description="probability of any further ride then")


class ExplainOut(BaseModel):
    """What lies behind a prediction."""

    monetary_30: float = Field(description="expected spend from registration to day 30", ge=0)
    intervals: list[IntervalOut] = Field(description="at several levels, lowest first")
    score_bins: int = Field(description="how many score bins there are", ge=1)
    what_if: list[WhatIfOut] = Field(description="without what cannot be, such as a ride on day 8")
    model_version: str = Field(description="the version of the model that answered")

    @classmethod
    def of(cls, found: Explanation, version: str) -> Self:
        """As it was found."""
        asked = found.said[0]
        return cls(
            monetary_30=asked.monetary,
            intervals=[IntervalOut(level=s.level, low=s.low, high=s.high) for s in found.said],
            score_bins=found.score_bins,
            what_if=[
                WhatIfOut(
                    change=one.name,
                    recency_7=one.recency,
                    frequency_7=one.frequency,
                    monetary_7=one.monetary,
                    **_compared(one.said, asked),
                )
                for one in found.changes
            ],
            model_version=version,
        )


def _compared(said: Prediction, asked: Prediction) -> dict[str, float]:
    return {
        "monetary_30": said.monetary,
        "difference": round(said.monetary - asked.monetary, 2),
        "expected_increment": said.expected_increment,
        "increment_difference": round(said.expected_increment - asked.expected_increment, 2),
        "p_return": said.p_return,
    }


class AskedOut(BaseModel):
    """A tracked prediction."""

    id: int | None = Field(description="null if it was tried out on the page without an id")
    requested_at: datetime | None = Field(description="null if the database holds no valid time")
    recency_7: int
    frequency_7: int
    monetary_7: float
    monetary_30: float = Field(description="expected spend by day 30, as it was answered")
    p_return: float | None = Field(description="null if the model of that time did not predict it")
    score_bin: int | None = Field(description="null if the model of that time did not predict it")
    model_version: str
    source: str | None = Field(
        description="how it was requested: `api`, `batch`, or `page`, which never counts as the "
        "prediction of a passenger; null in rows of older versions"
    )

    @classmethod
    def of(cls, row: Asked) -> Self:
        """As it is kept."""
        return cls(
            id=row.passenger_id,
            requested_at=row.requested_at,
            recency_7=row.recency,
            frequency_7=row.frequency,
            monetary_7=row.monetary,
            monetary_30=row.predicted,
            p_return=row.p_return,
            score_bin=row.score_bin,
            model_version=row.model_version,
            source=row.source,
        )


class BucketOut(BaseModel):
    """How many predictions were asked for in an hour or a day."""

    at: datetime = Field(description="when it began, UTC")
    requests: int = Field(ge=0)


class ActivityOut(BaseModel):
    """What was asked of late."""

    total: int = Field(description="tracked predictions, all there are", ge=0)
    period: Literal["hour", "day"] = Field(
        description="what `over_time` counts by: hours while the first request is younger than "
        "two days, days beyond"
    )
    over_time: list[BucketOut] = Field(
        description="oldest first and without gaps: the last 48 hours, or 90 days at the most"
    )
    latest: list[AskedOut] = Field(description="the latest 50, newest first")

    @classmethod
    def of(cls, found: Recent) -> Self:
        """As it was found."""
        return cls(
            total=found.total,
            period=found.period,
            over_time=[BucketOut(at=one.at, requests=one.requests) for one in found.over_time],
            latest=[AskedOut.of(row) for row in found.latest],
        )


class PassengerRequestsOut(BaseModel):
    """The predictions that were asked for one passenger."""

    id: int
    count: int = Field(description="tracked, except those tried out on the page", ge=0)
    latest: list[AskedOut] = Field(description="the latest 50, newest first")
