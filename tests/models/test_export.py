"""The graph splits where the model splits, and what cannot be exported is refused by name."""

import itertools
from typing import Any

import numpy as np
import onnxruntime
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Lasso, LinearRegression

from bundle.making import returning_like_anybody
from clv.models.estimators import (
    AverageRegressor,
    HurdleRegressor,
    IncrementRegressor,
    MeanRegressor,
    PersistenceRegressor,
)
from clv.models.export import INPUT, export, exported_target
from clv.schema import MONETARY, Floats


def outputs(graph: bytes, X: Floats) -> list[Floats]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return [
        one[:, 0].astype(np.float64) for one in session.run(None, {INPUT: X.astype(np.float32)})
    ]


def run(model: Any, X: Floats) -> Floats:
    """What the graph of a model expects."""
    return outputs(export(model, returning_like_anybody()), X)[0]


def amounts_beside_each_other(first: float, count: int) -> Floats:
    """Neighbours among the numbers that the graph can hold."""
    steps = itertools.accumulate(
        range(count - 1),
        lambda last, _: np.nextafter(last, np.float32(np.inf)),
        initial=np.float32(first),
    )
    return np.array([float(amount) for amount in steps])


@pytest.mark.parametrize(
    "regressor",
    [
        LGBMRegressor(n_estimators=3, min_child_samples=5, n_jobs=1, verbose=-1),
        RandomForestRegressor(n_estimators=3, random_state=0),
    ],
    ids=["boosting", "forest"],
)
@pytest.mark.parametrize("first", [20.0, 1_234.5, 8_000_000.0])
def test_customers_on_both_sides_of_a_split_stay_there_however_near_they_are(
    regressor: LGBMRegressor, first: float
) -> None:
    """A threshold lies between two customers; rounded to the nearest float32 it can be on one."""
    spent = np.repeat(amounts_beside_each_other(first, 8), 10)
    X = np.column_stack((np.ones_like(spent), np.ones_like(spent), spent))
    increment = np.tile(np.repeat([0.0, 100.0], 10), 4)
    model = IncrementRegressor(regressor).fit(X, spent + increment)
    served = run(model, X)
    assert np.ptp(served) > 10  # it did split
    assert served == pytest.approx(model.predict(X) - spent, abs=1e-3)


def test_an_amount_between_two_float32_is_seen_alike_by_model_and_graph() -> None:
    """Converted currencies have more digits than the graph; learnt as it reads, nothing flips."""
    rng = np.random.default_rng(0)
    spent = np.sort(rng.uniform(1_000, 1_000.01, 2_000))
    X = np.column_stack((np.ones_like(spent), np.ones_like(spent), spent))
    regressor = LGBMRegressor(n_estimators=5, min_child_samples=5, n_jobs=1, verbose=-1)
    model = IncrementRegressor(regressor).fit(
        X, spent + np.where(np.arange(2_000) % 40 < 20, 0, 99)
    )
    assert run(model, X) == pytest.approx(model.predict(X) - spent, abs=1e-3)


@pytest.mark.parametrize(
    "regressor",
    [
        LinearRegression(),
        HurdleRegressor(LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1), LinearRegression()),
    ],
    ids=["increment", "amount of a hurdle"],
)
def test_an_expectation_below_nothing_is_nothing_in_the_graph_too(regressor: BaseEstimator) -> None:
    """Who has spent much already is expected to spend less, by this line soon less than nothing."""
    spent = np.linspace(1, 100, 200)
    X = np.column_stack((np.ones_like(spent), np.arange(200) % 2, spent))
    increment = np.where(np.arange(200) % 2, np.maximum(50 - spent, 1), 0)
    model = IncrementRegressor(regressor).fit(X, spent + increment)
    far = np.array([[1.0, 1.0, 20.0], [1.0, 1.0, 5_000.0]])
    said = run(model, far)
    assert said[0] > 0
    assert said[1] == 0
    assert said == pytest.approx(model.predict(far) - far[:, MONETARY], abs=1e-4)


def test_the_graph_of_an_increment_model_gives_the_increment_alone() -> None:
    X = np.array([[1, 1, 20.0], [7, 3, 60.0]])
    y = np.array([25.0, 90.0])
    assert exported_target(PersistenceRegressor().fit(X, y)) == "increment"
    assert run(PersistenceRegressor().fit(X, y), X).tolist() == [0, 0]
    assert exported_target(MeanRegressor().fit(X, y)) == "total"
    assert run(MeanRegressor().fit(X, y), X).tolist() == [57.5, 57.5]


def test_an_average_of_totals_and_increments_has_no_graph() -> None:
    X = np.random.default_rng(0).random((50, 3))
    mixed = AverageRegressor([LinearRegression(), IncrementRegressor(LinearRegression())])
    mixed.fit(X, X[:, MONETARY])
    with pytest.raises(TypeError, match="increments and totals"):
        export(mixed, returning_like_anybody())


def test_an_average_of_totals_gives_the_total() -> None:
    X = np.random.default_rng(0).random((50, 3))
    model = AverageRegressor([LinearRegression(), MeanRegressor()]).fit(X, X[:, 0] + 1)
    assert exported_target(model) == "total"
    assert run(model, X) == pytest.approx(model.predict(X), abs=1e-5)


def test_what_nobody_wrote_an_export_for_is_named() -> None:
    X = np.random.default_rng(0).random((50, 3))
    with pytest.raises(TypeError, match=r"Lasso cannot be exported.*_EXPORTERS"):
        export(IncrementRegressor(Lasso()).fit(X, X[:, 0]), returning_like_anybody())


def test_expectation_and_probability_come_from_one_graph() -> None:
    X = np.array([[1, 1, 20.0], [7, 3, 60.0]])
    graph = export(MeanRegressor().fit(X, [25.0, 90.0]), returning_like_anybody())
    expected, p_return = outputs(graph, X)
    assert expected.tolist() == [57.5, 57.5]
    assert p_return == pytest.approx([2 / 3, 2 / 3])
