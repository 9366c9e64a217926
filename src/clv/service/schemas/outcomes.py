"""Outcomes as they are sent."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from clv.clock import utc_now
from clv.data.contradictions import contradictory
from clv.schema import CLOCK_TOLERANCE
from clv.service.schemas.fields import WINDOW, Id, bounds, whole
from clv.tracking import Outcome, Recorded

__all__ = ["OutcomeIn", "OutcomesIn", "OutcomesOut"]

MAX_OUTCOMES = 10_000
_SHOWN = 3


def _text(value: Any) -> Any:
    """Numbers would be taken for seconds or milliseconds since 1970; nobody can tell which."""
    if not isinstance(value, str):
        raise PydanticCustomError("moment", "expected text, as in '2026-01-05T08:30:00Z'")
    return value


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is UTC, a date its first moment."""
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("moment", _EXPECTED) from None
    now = utc_now()
    if not _EARLIEST <= moment <= now + CLOCK_TOLERANCE:
        raise PydanticCustomError("moment", _EXPECTED)
    return min(moment, now)


_EXPECTED = (
    "expected a moment from 1970 up to now; up to a minute ahead counts as now. "
    "Check the clock of the sender"
)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_Moment = Annotated[datetime, AfterValidator(_in_utc), BeforeValidator(_text)]


class OutcomeIn(BaseModel):
    """What a passenger spent in the end."""

    model_config = ConfigDict(allow_inf_nan=False, frozen=True)

    id: Id
    monetary_30: Annotated[float, bounds(WINDOW.outcome)]
    frequency_30: Annotated[int | None, bounds(WINDOW.rides_due), BeforeValidator(whole)] = None
    registered_at: _Moment | None = Field(
        default=None,
        description="when they registered; with it the prediction that counts is the first that "
        "was asked from day 7 to day 30, without it the first that is kept",
    )
    as_of: _Moment | None = Field(
        default=None,
        description="when the amount was drawn up, now by default; of two outcomes of a passenger "
        "the one that was drawn up last is in force",
    )

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if self.registered_at and self.as_of and self.registered_at > self.as_of:
            raise PydanticCustomError(
                "contradiction",
                "registered after the amount was drawn up (registered {registered}, amount of "
                "{drawn_up})",
                {
                    "registered": self.registered_at.isoformat(),
                    "drawn_up": self.as_of.isoformat(),
                },
            )
        return self

    def outcome(self) -> Outcome:
        """As it is kept."""
        return Outcome(self.id, self.monetary_30, self.frequency_30, self.registered_at, self.as_of)


class OutcomesIn(BaseModel):
    """One outcome or many."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {"outcomes": [{"id": 1234, "monetary_30": 31.5}]},
                {
                    "outcomes": [
                        {
                            "id": 1234,
                            "monetary_30": 31.5,
                            "frequency_30": 3,
                            "registered_at": "2026-01-05T08:30:00Z",
                            "as_of": "2026-02-05T02:00:00Z",
                        }
                    ]
                },
            ]
        },
    )

    outcomes: list[OutcomeIn] = Field(min_length=1, max_length=MAX_OUTCOMES)

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        """Nobody can tell which of two amounts is right."""
        found = contradictory(*_columns(self.outcomes), now=utc_now())
        if not found:
            return self
        shown = "; ".join(
            f"id {self.outcomes[group[0]].id} (outcomes "
            + ", ".join(str(one) for one in group[:_SHOWN])
            + (", ..." if len(group) > _SHOWN else "")
            + ")"
            for group in found[:_SHOWN]
        )
        raise PydanticCustomError(
            "contradiction",
            "different outcomes of the same passenger, drawn up at the same time: {shown}. Send "
            "one of each, or as_of (when each amount was drawn up) with them",
            {"shown": shown + ("; ..." if len(found) > _SHOWN else "")},
        )


def _columns(sent: list[OutcomeIn]) -> tuple[Any, Any, Any, Any, Any]:
    """As `clv.data.outcomes` has them."""

    def moments(values: list[datetime | None]) -> Any:
        # NumPy knows no zones; all of these are in UTC.
        return np.array([one and one.replace(tzinfo=None) for one in values], "datetime64[us]")

    return (
        np.array([one.id for one in sent], np.int64),
        np.array([one.monetary_30 for one in sent]),
        np.array([one.frequency_30 for one in sent], np.float64),
        moments([one.registered_at for one in sent]),
        moments([one.as_of for one in sent]),
    )


class OutcomesOut(BaseModel):
    """What became of them. The first four add up to the outcomes, the others count passengers."""

    accepted: int = Field(description="of passengers of whom no outcome was known", ge=0)
    corrected: int = Field(description="another than was known, which is kept as history", ge=0)
    unchanged: int = Field(description="known already: sending twice changes nothing", ge=0)
    outdated: int = Field(description="drawn up before the one that is known; as history", ge=0)
    unmatched: int = Field(
        description="kept, but of passengers without a prediction that counts", ge=0
    )
    early: int = Field(
        description="kept, but drawn up before the horizon had passed: send them again after it",
        ge=0,
    )

    @classmethod
    def of(cls, found: Recorded) -> Self:
        """As it was found."""
        return cls.model_validate(found, from_attributes=True)
