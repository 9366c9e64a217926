"""What travels over HTTP."""

from clv.service.schemas.fields import WINDOW, PassengerId, Version
from clv.service.schemas.operations import (
    DecisionOut,
    HistoryOut,
    ModelOut,
    ModelsOut,
    PromoteIn,
    ReadyOut,
    RequestCount,
    ResetOut,
    RollbackIn,
)
from clv.service.schemas.outcomes import OutcomesIn, OutcomesOut
from clv.service.schemas.pages import (
    ActivityOut,
    AskedFrequency,
    AskedMonetary,
    AskedOut,
    AskedRecency,
    ExplainOut,
    PassengerRequestsOut,
)
from clv.service.schemas.predictions import (
    BatchIn,
    BatchOut,
    IntervalOut,
    Passenger,
    PassengerIn,
    PredictIn,
    PredictionOut,
    answer,
    tracked,
)
from clv.service.schemas.problem import FieldError, Problem
from clv.service.schemas.segments import ChosenIn, SegmentIn, SegmentOut, UploadIn

__all__ = [
    "WINDOW",
    "ActivityOut",
    "AskedFrequency",
    "AskedMonetary",
    "AskedOut",
    "AskedRecency",
    "BatchIn",
    "BatchOut",
    "ChosenIn",
    "DecisionOut",
    "ExplainOut",
    "FieldError",
    "HistoryOut",
    "IntervalOut",
    "ModelOut",
    "ModelsOut",
    "OutcomesIn",
    "OutcomesOut",
    "Passenger",
    "PassengerId",
    "PassengerIn",
    "PassengerRequestsOut",
    "PredictIn",
    "PredictionOut",
    "Problem",
    "PromoteIn",
    "ReadyOut",
    "RequestCount",
    "ResetOut",
    "RollbackIn",
    "SegmentIn",
    "SegmentOut",
    "UploadIn",
    "Version",
    "answer",
    "tracked",
]
