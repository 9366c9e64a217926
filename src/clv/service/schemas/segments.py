"""Requests and responses about segments."""

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
    """The terms of a campaign; for an upload they are in the query."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: _Number = Field(
        ge=MIN_SHARE, le=1, description="share of what a passenger spends that you keep"
    )
    cost: _Number = Field(
        ge=0,
        le=MAX_COST,
        description="campaign cost per passenger, in currency units",
    )
    lift: _Lift | None = Field(
        default=None,
        description="share by which the campaign is assumed to raise further spend, 0.1 for 10%; "
        "without it the verdict is about the value of the passengers, not about the campaign",
    )
    level: _Number = Field(
        default=DEFAULT_LEVEL,
        ge=MIN_LEVEL,
        le=MAX_LEVEL,
        description="confidence level of all intervals",
    )
    power: _Number = Field(
        default=0.8,
        ge=MIN_POWER,
        le=MAX_POWER,
        description="probability of detecting the lift with the hold-out group",
    )
    detect_lift: _Lift | None = Field(
        default=None,
        description="lift to detect with the hold-out group; default: the assumed one, or the one "
        "at break-even",
    )

    def campaign(self) -> Campaign:
        """The campaign to judge."""
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
    """How to read an uploaded list, and the terms of the campaign."""

    name: str = Field(
        default="",
        max_length=255,
        description="name of the file; only its ending is used, and without one it is read as CSV",
    )
    sheet: str = Field(
        default="",
        max_length=255,
        description="sheet of a workbook; by default the first with a column of ids",
    )
    on_invalid: Literal["stop", "skip"] = Field(
        default="stop",
        description="rows that cannot be used: stop with an error, or skip and count them in "
        "`findings`",
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="decimal mark of the numbers; by default each column decides"
    )
    thousands: Literal[",", ".", "space", "'", "none"] | None = Field(
        default=None,
        description="thousands separator of the numbers; by default each column decides",
    )


class ChosenIn(BaseModel):
    """Which passengers of an uploaded list to return, and the highest value to bid for one."""

    customers: int | None = Field(
        default=None,
        ge=0,
        le=10**9,
        description="number of passengers, the best first; by default the number with the highest "
        "profit, or all of them if no lift is given",
    )
    cap: float | None = Field(
        default=None,
        gt=0,
        le=MAX_COST,
        allow_inf_nan=False,
        description="highest further spend that counts as value; by default the level that 99% of "
        "the list stay below",
    )
    raw: bool = Field(
        default=False,
        description="ids as they are; otherwise an apostrophe stands before one that a spreadsheet "
        "would run as a formula",
    )


@dataclass(frozen=True, slots=True)
class SegmentOut(Evaluation):
    """The verdict on a segment, with what was read and the model version.

    With a lift there is no `value_less_cost`; without one, no `expected_profit` and no `profit`.
    """

    model_version: str
    rows_read: int
    findings: tuple[Finding, ...]
