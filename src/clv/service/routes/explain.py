"""What lies behind a prediction; asked as often as wanted, and tracked nowhere."""

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from clv.service.explain import explain
from clv.service.messages import located
from clv.service.schemas import (
    AskedFrequency,
    AskedMonetary,
    AskedRecency,
    ExplainOut,
    Passenger,
)
from clv.service.worker import worker_of

__all__ = ["router"]

router = APIRouter(tags=["predictions"])


@router.get("/api/explain", summary="Explain a prediction")
async def explain_prediction(
    recency_7: AskedRecency,
    frequency_7: AskedFrequency,
    monetary_7: AskedMonetary,
    request: Request,
) -> ExplainOut:
    """Intervals at several levels, and what would change the prediction; nothing is tracked."""
    try:
        Passenger(id=0, recency_7=recency_7, frequency_7=frequency_7, monetary_7=monetary_7)
    except ValidationError as error:
        raise RequestValidationError(located(error, "query")) from None
    model = worker_of(request).models.current().champion
    return ExplainOut.of(explain(model, recency_7, frequency_7, monetary_7), model.version)
