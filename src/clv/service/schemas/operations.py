"""What operators ask and are answered."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from clv.registry import NO_REASON, Decision, Version

__all__ = [
    "DecisionOut",
    "HistoryOut",
    "ModelOut",
    "ModelsOut",
    "PromoteIn",
    "ReadyOut",
    "RequestCount",
    "ResetOut",
    "RollbackIn",
]


class RequestCount(BaseModel):
    """How often a prediction was asked for a passenger."""

    id: int
    count: int = Field(ge=0)


class ResetOut(BaseModel):
    """What a reset did."""

    message: str


class ReadyOut(BaseModel):
    """That predictions are answered, and by what."""

    status: str = Field(description="`ready`; otherwise the answer is 503", examples=["ready"])
    model_version: str = Field(description="the version that this process answers with")
    challenger_version: str | None = Field(
        description="the version that predicts in shadow, if any", default=None
    )
    warnings: list[str] = Field(
        description="what needs somebody's attention although predictions are answered"
    )


class ModelOut(BaseModel):
    """One version in the registry."""

    version: str
    model: str = Field(description="kind of model")
    aliases: list[str] = Field(description="`champion` answers, `challenger` predicts in shadow")
    created_at: datetime
    reason: str = Field(description="why it is, or is not, the champion")
    tags: dict[str, str] = Field(description="figures of its training")

    @classmethod
    def of(cls, version: Version) -> Self:
        """As the registry has it."""
        return cls(
            version=version.number,
            model=version.model,
            aliases=sorted(version.aliases),
            created_at=version.created_at,
            reason=version.reason,
            tags=dict(version.tags),
        )


class ModelsOut(BaseModel):
    """All versions, newest first, and the one that this process answers with."""

    serving: str | None
    models: list[ModelOut]


class DecisionOut(BaseModel):
    """One change of the champion or the challenger."""

    at: datetime
    action: str = Field(description="`promote`, `rollback`, `train` or `retrain`")
    version: str
    alias: str = Field(description="what it became: `champion` or `challenger`")
    previous: str | None = Field(description="the previous champion")
    by: str = Field(description="API key id, or user of the command line; empty if unknown")
    reason: str

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """As the registry has it."""
        return cls(
            at=decision.at,
            action=decision.action,
            version=decision.version,
            alias=decision.alias,
            previous=decision.previous,
            by=decision.by,
            reason=decision.reason,
        )


class HistoryOut(BaseModel):
    """The last 1,000 changes of the champion or the challenger, newest first."""

    decisions: list[DecisionOut]


class PromoteIn(BaseModel):
    """Why a version becomes the champion."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"reason": "better on the cohort of May"}]}
    )

    reason: str = Field(default="promoted over HTTP", min_length=1, max_length=500)


class RollbackIn(BaseModel):
    """Why the champion gives way to the previous one."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"reason": "too high since May"}]}
    )

    reason: str = Field(default=NO_REASON, min_length=1, max_length=500)
