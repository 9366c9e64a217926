"""Segments as they are asked about."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from clv.bundle import DEFAULT_LEVEL, MAX_LEVEL, MIN_LEVEL
from clv.campaign.offer import MAX_COST, MAX_LIFT, MAX_POWER, MIN_POWER, MIN_SHARE, Campaign
from clv.campaign.verdict import Evaluation
from clv.data.findings import Finding
from clv.service.schemas.predictions import PassengerIn

__all__ = ["CampaignIn", "ChosenIn", "SegmentIn", "SegmentOut", "UploadIn"]

# "0.25" and true are no numbers, though pydantic would take them for some.
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Lift = Annotated[_Number, Field(ge=MIN_SHARE, le=MAX_LIFT)]


class CampaignIn(BaseModel):
    """The terms of a campaign; of an upload they stand in the query."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: _Number = Field(ge=MIN_SHARE, le=1, description="share of the spend that is earned")
    cost: _Number = Field(
        ge=0,
        le=MAX_COST,
        description="of the campaign for each passenger, in currency units",
    )
    lift: _Lift | None = Field(
        default=None,
        description="share by which the campaign is assumed to raise the increment, 0.1 for a "
        "tenth more; left out, the verdict speaks of what the passengers are worth",
    )
    level: _Number = Field(
        default=DEFAULT_LEVEL, ge=MIN_LEVEL, le=MAX_LEVEL, description="of every interval"
    )
    power: _Number = Field(
        default=0.8,
        ge=MIN_POWER,
        le=MAX_POWER,
        description="probability with which the hold-out shall find the lift",
    )
    detect_lift: _Lift | None = Field(
        default=None, description="the lift to find; default: the assumed one, or the least"
    )

    def campaign(self) -> Campaign:
        """As it is judged."""
        return Campaign(self.margin, self.cost, self.lift, self.level, self.power, self.detect_lift)


class SegmentIn(CampaignIn):
    """A segment and the terms of a campaign."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "passengers": [
                        {"id": 1234, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5},
                        {"id": 1235, "recency_7": 7, "frequency_7": 12, "monetary_7": 164.0},
                    ],
                    "margin": 0.25,
                    "cost": 2.5,
                }
            ]
        }
    )

    passengers: list[PassengerIn] = Field(min_length=1, max_length=10_000)


class UploadIn(CampaignIn):
    """How an uploaded list is to be read, and the terms of the campaign."""

    on_invalid: Literal["stop", "skip"] = Field(
        default="stop",
        description="a row that cannot be used: an error, or left out and counted in `findings`",
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="decimal mark of the numbers; by default each column decides"
    )
    thousands: Literal[",", ".", "space", "'", "none"] | None = Field(
        default=None,
        description="thousands separator of the numbers; by default each column decides",
    )


class ChosenIn(BaseModel):
    """Which of an uploaded list are wanted, and for how much each at most."""

    customers: int | None = Field(
        default=None, ge=0, le=10**9, description="how many of the best; by default the best depth"
    )
    cap: float | None = Field(
        default=None,
        gt=0,
        le=MAX_COST,
        allow_inf_nan=False,
        description="the highest value to bid for one; by default where 99% of the list lie below",
    )
    raw: bool = Field(
        default=False,
        description="ids as they are; otherwise an apostrophe stands before one that a spreadsheet "
        "would run as a formula",
    )


@dataclass(frozen=True, slots=True)
class SegmentOut(Evaluation):
    """The verdict on a segment, of what was read, by which version."""

    model_version: str
    rows_read: int
    findings: tuple[Finding, ...]
