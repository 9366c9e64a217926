"""Compare what a model says with what happened, beside the baselines."""

from dataclasses import asdict, dataclass

import numpy as np

from clv.bundle import Predictor
from clv.data.checks import History
from clv.errors import DataError
from clv.metrics import (
    DecileRow,
    PairedDifference,
    deciles,
    measure,
    paired_bootstrap,
    squared_errors,
)
from clv.schema import Floats

__all__ = ["Line", "Miss", "Validation", "validate"]

_MISSES = 10


@dataclass(frozen=True, slots=True)
class Line:
    """How one model does on all rows; `to_champion` is its squared error less the champion's."""

    model: str
    mse: float
    mae: float
    bias: float
    gini_total: float
    gini_increment: float
    decile_mape: float
    to_champion: PairedDifference


@dataclass(frozen=True, slots=True)
class Miss:
    """One customer for whom the prediction was far off."""

    id: str
    recency: float
    frequency: float
    monetary: float
    predicted: float
    actual: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Predictions against actuals.

    Attributes
    ----------
    version, model : str
        What was validated.
    source : str
    rows : int
    trained_on_these : bool
        Whether these are the very rows that the model was fitted on; then it flatters the model.
    lines : tuple of Line
        The champion first, then the baselines.
    deciles : tuple of DecileRow
        Of the total spend, by predicted rank.
    misses : tuple of Miss
        Largest absolute errors first.
    """

    version: str
    model: str
    source: str
    rows: int
    horizon_days: int
    trained_on_these: bool
    lines: tuple[Line, ...]
    deciles: tuple[DecileRow, ...]
    misses: tuple[Miss, ...]


def validate(history: History, predictor: Predictor, *, seed: int = 42) -> Validation:
    """Compare the predictor with what happened to the customers of `history`.

    Raises
    ------
    DataError
        Where the history is of another window than the model.
    """
    if history.window != predictor.window:
        raise DataError(f"The data is of {history.window}, the model of {predictor.window}.")
    actual = history.outcome
    predicted = predictor.predict(history.activity).monetary
    trained = predictor.manifest.data
    models = {
        f"version {predictor.version} ({predictor.manifest.model})": predicted,
        "month = week": history.activity.monetary,
        "mean of training": np.full(len(actual), trained.mean_outcome),
    }
    off = np.argsort(-np.abs(predicted - actual), kind="stable")[:_MISSES]
    return Validation(
        version=predictor.version,
        model=predictor.manifest.model,
        source=history.source,
        rows=len(history),
        horizon_days=history.window.horizon_days,
        trained_on_these=history.fingerprint() == trained.fingerprint,
        lines=tuple(
            _line(name, history, values, predicted, seed) for name, values in models.items()
        ),
        deciles=tuple(deciles(actual, predicted)),
        misses=tuple(_miss(history, int(row), predicted) for row in off),
    )


def _miss(history: History, row: int, predicted: Floats) -> Miss:
    recency, frequency, monetary = history.activity[row : row + 1].matrix()[0].tolist()
    return Miss(
        str(history.ids[row]),
        recency,
        frequency,
        monetary,
        float(predicted[row]),
        float(history.outcome[row]),
    )


def _line(model: str, history: History, values: Floats, champion: Floats, seed: int) -> Line:
    actual = history.outcome
    return Line(
        model=model,
        **asdict(measure(actual, values, history.activity.monetary)),
        to_champion=paired_bootstrap(
            squared_errors(actual, values), squared_errors(actual, champion), seed=seed
        ),
    )
