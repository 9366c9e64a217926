"""What an evaluation holds, counted a second time, row by row."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from clv.bundle import Predictor
from clv.data.checks import History
from clv.data.simulate import simulate
from clv.errors import DataError
from clv.evaluation import Evaluation, evaluate
from clv.metrics import measure
from clv.schema import Window
from evaluation.making import history_of


@pytest.fixture(scope="module")
def unseen() -> History:
    """Customers that the model has not met."""
    return history_of(next(iter(simulate(6_000, seed=99))).activity, Window())


@pytest.fixture(scope="module")
def evaluation(unseen: History, predictor: Predictor) -> Evaluation:
    return evaluate(unseen, predictor)


def test_quality_is_that_of_the_predicted_total(evaluation, unseen, predictor):
    predicted = predictor.predict(unseen.activity).monetary
    assert evaluation.quality == measure(unseen.outcome, predicted, unseen.activity.monetary)
    assert (evaluation.rows, evaluation.observation_days, evaluation.horizon_days) == (6_000, 7, 30)


@pytest.mark.parametrize(("position", "level"), [(0, 0.9), (1, 0.8)])
def test_coverage_is_counted_in_each_score_bin(evaluation, unseen, predictor, position, level):
    measured = evaluation.coverage[position]
    assert measured.level == level
    held = {}
    for row in range(len(unseen)):
        features = unseen.activity.matrix()[row]
        said = predictor.predict_one(*features, level=level)
        inside = said.low - 1e-6 <= unseen.outcome[row] <= said.high + 1e-6
        held.setdefault(said.score_bin, []).append((inside, said.high - said.low))
    assert [row.score_bin for row in measured.bins] == sorted(held)
    for row in measured.bins:
        inside, width = np.array(held[row.score_bin]).T
        assert (row.customers, row.covered) == (len(inside), pytest.approx(inside.mean()))
        assert row.width == pytest.approx(width.mean())
    assert measured.covered == pytest.approx(
        np.mean([inside for rows in held.values() for inside, _ in rows])
    )


def test_a_point_covers_exactly_those_who_never_return(evaluation):
    points = [row for one in evaluation.coverage for row in one.bins if row.is_point]
    assert points
    for row in points:
        assert row.width == pytest.approx(0)
        assert row.covered == pytest.approx(row.never_returning)


def test_intervals_hold_their_level_on_customers_not_met(evaluation):
    for measured in evaluation.coverage:
        for row in measured.bins:
            assert row.covered > measured.level - 4 * row.standard_error - 0.03
            if not row.is_point:
                assert row.covered < measured.level + 4 * row.standard_error + 0.03


def test_another_level_can_be_asked_for(unseen, predictor):
    assert [one.level for one in evaluate(unseen, predictor, level=0.95).coverage] == [0.95, 0.8]
    assert [one.level for one in evaluate(unseen, predictor, level=0.6).coverage] == [0.6, 0.8]
    assert [one.level for one in evaluate(unseen, predictor, level=0.8).coverage] == [0.8]
    with pytest.raises(DataError, match="level=1"):
        evaluate(unseen, predictor, level=1.0)


def test_the_probability_of_return_is_scored_as_scikit_learn_does(evaluation, unseen, predictor):
    p = predictor.predict(unseen.activity).p_return
    returning = evaluation.returning
    assert returning.brier == pytest.approx(brier_score_loss(unseen.returned, p))
    assert returning.auc == pytest.approx(roc_auc_score(unseen.returned, p))
    assert returning.share == pytest.approx(unseen.returned.mean())
    assert returning.brier < returning.brier_base_rate
    assert sum(row.customers for row in returning.deciles) == len(unseen)


def test_the_best_tenth_holds_what_its_rows_hold(evaluation, unseen, predictor):
    expected = predictor.predict(unseen.activity).expected_increment
    assert evaluation.capture_increment.ideal_top == pytest.approx(
        np.sort(unseen.increment)[::-1][:600].sum() / unseen.increment.sum()
    )
    # Ties at the border are shared; taken wholly or left wholly they bound the share.
    border = np.sort(expected)[::-1][599]
    least, most = (
        unseen.increment[rows].sum() / unseen.increment.sum()
        for rows in (expected > border + 1e-6, expected >= border - 1e-6)
    )
    assert least <= evaluation.capture_increment.top <= most
    assert evaluation.capture_increment.gini == evaluation.quality.gini_increment
    assert evaluation.capture_total.gini == evaluation.quality.gini_total


def test_residuals_are_means_of_the_rows_of_a_group(evaluation, unseen, predictor):
    off = unseen.outcome - predictor.predict(unseen.activity).monetary
    for row in evaluation.residuals_by_recency:
        those = off[unseen.activity.recency == int(row.group)]
        assert row.difference == pytest.approx(those.mean())
        assert row.standard_error == pytest.approx(those.std(ddof=1) / np.sqrt(len(those)))
    *_, many = evaluation.residuals_by_frequency
    assert many.group == "8+"
    assert many.difference == pytest.approx(off[unseen.activity.frequency >= 8].mean())
    for rows in (evaluation.residuals_by_recency, evaluation.residuals_by_frequency):
        assert sum(row.customers for row in rows) == len(unseen)


def test_those_in_support_are_counted(evaluation, unseen, predictor):
    assert evaluation.share_in_support == predictor.predict(unseen.activity).in_support.mean()
    rich = replace(
        unseen, activity=replace(unseen.activity, monetary=unseen.activity.monetary + 1e6)
    )
    assert evaluate(rich, predictor).share_in_support == 0


def test_customers_of_another_window_are_refused(predictor):
    window = Window(14, 40)
    other = history_of(next(iter(simulate(300, seed=1, window=window))).activity, window)
    with pytest.raises(DataError, match="of 14 observed days for day 40"):
        evaluate(other, predictor)
