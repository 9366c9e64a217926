"""Training: nothing is chosen on the test rows, and every figure can be computed again."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import mean_absolute_error, mean_squared_error
from sklearn.model_selection import KFold, cross_val_predict

import clv.training.pipeline
from clv.data.checks import History
from clv.errors import DataError
from clv.models.candidates import AVERAGE, MEAN, PERSISTENCE, PUBLISHED, Candidate, candidates
from clv.models.estimators import PersistenceRegressor
from clv.schema import Floats
from clv.training import TrainingResult, train
from clv.training.split import held_out
from support import quick_candidates
from training.spies import Knows, Refuses, Steps, candidate


@pytest.fixture(scope="module")
def few(history: History) -> History:
    """The first 1,000 passengers."""
    return history[np.arange(len(history)) < 1_000]


def with_forests() -> list[Candidate]:
    """The quick candidates, and forests of few trees: those add up over threads."""
    found = []
    for one in candidates(42):
        if "forest" in one.name:
            name = "n_estimators" if one.name == PUBLISHED else "regressor__n_estimators"
            found.append(
                replace(one, estimator=clone(one.estimator).set_params(**{name: 10}), grid={})
            )
    return [*quick_candidates(), *found]


# ---------------------------------------------------------------- honesty


def test_no_held_out_passenger_is_seen_before_the_champion_is_chosen(
    told_apart: History, spies: type[Knows], monkeypatch: pytest.MonkeyPatch
) -> None:
    before_choice: dict[str, int] = {}
    choose = clv.training.pipeline.choose

    def chosen(*arguments: Any) -> Any:
        before_choice.update(fitted=len(spies.fitted), asked=len(spies.asked))
        return choose(*arguments)

    monkeypatch.setattr(clv.training.pipeline, "choose", chosen)
    among = [candidate("knows", spies(), depth=[1, 2]), candidate("too", spies(), depth=[3])]
    result = train(told_apart, among=among)

    spent = told_apart.activity.monetary
    unseen = set(spent[result.test].tolist())
    assert 50 < len(unseen) < 110
    assert before_choice["fitted"] >= 2 * 11
    for rows in spies.fitted[: before_choice["fitted"]] + spies.asked[: before_choice["asked"]]:
        assert not rows & unseen
    # Afterwards who is asked about first is the test.
    assert spies.asked[before_choice["asked"]] == frozenset(unseen)
    assert result.serving.expected.known_ == frozenset(spent.tolist())
    assert not result.holdout.expected.known_ & unseen
    assert result.holdout.expected is result.choice.champion.estimator


def test_the_split_is_by_id(few: History) -> None:
    result = train(few, among=quick_candidates()[:2], seed=7, test_share=0.3)
    assert (result.test == held_out(few.ids, seed=7, share=0.3)).all()
    assert (result.seed, result.test_share) == (7, 0.3)


def test_a_sorted_table_is_split_into_the_same_passengers(few: History) -> None:
    by_outcome = few[np.argsort(few.outcome)]
    results = [train(table, among=quick_candidates()[1:2]) for table in (few, by_outcome)]
    one, other = (set(result.history.ids[result.test]) for result in results)
    assert one == other


# ---------------------------------------------------------------- reproducible


def without_time(result: TrainingResult) -> list[Any]:
    return [replace(row, fit_seconds=0) for row in result.leaderboard]


def test_the_same_seed_gives_the_same_leaderboard_however_many_fits_at_a_time(
    few: History,
) -> None:
    first = train(few, among=with_forests(), jobs=1)
    assert AVERAGE in [row.model for row in first.leaderboard]
    again = train(few, among=with_forests(), jobs=3)
    assert without_time(again) == without_time(first)
    X = few.activity.matrix()
    assert (
        again.serving.expected.predict(X).tobytes() == first.serving.expected.predict(X).tobytes()
    )


def test_another_seed_gives_another_split_and_other_figures(few: History) -> None:
    one, other = (train(few, among=quick_candidates()[:3], seed=seed) for seed in (1, 2))
    assert (one.test != other.test).any()
    assert one.champion.test_mse != other.champion.test_mse


# ---------------------------------------------------------------- the leaderboard


@pytest.fixture(scope="module")
def seen(result: TrainingResult) -> tuple[Floats, Floats]:
    rows = result.history[~result.test]
    return rows.activity.matrix(), rows.outcome


@pytest.fixture(scope="module")
def unseen(result: TrainingResult) -> History:
    return result.history[result.test]


@pytest.fixture(params=["mean", "month = week", "boosting", "boosting, Tweedie", "hurdle"])
def recipe(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """A model of the leaderboard and its unfitted estimator, rebuilt from its parameters."""
    result: TrainingResult = request.getfixturevalue("result")
    one = next(each for each in quick_candidates() if each.name == request.param)
    parameters = result.standing(one.name).best_params
    return one.name, clone(one.estimator).set_params(**parameters)


def test_the_cross_validated_error_can_be_computed_again(
    result: TrainingResult, recipe: tuple[str, Any], seen: tuple[Floats, Floats]
) -> None:
    name, estimator = recipe
    X, y = seen
    # The folds that judge are others than those of the search, which are by the seed itself.
    folds = KFold(5, shuffle=True, random_state=43)
    predicted = cross_val_predict(estimator, X, y, cv=folds)
    row = result.standing(name)
    assert row.cv_mse == pytest.approx(mean_squared_error(y, predicted))
    assert row.cv_mse_se == pytest.approx(((y - predicted) ** 2).std(ddof=1) / len(y) ** 0.5)
    champion = (y - result.choice.champion.out_of_fold) ** 2
    assert row.to_champion.mean == pytest.approx(((y - predicted) ** 2 - champion).mean())
    assert row.to_champion.mean == pytest.approx(row.cv_mse - result.champion.cv_mse)


def test_the_test_is_of_the_recipe_fitted_on_the_training_rows(
    result: TrainingResult, recipe: tuple[str, Any], seen: tuple[Floats, Floats], unseen: History
) -> None:
    name, estimator = recipe
    actual, spent = unseen.outcome, unseen.activity.monetary
    predicted = estimator.fit(*seen).predict(unseen.activity.matrix())
    row = result.standing(name)
    assert row.test_mse == pytest.approx(mean_squared_error(actual, predicted))
    assert row.test_mae == pytest.approx(mean_absolute_error(actual, predicted))
    assert row.test_bias == pytest.approx(predicted.sum() / actual.sum() - 1)
    for gini, truth, said in (
        (row.test_gini_total, actual, predicted),
        (row.test_gini_increment, np.maximum(actual - spent, 0), np.round(predicted - spent, 6)),
    ):
        apart = truth[:, None] - truth[None, :]
        order = np.sign(said[:, None] - said[None, :])
        assert gini == pytest.approx((order * apart).sum() / np.abs(apart).sum(), abs=1e-9)
    alike = [actual[np.isclose(predicted, one, rtol=0, atol=1e-7)].mean() for one in predicted]
    tenths = np.array_split(np.argsort(predicted, kind="stable"), 10)
    assert row.test_decile_mape == pytest.approx(
        np.mean([abs(predicted[rows].sum() / np.take(alike, rows).sum() - 1) for rows in tenths])
    )
    champion = result.choice.champion.estimator.predict(unseen.activity.matrix())
    assert row.test_to_champion.mean == pytest.approx(
        mean_squared_error(actual, predicted) - mean_squared_error(actual, champion)
    )
    assert row.test_to_champion.rows == len(unseen)


def test_the_leaderboard_holds_everybody_best_first(result: TrainingResult) -> None:
    names = [row.model for row in result.leaderboard]
    assert set(names) == {one.name for one in quick_candidates()} | {AVERAGE}
    errors = [row.cv_mse for row in result.leaderboard]
    assert errors == sorted(errors)
    assert result.champion.to_champion.mean == 0
    assert result.champion.test_to_champion.mean == 0


def test_a_model_beats_the_baselines_on_passengers_it_has_not_seen(result: TrainingResult) -> None:
    for baseline in ("mean", "month = week"):
        assert result.champion.test_mse < result.standing(baseline).test_mse
        assert result.standing(baseline).to_champion.low > 0


def test_what_serves_was_fitted_anew_on_all_rows(result: TrainingResult) -> None:
    X, y = result.history.activity.matrix(), result.history.outcome
    again = clone(result.choice.champion.estimator).fit(X, y).predict(X)
    assert result.serving.expected.predict(X).tolist() == again.tolist()
    assert result.holdout.expected.predict(X).tolist() != again.tolist()


def test_a_candidate_that_cannot_be_fitted_does_not_stop_the_others(few: History) -> None:
    among = [quick_candidates()[1], candidate("refuses", Refuses())]
    result = train(few, among=among)
    assert [row.model for row in result.leaderboard] == [PERSISTENCE]
    assert list(result.failed) == ["refuses"]


def test_hardly_any_returning_passengers_leave_out_who_needs_them(few: History) -> None:
    """In one fold nobody returned at all, which boosting with Tweedie's loss refuses."""
    outcome = few.activity.monetary.copy()
    returned = np.flatnonzero(~held_out(few.ids, seed=42, share=0.2))[0]
    outcome[returned] += 50
    result = train(replace(few, outcome=outcome), among=quick_candidates())
    assert set(result.failed) == {"boosting, Tweedie", "hurdle"}
    assert "sum of labels is zero" in result.failed["boosting, Tweedie"]
    assert all(np.isnan(row.test_gini_increment) for row in result.leaderboard)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("share", [0.0, 1e-9, 1.0])
def test_a_split_that_leaves_nothing_is_refused_with_both_sizes(few: History, share: float) -> None:
    with pytest.raises(DataError, match=r"Of 1,000 customers (0|1,000) are held out.*--seed"):
        train(few, among=quick_candidates()[:1], test_share=share)


def test_a_test_in_which_all_spent_the_same_is_refused(few: History) -> None:
    test = held_out(few.ids, seed=42, share=0.2)
    with pytest.raises(DataError, match="cannot be learnt from or tested on"):
        train(replace(few, outcome=np.where(test, 5.0, few.outcome)), among=quick_candidates()[:1])


def test_training_rows_where_nobody_returned_are_refused(few: History) -> None:
    test = held_out(few.ids, seed=42, share=0.2)
    outcome = np.where(test, few.outcome, few.activity.monetary)
    with pytest.raises(DataError, match="cannot be learnt from or tested on"):
        train(replace(few, outcome=outcome), among=quick_candidates()[:1])


def test_who_breaks_a_law_stands_on_the_leaderboard_and_is_not_champion(few: History) -> None:
    among = quick_candidates()
    result = train(few, among=[among[0], among[1]])
    mean = next(one for one in result.contenders if one.name == MEAN)
    assert "monetary rises" in mean.breaks
    assert {row.model for row in result.leaderboard} == {MEAN, PERSISTENCE}
    assert result.champion.model == PERSISTENCE


# ---------------------------------------------------------------- progress


def test_progress_is_told_of_every_stage(history: History) -> None:
    steps = Steps()
    train(history, among=[candidate(PERSISTENCE, PersistenceRegressor())], progress=steps)
    assert steps.stages == [
        (PERSISTENCE, 5),
        ("test, calibrate, refit", 3),
    ]
    assert steps.done == [5, 3]
