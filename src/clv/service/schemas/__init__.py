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

__all__ = [
    "WINDOW",
    "BatchIn",
    "BatchOut",
    "FieldError",
    "IntervalOut",
    "ModelOut",
    "ModelsOut",
    "Passenger",
    "PassengerId",
    "PassengerIn",
    "PredictIn",
    "PredictionOut",
    "Problem",
    "PromoteIn",
    "ReadyOut",
    "RequestCount",
    "ResetOut",
    "Version",
    "answer",
    "tracked",
]
