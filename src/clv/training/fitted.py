"""A model with what its predictions leave open, learnt on the same rows, out of fold."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from clv.bundle import DEFAULT_LEVEL, Calibration, Intervals, Predictions, Support, Uncertainty
from clv.bundle.predictions import complete
from clv.bundle.surroundings import Surroundings
from clv.data.checks import History
from clv.models.candidates import returning
from clv.models.estimators import ReturnClassifier
from clv.schema import Activity, Floats

__all__ = ["Fitted", "finish"]


@dataclass(frozen=True, slots=True)
class Fitted:
    """All that a bundle needs of a model, fitted on one set of rows.

    Attributes
    ----------
    expected : estimator
        Of the total spend by the horizon.
    returning : ReturnClassifier
    uncertainty : Uncertainty
    """

    expected: Any
    returning: ReturnClassifier
    uncertainty: Uncertainty

    def predict(self, activity: Activity, *, level: float = DEFAULT_LEVEL) -> Predictions:
        """Say what its bundle would say, without writing one.

        For the many models of a backtest, which nobody serves; the parity gate holds both equal.
        """
        X = activity.matrix()
        return complete(
            X,
            np.maximum(self.expected.predict(X) - activity.monetary, 0.0),
            self.returning.predict_proba(X)[:, 1],
            Intervals(self.uncertainty.calibration),
            Surroundings(self.uncertainty.support),
            level,
        )


def finish(expected: Any, out_of_fold: Floats, history: History, *, seed: int) -> Fitted:
    """Add probability of return, intervals and support to a model of the expected spend.

    Parameters
    ----------
    expected : estimator
        Fitted on `history`.
    out_of_fold : array of shape (n,)
        Predictions of the rows of `history` by models of the same recipe that did not see them.
    history : History
    seed : int
    """
    X, spent = history.activity.matrix(), history.activity.monetary
    return Fitted(
        expected,
        returning(seed).fit(X, history.returned),
        Uncertainty(
            calibration=Calibration.of(
                np.maximum(out_of_fold - spent, 0.0),
                history.outcome - spent,
                scores=np.maximum(expected.predict(X) - spent, 0.0),
            ),
            support=Support.of(history.activity, history.window),
        ),
    )
