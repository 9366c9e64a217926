"""What the predictor says of the model that it serves."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.making import bundle_of
from clv.bundle import Predictor, to_cents
from clv.errors import DataError
from clv.models.estimators import MeanRegressor, PersistenceRegressor
from clv.schema import MAX_FREQUENCY, MAX_MONETARY, Activity

LAW = settings(derandomize=True, deadline=None, max_examples=100)


@pytest.fixture(scope="module")
def served(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(bundle_of(model, tmp_path_factory.mktemp("served") / "bundle"))


@pytest.fixture(scope="module")
def mean_of_25(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    model = MeanRegressor().fit(np.ones((2, 3)), [20.0, 30.0])
    return Predictor.load(bundle_of(model, tmp_path_factory.mktemp("mean") / "bundle"))


ROWS = st.lists(
    st.one_of(
        st.just((0, 0, 0.0)),
        st.tuples(
            st.integers(1, 7),
            st.integers(1, MAX_FREQUENCY),
            st.one_of(
                st.floats(0, MAX_MONETARY), st.integers(0, 10_000_000).map(lambda c: c / 100)
            ),
        ),
    ),
    min_size=1,
    max_size=30,
)


@LAW
@given(rows=ROWS)
def test_a_total_is_what_is_spent_and_what_is_still_to_come(
    served: Predictor, rows: list[tuple[int, int, float]]
) -> None:
    activity = Activity.of(*zip(*rows, strict=True))
    said = served.predict(activity)
    assert (said.monetary == activity.monetary + said.expected_increment).all()
    assert (said.expected_increment >= 0).all()
    assert (said.monetary >= 0).all()
    assert said.monetary.dtype == said.expected_increment.dtype == np.float64


@pytest.mark.parametrize("cents", [123_456_789_01, 99_999_999_999, 13_107_201])
def test_not_a_cent_of_a_large_amount_is_lost(tmp_path: Path, cents: int) -> None:
    """float32 would keep 16,777,216 of anything; who spent 123,456,789.01 spent just that."""
    model = PersistenceRegressor().fit(np.ones((2, 3)), [1.0, 2.0])
    persistence = Predictor.load(bundle_of(model, tmp_path / "bundle"))
    spent = cents / 100
    assert float(np.float32(spent)) != spent
    said = persistence.predict_one(7, 3, spent)
    assert said.monetary == spent
    assert said.expected_increment == 0


def test_a_model_of_the_total_is_not_followed_below_what_is_spent(mean_of_25: Predictor) -> None:
    poor, rich = mean_of_25.predict_one(1, 1, 8.5), mean_of_25.predict_one(7, 3, 60)
    assert (poor.monetary, poor.expected_increment) == (25, 16.5)
    assert (rich.monetary, rich.expected_increment) == (60, 0)


def test_one_passenger_is_answered_like_many(served: Predictor) -> None:
    many = served.predict(Activity.of([0, 1, 7], [0, 1, 8], [0, 8.5, 210.4]))
    assert len(many) == 3
    assert served.predict_one(1, 1, 8.5).monetary == many.monetary[1]


def test_threads_that_share_a_predictor_do_not_disturb_each_other(served: Predictor) -> None:
    rng = np.random.default_rng(0)
    parts = [
        Activity.of(rng.integers(1, 8, n), rng.integers(1, 9, n), rng.exponential(40, n))
        for n in rng.integers(1, 400, 40)
    ]
    alone = [served.predict(part).monetary.tolist() for part in parts]
    with ThreadPoolExecutor(8) as threads:
        together = threads.map(lambda part: served.predict(part).monetary.tolist(), parts)
        assert list(together) == alone


@LAW
@given(st.floats(-1e9, 1e9))
def test_cents_are_the_nearest_and_nothing_is_ever_minus_nothing(amount: float) -> None:
    cents = to_cents(amount)
    assert abs(cents - amount) <= 0.005 + 1e-7
    assert cents == round(cents, 2)
    assert not str(cents).startswith("-0.0") or cents < 0


@pytest.mark.parametrize("amount", [-0.0, -0.001, -0.004999])
def test_minus_nothing_leaves_as_nothing(amount: float) -> None:
    assert str(float(to_cents(amount))) == "0.0"
    assert not np.signbit(to_cents(np.array([amount, 1.0]))).any()


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ((9, 1, 5), "recency is 9 in row 0: expected a whole number from 0 to 7"),
        ((float("nan"), 1, 5), "recency is nan"),
        ((1.5, 1, 5), "recency is 1.5"),
        ((1, -1, 5), "frequency is -1"),
        ((1, 1, float("inf")), "monetary is inf"),
        ((1, 1, float("nan")), "monetary is nan"),
        ((0, 0, 5), "no ride was counted, yet money was spent"),
        ((0, 3, 5), "rides were counted, yet"),
        (("soon", 1, 5), "recency holds a value that is not a number"),
        ((None, 1, 5), "recency is nan"),
        (([1, 2], 1, 5), "expected three of one length"),
    ],
)
def test_what_the_service_refuses_python_refuses(
    served: Predictor, one: tuple[Any, Any, Any], says: str
) -> None:
    with pytest.raises(DataError) as refused:
        served.predict_one(*one)
    assert says in str(refused.value)


def test_a_day_beyond_the_window_is_refused_in_a_batch(served: Predictor) -> None:
    with pytest.raises(DataError, match=r"recency is 9 in row 1: .* from 0 to 7"):
        served.predict(Activity.of([1, 9], [1, 1], [5, 5]))


TABLE = {"monetary_7": [8.5, 80.0, 0.0], "recency_7": [1, 7, 0], "id": ["a", "b", "c"]}


@pytest.mark.parametrize("kind", [pd.DataFrame, pa.table, dict])
def test_a_table_is_predicted_by_the_names_of_its_columns(
    served: Predictor, kind: Callable[[Any], Any]
) -> None:
    found = served.predict(kind({**TABLE, "frequency_7": [1, 4, 0]}))
    expected = served.predict(Activity.of([1, 7, 0], [1, 4, 0], [8.5, 80.0, 0.0]))
    assert (found.monetary == expected.monetary).all()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Column 'frequency_7' (rides in the first 7 days) is missing; the table has"),
        ({"frequency_7": [1, None, 0]}, "Column 'frequency_7' holds "),
        ({"frequency_7": [1, -4, 0]}, "Column 'frequency_7' holds -4 in row 1: negative"),
        ({"frequency_7": ["1", "four", "0"]}, "Column 'frequency_7' holds 'four' in row 1"),
        ({"frequency_7": [1, 4, 2]}, "in row 2: rides were counted, yet"),
    ],
)
def test_a_table_that_cannot_be_is_refused(
    served: Predictor, changes: dict[str, Any], says: str
) -> None:
    for kind in (pd.DataFrame, pa.table):
        with pytest.raises(DataError) as refused:
            served.predict(kind({**TABLE, **changes}))
        assert says in str(refused.value)


@pytest.mark.parametrize("given", [None, "rides.csv", [[1, 1, 5]], np.ones((2, 3))])
def test_what_is_no_table_is_refused(served: Predictor, given: Any) -> None:
    with pytest.raises(DataError, match=r"Expected clv\.schema\.Activity, or a pandas"):
        served.predict(given)
