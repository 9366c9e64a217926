"""Compare what a model says with what happened, beside the baselines."""

from dataclasses import asdict, dataclass, fields

import numpy as np

from clv.bundle import Predictor
from clv.data.checks import History
from clv.evaluation.evaluate import Evaluation, evaluate
from clv.metrics import PairedDifference, Quality, measure, paired_bootstrap, squared_errors
from clv.schema import Floats

__all__ = ["Line", "Validation", "validate"]


@dataclass(frozen=True, slots=True)
class Line(Quality):
    """How one model does on all rows; `to_champion` is its squared error less the champion's."""

    model: str
    to_champion: PairedDifference


@dataclass(frozen=True, slots=True)
class Validation(Evaluation):
    """Predictions against actuals: an evaluation, beside the baselines on the same rows.

    Attributes
    ----------
    version, model : str
        What was validated.
    source : str
    trained_on_these : bool
        Whether these are the very rows that the model was fitted on; then it flatters the model.
    lines : tuple of Line
        The champion first, then the baselines.
    """

    version: str
    model: str
    source: str
    trained_on_these: bool
    lines: tuple[Line, ...]


def validate(history: History, predictor: Predictor, *, seed: int = 42) -> Validation:
    """Compare the predictor with what happened to the customers of `history`.

    Raises
    ------
    DataError
        Where the history is of another window than the model.
    """
    evaluation = evaluate(history, predictor)
    predicted = predictor.predict(history.activity).monetary
    trained = predictor.manifest.data
    models = {
        f"version {predictor.version} ({predictor.manifest.model})": predicted,
        "month = week": history.activity.monetary,
        "mean of training": np.full(len(history), trained.mean_outcome),
    }
    return Validation(
        **{field.name: getattr(evaluation, field.name) for field in fields(evaluation)},
        version=predictor.version,
        model=predictor.manifest.model,
        source=history.source,
        trained_on_these=history.fingerprint() == trained.fingerprint,
        lines=tuple(
            _line(name, history, values, predicted, seed) for name, values in models.items()
        ),
    )


def _line(model: str, history: History, values: Floats, champion: Floats, seed: int) -> Line:
    actual = history.outcome
    return Line(
        **asdict(measure(actual, values, history.activity.monetary)),
        model=model,
        to_champion=paired_bootstrap(
            squared_errors(actual, values), squared_errors(actual, champion), seed=seed
        ),
    )
