"""The estimators recover what was planted, and the baselines are what they say."""

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LinearRegression

from clv.models.estimators import (
    AverageRegressor,
    HurdleRegressor,
    IncrementRegressor,
    MeanRegressor,
    PersistenceRegressor,
    ReturnClassifier,
)
from clv.schema import FREQUENCY, MONETARY, RECENCY, Floats


class ShareOfReturners(ClassifierMixin, BaseEstimator):
    """The share of each class, for everybody."""

    def fit(self, _X: Floats, y: Floats) -> "ShareOfReturners":
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / len(y)
        return self

    def predict_proba(self, X: Floats) -> Floats:
        return np.tile(self.shares_, (len(X), 1))


class Fixed(RegressorMixin, BaseEstimator):
    """Says `value`, and remembers what it was taught."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def fit(self, _X: Floats, y: Floats) -> "Fixed":
        self.taught_ = np.array(y)
        return self

    def predict(self, X: Floats) -> Floats:
        return np.full(len(X), self.value)


@pytest.fixture(scope="module", name="X")
def activity() -> Floats:
    """Activity of 4,000 passengers."""
    rng = np.random.default_rng(7)
    return np.column_stack(
        (
            rng.integers(1, 8, 4_000),
            rng.integers(1, 6, 4_000),
            np.round(rng.exponential(30, 4_000) + 3, 2),
        )
    ).astype(float)


def test_a_planted_increment_is_recovered(X: Floats) -> None:
    increment = 2.0 + 3.0 * X[:, RECENCY] + 1.5 * X[:, FREQUENCY] + 0.25 * X[:, MONETARY]
    noise = np.random.default_rng(1).normal(0, 2, len(X))
    model = IncrementRegressor(LinearRegression()).fit(X, X[:, MONETARY] + increment + noise)
    assert model.regressor_.coef_ == pytest.approx([3.0, 1.5, 0.25], abs=0.1)
    assert model.regressor_.intercept_ == pytest.approx(2.0, abs=0.5)
    assert model.predict(X) == pytest.approx(X[:, MONETARY] + increment, abs=0.5)


def test_a_refund_counts_as_nothing_still_to_come() -> None:
    X = np.array([[1, 1, 20.0], [1, 1, 30.0], [7, 2, 40.0]])
    model = IncrementRegressor(Fixed()).fit(X, [5.0, 30.0, 52.5])
    assert model.regressor_.taught_.tolist() == [0, 0, 12.5]


def test_what_is_spent_is_never_predicted_away(X: Floats) -> None:
    model = IncrementRegressor(Fixed(-10)).fit(X, X[:, MONETARY])
    assert model.predict(X).tolist() == X[:, MONETARY].tolist()


def test_probability_and_amount_of_a_return_are_recovered(X: Floats) -> None:
    rng = np.random.default_rng(2)
    probability = 0.1 + 0.08 * X[:, RECENCY]
    amount = 20 + 10 * X[:, FREQUENCY]
    returned = rng.random(len(X)) < probability
    increment = np.where(returned, rng.gamma(20, amount / 20), 0.0)
    boosted = {
        "n_estimators": 60,
        "num_leaves": 7,
        "learning_rate": 0.1,
        "verbose": -1,
        "n_jobs": 1,
    }
    model = HurdleRegressor(LGBMClassifier(**boosted), LGBMRegressor(**boosted)).fit(X, increment)
    said = model.classifier_.predict_proba(X)[:, 1]
    for day in range(1, 8):
        rows = X[:, RECENCY] == day
        assert said[rows].mean() == pytest.approx(0.1 + 0.08 * day, abs=0.05)
    for rides in range(1, 6):
        rows = X[:, FREQUENCY] == rides
        assert model.regressor_.predict(X[rows]).mean() == pytest.approx(20 + 10 * rides, rel=0.06)
    assert model.predict(X).mean() == pytest.approx(increment.mean(), rel=0.02)


def test_a_hurdle_is_probability_times_amount_of_those_who_returned() -> None:
    X = np.ones((10, 3))
    increment = np.array([0.0] * 8 + [30.0, 50.0])
    model = HurdleRegressor(ShareOfReturners(), Fixed(40)).fit(X, increment)
    assert model.regressor_.taught_.tolist() == [30, 50]
    assert model.predict(X) == pytest.approx(np.full(10, 0.2 * 40))


def test_a_hurdle_never_expects_a_negative_amount() -> None:
    model = HurdleRegressor(ShareOfReturners(), Fixed(-5)).fit(np.ones((4, 3)), [0, 0, 1, 2])
    assert not model.predict(np.ones((4, 3))).any()


@pytest.mark.parametrize("increment", [np.zeros(5), np.ones(5)])
def test_a_hurdle_says_what_it_needs_where_all_customers_did_the_same(increment: Floats) -> None:
    with pytest.raises(ValueError, match="customers who returned and customers who did not"):
        HurdleRegressor(ShareOfReturners(), Fixed()).fit(np.ones((5, 3)), increment)


def test_the_mean_is_the_mean_of_what_was_spent(X: Floats) -> None:
    y = np.random.default_rng(1).exponential(30, len(X))
    assert set(MeanRegressor().fit(X, y).predict(X[:9])) == {float(y.mean())}


def test_persistence_says_that_the_month_equals_the_week(X: Floats) -> None:
    said = PersistenceRegressor().fit(X, X[:, MONETARY] * 3).predict(X)
    assert said.tolist() == X[:, MONETARY].tolist()
    said[:] = 0  # a copy: to change the answer does not change the question
    assert X[:, MONETARY].any()


def test_an_average_is_the_plain_mean_of_its_members(X: Floats) -> None:
    members = [Fixed(1), Fixed(2), Fixed(6)]
    model = AverageRegressor(members).fit(X, X[:, MONETARY])
    assert model.predict(X[:4]).tolist() == [3, 3, 3, 3]
    assert not any(hasattr(member, "taught_") for member in members)  # clones were fitted


@pytest.mark.parametrize(
    "model",
    [
        MeanRegressor(),
        PersistenceRegressor(),
        IncrementRegressor(LinearRegression()),
        AverageRegressor([LinearRegression(), MeanRegressor()]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_as_many_outcomes_as_customers_are_needed(model: BaseEstimator, X: Floats) -> None:
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, np.ones(len(X) - 1))


# ---------------------------------------------------------------- the probability of return


class Constant(ClassifierMixin, BaseEstimator):
    """Gives everybody the same probability, whatever it is taught."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def fit(self, _X: Floats, y: Floats) -> "Constant":
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Floats) -> Floats:
        return np.tile([1 - self.p, self.p], (len(X), 1))

    def predict(self, X: Floats) -> Floats:
        return self.predict_proba(X)[:, 1] > 0.5


class Overconfident(ClassifierMixin, BaseEstimator):
    """Knows the probability, 0.1 + 0.08 a day, and gives thrice its log-odds, less one."""

    def fit(self, _X: Floats, y: Floats) -> "Overconfident":
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Floats) -> Floats:
        p = 0.1 + 0.08 * X[:, RECENCY]
        said = 1 / (1 + np.exp(1 - 3 * np.log(p / (1 - p))))
        return np.column_stack((1 - said, said))

    def predict(self, X: Floats) -> Floats:
        return self.predict_proba(X)[:, 1] > 0.5


def test_too_sure_a_classifier_is_put_right(X: Floats) -> None:
    p = 0.1 + 0.08 * X[:, RECENCY]
    returned = np.random.default_rng(5).random(len(X)) < p
    model = ReturnClassifier(Overconfident()).fit(X, returned)
    assert model.slope_ == pytest.approx(1 / 3, abs=0.05)
    assert model.intercept_ == pytest.approx(1 / 3, abs=0.1)
    assert model.predict_proba(X)[:, 1] == pytest.approx(p, abs=0.03)


def test_a_classifier_that_says_the_same_of_everybody_is_given_the_share(X: Floats) -> None:
    returned = np.arange(len(X)) % 5 == 0
    said = ReturnClassifier(Constant(0.7)).fit(X, returned).predict_proba(X)
    assert said[:, 1] == pytest.approx(np.full(len(X), 0.2), abs=1e-3)
    assert said.sum(axis=1) == pytest.approx(np.ones(len(X)))


@pytest.mark.parametrize(("returned", "share"), [(0, 1 / 4_002), (1, 4_001 / 4_002)])
def test_where_all_did_the_same_the_probability_is_neither_0_nor_1(
    X: Floats, returned: int, share: float
) -> None:
    """Laplace's rule of succession."""
    model = ReturnClassifier(Constant()).fit(X, np.full(len(X), returned))
    assert model.predict_proba(X[:3])[:, 1] == pytest.approx(np.full(3, share))
    assert model.predict(X[:3]).tolist() == [bool(returned)] * 3


def test_nobody_is_given_0_or_1(X: Floats) -> None:
    returned = X[:, RECENCY] > 3
    boosted = LGBMClassifier(n_estimators=200, n_jobs=1, verbose=-1)
    p = ReturnClassifier(boosted).fit(X, returned).predict_proba(X)
    assert p.min() == pytest.approx(ReturnClassifier.LEAST)
    assert p.max() == pytest.approx(1 - ReturnClassifier.LEAST)
