"""What travels over HTTP."""

from clv.service.schemas.fields import WINDOW, PassengerId, Version
from clv.service.schemas.operations import (
    ModelOut,
    ModelsOut,
    PromoteIn,
    ReadyOut,
    RequestCount,
    ResetOut,
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
    TryOutIn,
    TryOutOut,
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
    "ExplainOut",
    "FieldError",
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
    "SegmentIn",
    "SegmentOut",
    "TryOutIn",
    "TryOutOut",
    "UploadIn",
    "Version",
    "answer",
    "tracked",
]
