"""The table says what the model says, to the last bit, on whichever side of a threshold one is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Lasso, LinearRegression, Ridge

from bundle.making import returning_like_anybody
from clv.bundle import Cells
from clv.models.estimators import (
    AverageRegressor,
    HurdleRegressor,
    IncrementRegressor,
    MeanRegressor,
    PersistenceRegressor,
    ReturnClassifier,
)
from clv.models.tabulate import size_of, tabulate, target_of
from clv.schema import MAX_FREQUENCY, MAX_MONETARY, MONETARY, Floats

BOOSTED = {"n_estimators": 20, "min_child_samples": 5, "n_jobs": 1, "verbose": -1}
MODELS = {
    "boosting": IncrementRegressor(LGBMRegressor(**BOOSTED)),
    "forest": IncrementRegressor(RandomForestRegressor(n_estimators=10, random_state=0)),
    "forest of totals": RandomForestRegressor(n_estimators=10, max_depth=6, random_state=0),
    "hurdle": IncrementRegressor(
        HurdleRegressor(LGBMClassifier(**BOOSTED), LGBMRegressor(**BOOSTED))
    ),
    "average": AverageRegressor(
        [
            IncrementRegressor(LGBMRegressor(**BOOSTED)),
            IncrementRegressor(RandomForestRegressor(n_estimators=5, random_state=1)),
            PersistenceRegressor(),
        ]
    ),
    "average of totals": AverageRegressor(
        [RandomForestRegressor(n_estimators=5, random_state=1), MeanRegressor()]
    ),
    "mean": MeanRegressor(),
    "month = week": PersistenceRegressor(),
}


@pytest.fixture(scope="module", name="X")
def customers() -> Floats:
    """Amounts as companies have them, and as currency converters leave them."""
    rng = np.random.default_rng(5)
    spent = np.append(np.round(rng.exponential(30, 400), 2), rng.exponential(30, 200))
    return np.column_stack((rng.integers(1, 8, 600), rng.integers(1, 6, 600), spent)).astype(float)


@pytest.fixture(scope="module", name="y")
def outcomes(X: Floats) -> Floats:
    rng = np.random.default_rng(6)
    return np.asarray(X[:, MONETARY] + np.where(rng.random(600) < X[:, 0] / 10, 20 + X[:, 2], 0))


def said_by(model: Any, X: Floats) -> Floats:
    return np.asarray(model.increment(X) if target_of(model) == "increment" else model.predict(X))


def around(values: Floats) -> Floats:
    """Each value, its neighbours among float64, and what float32 makes of all of them."""
    doubles = np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)])
    single = values.astype(np.float32)
    singles = [single, np.nextafter(single, np.float32(np.inf)), np.nextafter(single, -single)]
    halfway = (single.astype(float) + singles[1].astype(float)) / 2
    more = np.concatenate([*(one.astype(float) for one in singles), halfway])
    more = np.concatenate([more, np.nextafter(more, np.inf), np.nextafter(more, -np.inf)])
    return np.unique(np.concatenate([doubles, more]))


EXTREMES = np.array([0, 5e-324, 1e-35, 1e-300, 16_777_217, MAX_FREQUENCY, MAX_MONETARY, 1e308])


@pytest.mark.parametrize("name", MODELS)
def test_on_every_customer_learnt_from_the_table_is_the_model(
    name: str, X: Floats, y: Floats
) -> None:
    model = clone(MODELS[name]).fit(X, y)
    cells = tabulate(model, returning_like_anybody())
    assert cells.expected[cells.of(X)].tolist() == said_by(model, X).tolist()


@pytest.mark.parametrize("name", MODELS)
def test_beside_every_threshold_and_far_from_all_the_table_is_the_model(
    name: str, X: Floats, y: Floats
) -> None:
    """A float32 feature, a float64 one, and one ulp less or more, of every threshold there is."""
    model = clone(MODELS[name]).fit(X, y)
    cells = tabulate(model, returning_like_anybody())
    rng = np.random.default_rng(1)
    beside = [np.concatenate([around(cuts), EXTREMES, X[:9, 0]]) for cuts in cells.thresholds]
    beside = [values[values >= 0] for values in beside]
    for feature, values in enumerate(beside):
        rows = np.column_stack([rng.choice(others, len(values)) for others in beside])
        rows[:, feature] = values
        with np.errstate(over="ignore"):  # scikit-learn's float32 of 1e308
            rows = rows[np.isfinite(rows.astype(np.float32)).all(axis=1)]
        assert len(rows) > 10
        assert cells.expected[cells.of(rows)].tolist() == said_by(model, rows).tolist()


@settings(max_examples=40)
@given(
    st.lists(st.floats(0, 1e6, width=32), min_size=4, max_size=40, unique=True),
    st.sampled_from(["boosting", "forest", "forest of totals"]),
)
def test_customers_on_both_sides_of_a_split_stay_there_however_near_they_are(
    amounts: list[float], name: str
) -> None:
    """A threshold lies between two customers who may be neighbours among the float32."""
    near = np.unique(np.concatenate([amounts, np.nextafter(np.float32(amounts), np.float32(2e6))]))
    spent = np.repeat(near, 6)
    X = np.column_stack((np.ones_like(spent), np.ones_like(spent), spent))
    model = clone(MODELS[name]).fit(X, spent + np.repeat(np.arange(len(near)) % 2 * 100.0, 6))
    cells = tabulate(model, returning_like_anybody())
    rows = np.repeat(around(near), 3).reshape(-1, 3)
    rows[:, :2] = 1
    assert cells.expected[cells.of(rows)].tolist() == said_by(model, rows).tolist()


def test_one_customer_is_in_the_cell_of_many(X: Floats, y: Floats) -> None:
    cells = tabulate(clone(MODELS["average"]).fit(X, y), returning_like_anybody())
    rows = np.vstack([X, Cells.representatives(cells.thresholds)[::97]])
    assert cells.of(rows).tolist() == [cells.of_one(*row) for row in rows.tolist()]
    everywhere = cells.of(Cells.representatives(cells.thresholds))
    assert everywhere.tolist() == list(range(len(cells)))


def test_the_chance_of_return_has_thresholds_of_its_own(X: Floats, y: Floats) -> None:
    returning = ReturnClassifier(LGBMClassifier(**BOOSTED)).fit(X, y > X[:, MONETARY])
    cells = tabulate(PersistenceRegressor().fit(X, y), returning)
    assert cells.p_return[cells.of(X)].tolist() == returning.predict_proba(X)[:, 1].tolist()
    assert len(np.unique(cells.p_return)) > 10


@pytest.mark.parametrize("model", [LinearRegression(), Ridge(alpha=2.0, fit_intercept=False)])
def test_a_linear_model_is_one_cell_and_a_slope(model: Any, X: Floats, y: Floats) -> None:
    cells = tabulate(model.fit(X, y), returning_like_anybody())
    assert len(cells) == size_of(model) == 1
    assert target_of(model) == "total"
    said = cells.expected[cells.of(X)] + cells.linear(*X.T)
    assert said == pytest.approx(model.predict(X), rel=1e-12)
    one = cells.expected[0] + cells.linear(*X[3].tolist())
    assert one == said[3]


@pytest.mark.parametrize("name", MODELS)
def test_a_table_is_read_as_it_was_written(name: str, X: Floats, y: Floats) -> None:
    cells = tabulate(clone(MODELS[name]).fit(X, y), returning_like_anybody())
    again = Cells.from_bytes(cells.to_bytes())
    assert again.expected.tobytes() == cells.expected.tobytes()
    assert again.p_return.tobytes() == cells.p_return.tobytes()
    assert [cuts.tobytes() for cuts in again.thresholds] == [
        cuts.tobytes() for cuts in cells.thresholds
    ]
    assert again.to_bytes() == cells.to_bytes()


def test_the_size_is_known_before_there_is_a_table(X: Floats, y: Floats) -> None:
    model = clone(MODELS["forest"]).fit(X, y)
    assert size_of(model) == len(tabulate(model, returning_like_anybody())) > 1_000


@pytest.mark.parametrize(
    "model",
    [
        IncrementRegressor(LinearRegression()),
        AverageRegressor([LinearRegression(), MeanRegressor()]),
        IncrementRegressor(HurdleRegressor(LGBMClassifier(**BOOSTED), LinearRegression())),
        Lasso(),
    ],
    ids=["increment", "average", "hurdle", "unknown"],
)
def test_what_is_not_constant_between_thresholds_is_named(model: Any, X: Floats, y: Floats) -> None:
    name = "Lasso" if isinstance(model, Lasso) else "LinearRegression"
    with pytest.raises(TypeError, match=rf"{name} is not known to be constant.*_THRESHOLDS"):
        tabulate(clone(model).fit(X, y), returning_like_anybody())


def test_an_average_of_totals_and_increments_is_one_of_totals(X: Floats, y: Floats) -> None:
    mixed = AverageRegressor([MeanRegressor(), IncrementRegressor(LGBMRegressor(**BOOSTED))])
    assert target_of(mixed.fit(X, y)) == "total"
