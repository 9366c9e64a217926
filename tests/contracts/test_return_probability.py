"""What the probability of return promises: calibrated, repeatable, the same when served."""

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from clv.bundle import Cells
from clv.data.checks import History
from clv.data.simulate import simulate
from clv.models.candidates import returning
from clv.models.estimators import PersistenceRegressor, ReturnClassifier
from clv.models.tabulate import tabulate
from clv.schema import MAX_FREQUENCY, MAX_MONETARY, MONETARY, Floats, Mask

SEED = 42


@pytest.fixture(scope="module", name="X")
def activity(history: History) -> Floats:
    matrix = history.activity.matrix()
    matrix.setflags(write=False)
    return matrix


@pytest.fixture(scope="module")
def learnt(history: History, X: Floats) -> ReturnClassifier:
    return returning(SEED).fit(X, history.returned)


@pytest.fixture(scope="module")
def crowd(X: Floats) -> Floats:
    """The history, corners, and anybody in between."""
    rng = np.random.default_rng(3)
    corners = [[0, 0, 0], [7, MAX_FREQUENCY, 5], [1, 1, MAX_MONETARY], [7, 1, 131_072.01]]
    drawn = (
        rng.integers(0, 8, 5_000),
        rng.integers(0, 60, 5_000),
        np.round(rng.exponential(80, 5_000), 2),
    )
    return np.vstack((corners, X, np.column_stack(drawn)))


def p_of(model: ReturnClassifier, X: Floats) -> Floats:
    return np.asarray(model.predict_proba(X)[:, 1])


# ---------------------------------------------------------------- scikit-learn's conventions


def test_what_it_is_given_stays_unchanged(history: History, X: Floats) -> None:
    given_X, returned = X.copy(), history.returned.copy()
    model = returning(SEED).fit(given_X, returned)
    model.predict_proba(given_X)
    assert given_X.tobytes() == X.tobytes()
    assert (returned == history.returned).all()


def test_the_same_seed_gives_the_same_probabilities_to_the_last_bit(
    history: History, learnt: ReturnClassifier, X: Floats
) -> None:
    again = returning(SEED).fit(X, history.returned)
    assert p_of(again, X).tobytes() == p_of(learnt, X).tobytes()
    refitted = clone(learnt).fit(X[:500], history.returned[:500]).fit(X, history.returned)
    assert p_of(refitted, X).tobytes() == p_of(learnt, X).tobytes()
    other = returning(SEED + 1).fit(X, history.returned)
    assert other.intercept_ != learnt.intercept_  # other folds


def test_without_fitting_there_is_no_probability(X: Floats) -> None:
    with pytest.raises(NotFittedError):
        returning(SEED).predict_proba(X)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_and_infinite_values_are_refused(
    history: History, learnt: ReturnClassifier, X: Floats, value: float
) -> None:
    holed = X.copy()
    holed[3, MONETARY] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        returning(SEED).fit(holed, history.returned)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        learnt.predict_proba(holed)


@pytest.mark.parametrize("columns", [2, 4])
def test_another_number_of_columns_is_refused(learnt: ReturnClassifier, columns: int) -> None:
    with pytest.raises(ValueError, match="3 features"):
        learnt.predict_proba(np.ones((5, columns)))


# ---------------------------------------------------------------- what it says


def test_it_says_probabilities_that_add_up(learnt: ReturnClassifier, crowd: Floats) -> None:
    both = learnt.predict_proba(crowd)
    assert both.sum(axis=1) == pytest.approx(np.ones(len(crowd)))
    assert both.min() > 0
    assert (learnt.predict(crowd) == (both[:, 1] > 0.5)).all()


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    frequency=st.integers(0, 60),
    monetary=st.one_of(st.floats(0, 2_000), st.just(MAX_MONETARY)),
)
def test_who_rode_later_is_no_less_likely_to_return(
    learnt: ReturnClassifier, frequency: int, monetary: float
) -> None:
    days = np.arange(8)
    rows = np.column_stack((days, days * 0 + frequency, days * 0 + monetary))
    assert (np.diff(p_of(learnt, rows)) >= 0).all()


@pytest.fixture(scope="module")
def others() -> tuple[Floats, Mask]:
    """20,000 generated passengers, and who of them returned."""
    table: pyarrow.Table = next(iter(simulate(20_000, seed=77))).activity
    names = ("recency_7", "frequency_7", "monetary_value_7")
    features = np.column_stack([table.column(name).to_numpy() for name in names])
    return features, table.column("frequency_30").to_numpy() > features[:, 1]


def test_it_is_calibrated_on_others_of_the_same_kind(
    learnt: ReturnClassifier, others: tuple[Floats, Mask]
) -> None:
    """It learnt from 4,000: a tenth of those is 400, one standard error two points and a half."""
    features, returned = others
    p = p_of(learnt, features)
    assert p.mean() == pytest.approx(returned.mean(), abs=0.02)
    for rows in np.array_split(np.argsort(p, kind="stable"), 10):
        assert p[rows].mean() == pytest.approx(returned[rows].mean(), abs=0.075)
    share = returned.mean()
    assert np.mean((p - returned) ** 2) < 0.95 * share * (1 - share)


# ---------------------------------------------------------------- served


def served(model: ReturnClassifier, X: Floats) -> Floats:
    cells: Cells = tabulate(PersistenceRegressor().fit(X[:2], X[:2, MONETARY]), model)
    return np.asarray(cells.p_return[cells.of(X)])


def test_the_table_says_what_was_learnt_to_the_last_bit(
    learnt: ReturnClassifier, crowd: Floats
) -> None:
    assert served(learnt, crowd).tolist() == p_of(learnt, crowd).tolist()


@pytest.mark.parametrize("returned", [0, 1])
def test_where_all_did_the_same_there_is_a_table_too(X: Floats, returned: int) -> None:
    model = returning(SEED).fit(X, np.full(len(X), returned))
    assert served(model, X).tolist() == p_of(model, X).tolist()


def test_a_few_who_returned_among_many_are_enough_to_learn_from(X: Floats) -> None:
    model = returning(SEED).fit(X[:1_000], np.arange(1_000) % 50 == 0)
    p = p_of(model, X[:1_000])
    assert p.mean() == pytest.approx(0.02, abs=0.01)
    assert served(model, X[:1_000]).tolist() == p.tolist()
