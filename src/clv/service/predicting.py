"""One prediction or many: computed, beside the challenger's, and why not to rely on it."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from clv.bundle import Prediction, Predictor
from clv.clock import utc_now
from clv.service.models import Serving
from clv.service.schemas import Passenger, PredictIn, tracked
from clv.service.worker import Worker
from clv.tracking import Source

__all__ = ["Answered", "in_shadow", "note", "predict_passenger"]

_Said = TypeVar("_Said")


class Answered(NamedTuple):
    """A prediction, why not to rely on it, and the version of the model."""

    said: Prediction
    note: str | None
    version: str


async def predict_passenger(worker: Worker, asked: PredictIn, source: Source) -> Answered:
    """Predict one passenger; returns once the request is tracked."""
    models = worker.models.current()
    version = models.champion.version

    def ask(model: Predictor) -> Prediction:
        activity = asked.recency_7, asked.frequency_7, asked.monetary_7
        return model.predict_one(*activity, level=asked.level).in_cents()

    said = ask(models.champion)
    shadow = in_shadow(worker, models, ask)
    row = tracked(asked, said, version, utc_now(), shadow, models.shadow_version, source)
    await worker.request_log.append([row])
    if source != "page":
        worker.metrics.predicted(version, said)
    return Answered(said, note(asked, said, models.champion), version)


def in_shadow(worker: Worker, models: Serving, ask: Callable[[Predictor], _Said]) -> _Said | None:
    """What the challenger would answer; its failure is nobody's but its own."""
    if models.challenger is None:
        return None
    try:
        return ask(models.challenger)
    except Exception as error:  # noqa: BLE001 - whatever it is, the champion's answer stands
        worker.models.shadow_failed(models.challenger.version, error)
        worker.metrics.shadow_failed(models.challenger.version)
        return None


def note(asked: Passenger, said: Prediction, model: Predictor) -> str | None:
    """Why not to rely on a prediction; None in support."""
    if said.in_support:
        return None
    return model.why_out_of_support(asked.recency_7, asked.frequency_7, asked.monetary_7)
