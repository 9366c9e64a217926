r"""The estimators that scikit-learn does not have.

`X` has shape (n, 3): recency, frequency, monetary, as in `clv.schema.FEATURES`. Everything predicts
the *total* spend by the horizon unless it says increment.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils.validation import check_is_fitted, validate_data

from clv.schema import MONETARY, Floats, Mask

__all__ = [
    "AverageRegressor",
    "HurdleRegressor",
    "IncrementRegressor",
    "MeanRegressor",
    "PersistenceRegressor",
    "ReturnClassifier",
    "gives_increments",
]


class _Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Validation shared by all: three finite columns, as many outcomes as rows."""

    def _check_fit(self, X: Any, y: Any) -> tuple[Floats, Floats]:
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        return X, np.asarray(y, dtype=np.float64)

    def _check_predict(self, X: Any) -> Floats:
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=np.float64, reset=False))


class MeanRegressor(_Regressor):
    """Baseline: everybody spends what the average customer spent."""

    def fit(self, X: Any, y: Any) -> Self:
        """Learn `mean_`."""
        _, y = self._check_fit(X, y)
        self.mean_ = float(y.mean())
        return self

    def predict(self, X: Any) -> Floats:
        """The mean, for each row."""
        return np.full(len(self._check_predict(X)), self.mean_)


class _OfIncrement(_Regressor):
    """Expected total as what is spent already plus `increment`, which the subclass gives."""

    def increment(self, X: Any) -> Floats:
        """Expected spend that is still to come, shape (n,); never negative."""
        raise NotImplementedError

    def predict(self, X: Any) -> Floats:
        """Expected total, shape (n,); never below what is spent already."""
        X = self._check_predict(X)
        return np.asarray(X[:, MONETARY] + self.increment(X))


class PersistenceRegressor(_OfIncrement):
    """Baseline: nobody spends anything more; the month equals the week."""

    def fit(self, X: Any, y: Any) -> Self:
        """Learn nothing."""
        self._check_fit(X, y)
        self.is_fitted_ = True
        return self

    def increment(self, X: Any) -> Floats:
        """Nothing, for each row."""
        return np.zeros(len(self._check_predict(X)))


class IncrementRegressor(_OfIncrement):
    r"""Expected spend by the horizon, as what is spent already plus what is still to come.

    .. math:: \hat y = m + \max(\hat g(r, f, m), 0), \qquad g = \mathbb{E}[\max(y - m, 0)]

    Most customers never return, so the total is mostly known; modelling only the unknown part
    lowers the error more than any choice of loss (docs/decisions/0003-model-the-increment.md).

    Parameters
    ----------
    regressor : estimator
        Learns the increment, in currency units.
    """

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, X: Any, y: Any) -> Self:
        """Learn `regressor_` from the spend that was still to come, refunds counted as none."""
        X, y = self._check_fit(X, y)
        still_to_come = np.maximum(y - X[:, MONETARY], 0.0)
        self.regressor_ = clone(self.regressor).fit(X, still_to_come)
        return self

    def increment(self, X: Any) -> Floats:
        """Expected spend that is still to come, shape (n,); never negative."""
        return np.asarray(np.maximum(self.regressor_.predict(self._check_predict(X)), 0.0))


class HurdleRegressor(_Regressor):
    r"""Expected increment of a quantity that is mostly zero: whether, times how much.

    .. math:: \hat g = \hat P(g > 0) \cdot \max(\hat{\mathbb{E}}[g \mid g > 0], 0)

    Source: Cragg (1971), Econometrica 39(5), the two-part model with separate parts.

    Parameters
    ----------
    classifier : estimator with `predict_proba`
        Whether the customer returns.
    regressor : estimator
        How much a customer spends who returns; learns from those only.
    """

    def __init__(self, classifier: Any, regressor: Any) -> None:
        self.classifier = classifier
        self.regressor = regressor

    def fit(self, X: Any, y: Any) -> Self:
        """Learn `classifier_` and `regressor_`; y is the increment."""
        X, y = self._check_fit(X, y)
        returned = y > 0
        if not returned.any() or returned.all():
            raise ValueError("A hurdle needs customers who returned and customers who did not.")
        self.classifier_ = clone(self.classifier).fit(X, returned.astype(np.int64))
        self.regressor_ = clone(self.regressor).fit(X[returned], y[returned])
        return self

    def predict(self, X: Any) -> Floats:
        """Expected increment, shape (n,)."""
        X = self._check_predict(X)
        probability = self.classifier_.predict_proba(X)[:, 1]
        return np.asarray(probability * np.maximum(self.regressor_.predict(X), 0.0))


class AverageRegressor(_Regressor):
    """The plain mean of several regressors: their errors differ, so the mean errs less.

    Parameters
    ----------
    regressors : sequence of estimators
        All predict the same quantity.
    """

    def __init__(self, regressors: Sequence[Any]) -> None:
        self.regressors = regressors

    def fit(self, X: Any, y: Any) -> Self:
        """Learn `regressors_`, each from all rows."""
        X, y = self._check_fit(X, y)
        self.regressors_ = [clone(regressor).fit(X, y) for regressor in self.regressors]
        return self

    def predict(self, X: Any) -> Floats:
        """Mean of the predictions, shape (n,)."""
        X = self._check_predict(X)
        if gives_increments(self):
            return np.asarray(X[:, MONETARY] + self.increment(X))
        return np.asarray(np.mean([model.predict(X) for model in self.regressors_], axis=0))

    def increment(self, X: Any) -> Floats:
        """Mean of the expected increments, shape (n,), where all members give them."""
        X = self._check_predict(X)
        return np.asarray(np.mean([model.increment(X) for model in self.regressors_], axis=0))


def gives_increments(model: Any) -> bool:
    """Whether a fitted model of the total knows the part that is still to come apart."""
    if isinstance(model, AverageRegressor):
        return all(gives_increments(member) for member in model.regressors_)
    return isinstance(model, _OfIncrement)


class ReturnClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""Calibrated probability of any further ride.

    .. math:: \hat p = \sigma(a + b \, \mathrm{logit}\, \hat p_0(r, f, m))

    where :math:`\hat p_0` is the classifier's, and :math:`a, b` are learnt from its predictions of
    rows that it did not see. Nobody is given 0 or 1: finite data shows neither.

    Source: Platt (1999), Probabilistic outputs for support vector machines, with the logit in place
    of the margin, so that a classifier that is calibrated already is left as it is (a=0, b=1).

    Parameters
    ----------
    classifier : estimator with `predict_proba`
    folds : int
    seed : int
        Decides the folds.
    """

    #: Least and largest probability that is given.
    LEAST = 1e-4

    def __init__(self, classifier: Any, folds: int = 5, seed: int = 0) -> None:
        self.classifier = classifier
        self.folds = folds
        self.seed = seed

    def fit(self, X: Any, returned: Any) -> Self:
        """Learn `classifier_`, `intercept_`, `slope_`; only `share_` where nothing can be learnt.

        The share is by Laplace's rule of succession, (k + 1) / (n + 2).
        """
        X, returned = validate_data(self, X, returned, dtype=np.float64)
        returned = returned.astype(np.int64)
        self.classes_ = np.array([0, 1])
        self.share_ = float((returned.sum() + 1) / (len(returned) + 2))
        self.classifier_ = None
        if min(returned.sum(), (1 - returned).sum()) >= self.folds:
            folds = StratifiedKFold(self.folds, shuffle=True, random_state=self.seed)
            unseen = cross_val_predict(
                self.classifier, X, returned, cv=folds, method="predict_proba"
            )[:, 1]
            platt = LogisticRegression(C=np.inf).fit(_logit(unseen)[:, np.newaxis], returned)
            self.intercept_, self.slope_ = float(platt.intercept_[0]), float(platt.coef_[0, 0])
            # A slope below 0 turns the order around: then nothing was learnt about who returns.
            if self.slope_ > 0:
                self.classifier_ = clone(self.classifier).fit(X, returned)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities of (no, yes), shape (n, 2)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        if self.classifier_ is None:
            p = np.full(len(X), self.share_)
        else:
            logit = _logit(self.classifier_.predict_proba(X)[:, 1])
            p = 1 / (1 + np.exp(-(self.intercept_ + self.slope_ * logit)))
        p = np.clip(p, self.LEAST, 1 - self.LEAST)
        return np.column_stack((1 - p, p))

    def predict(self, X: Any) -> Mask:
        """Whether a return is more probable than not, shape (n,)."""
        return np.asarray(self.predict_proba(X)[:, 1] > 0.5)


def _logit(p: Floats) -> Floats:
    p = np.clip(p, ReturnClassifier.LEAST, 1 - ReturnClassifier.LEAST)
    return np.asarray(np.log(p / (1 - p)))
