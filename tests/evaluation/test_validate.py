"""The figures of a validation, computed a second time in another way."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import mean_absolute_error, mean_squared_error

from clv import evaluation
from clv.data.checks import History
from clv.data.simulate import simulate
from clv.errors import DataError
from clv.evaluation import Validation, validate
from clv.schema import Window
from evaluation.making import history_of


@pytest.fixture(scope="module")
def unseen() -> History:
    """Customers that the model has not met."""
    return history_of(next(iter(simulate(1_503, seed=99))).activity, Window())


@pytest.fixture(scope="module")
def validated(unseen, predictor) -> Validation:
    return validate(unseen, predictor)


@pytest.fixture(scope="module")
def predictions(unseen, predictor) -> dict[str, np.ndarray]:
    return {
        f"version 1 ({predictor.manifest.model})": predictor.predict(unseen.activity).monetary,
        "month = week": unseen.activity.monetary,
        "mean of training": np.full(len(unseen), predictor.manifest.data.mean_outcome),
    }


def concentration(values: np.ndarray, order_by: np.ndarray) -> float:
    """Twice the covariance with the fractional rank, over the mean; ties share their rank."""
    rank = (rankdata(order_by) - 0.5) / len(values)
    return 2 * float(np.cov(values, rank, ddof=0)[0, 1]) / values.mean()


def test_the_champion_stands_beside_the_baselines(validated, predictions):
    assert [line.model for line in validated.lines] == list(predictions)


def test_errors_and_bias_are_those_of_scikit_learn_and_numpy(validated, predictions, unseen):
    for line in validated.lines:
        predicted = predictions[line.model]
        assert line.mse == pytest.approx(mean_squared_error(unseen.outcome, predicted))
        assert line.mae == pytest.approx(mean_absolute_error(unseen.outcome, predicted))
        assert line.bias == pytest.approx(predicted.mean() / unseen.outcome.mean() - 1)


def test_the_gini_is_that_of_the_covariance_formula(validated, predictions, unseen):
    increment = np.maximum(unseen.outcome - unseen.activity.monetary, 0)
    for line in validated.lines:
        # To the cent, as nothing nearer is an order.
        total = np.round(predictions[line.model], 6)
        to_come = np.round(predictions[line.model] - unseen.activity.monetary, 6)
        assert line.gini_total == pytest.approx(
            concentration(unseen.outcome, total) / concentration(unseen.outcome, unseen.outcome),
            abs=1e-6,
        )
        assert line.gini_increment == pytest.approx(
            concentration(increment, to_come) / concentration(increment, increment), abs=1e-6
        )


def test_each_model_is_compared_with_the_champion_on_the_same_rows(validated, predictions, unseen):
    champion = (unseen.outcome - predictions[validated.lines[0].model]) ** 2
    for line in validated.lines:
        errors = (unseen.outcome - predictions[line.model]) ** 2
        compared = line.to_champion
        assert compared.mean == pytest.approx((errors - champion).mean())
        assert compared.low <= compared.mean <= compared.high
        assert compared.rows == len(unseen)
        standard_error = (errors - champion).std(ddof=1) / np.sqrt(len(unseen))
        assert compared.standard_error == pytest.approx(standard_error, rel=0.1)
    assert validated.lines[0].to_champion.high == 0


def test_a_model_that_learnt_beats_the_baselines_here(validated):
    champion, *baselines = validated.lines
    assert all(champion.mse < line.mse for line in baselines)
    assert all(champion.gini_increment > line.gini_increment for line in baselines)


def test_the_deciles_hold_every_customer_once_and_add_up(validated, predictions, unseen):
    rows = validated.deciles
    predicted = predictions[validated.lines[0].model]
    sizes = np.array([row.customers for row in rows])
    assert [row.decile for row in rows] == list(range(1, 11))
    assert sizes.sum() == len(unseen)
    assert np.ptp(sizes) == 1
    for values, of_decile in (
        (predicted, [row.predicted for row in rows]),
        (unseen.outcome, [row.actual for row in rows]),
    ):
        assert sizes @ of_decile == pytest.approx(values.sum())
    assert [row.predicted for row in rows] == sorted(row.predicted for row in rows)
    lowest = np.sort(predicted)[: sizes[0]]
    assert rows[0].predicted == pytest.approx(lowest.mean())


def test_the_decile_error_is_that_of_the_deciles(validated):
    off = [abs(row.predicted - row.actual) / row.actual for row in validated.deciles if row.actual]
    assert validated.lines[0].decile_mape == pytest.approx(np.mean(off))


def test_the_ten_largest_misses_come_largest_first(validated, predictions, unseen):
    predicted = predictions[validated.lines[0].model]
    off = [abs(miss.predicted - miss.actual) for miss in validated.misses]
    assert off == sorted(off, reverse=True)
    np.testing.assert_allclose(off, np.sort(np.abs(predicted - unseen.outcome))[:-11:-1])
    for miss in validated.misses:
        row = unseen.ids.tolist().index(miss.id)
        assert (miss.recency, miss.frequency, miss.monetary) == tuple(unseen.activity.matrix()[row])
        assert (miss.predicted, miss.actual) == (predicted[row], unseen.outcome[row])


def test_what_was_validated_on_what_is_said(validated, predictor):
    assert (validated.version, validated.model) == ("1", predictor.manifest.model)
    assert (validated.source, validated.rows, validated.horizon_days) == ("unseen.csv", 1_503, 30)


def test_the_rows_that_the_model_learnt_from_are_known_again(history, unseen, predictor):
    assert validate(history, predictor).trained_on_these is True
    assert validate(unseen, predictor).trained_on_these is False
    one_cent_more = replace(history, outcome=history.outcome + np.eye(1, len(history))[0] / 100)
    assert validate(one_cent_more, predictor).trained_on_these is False


def test_the_same_seed_gives_the_same_validation(unseen, predictor, validated):
    assert validate(unseen, predictor, seed=42) == validated


def test_customers_of_another_window_are_refused(predictor):
    window = Window(14, 40)
    other = history_of(next(iter(simulate(300, seed=1, window=window))).activity, window)
    with pytest.raises(DataError, match="of 14 observed days for day 40"):
        validate(other, predictor)


def test_the_public_names_are_there():
    assert all(hasattr(evaluation, name) for name in evaluation.__all__)
