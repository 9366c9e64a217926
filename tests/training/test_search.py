"""The search sees training rows only, its predictions are out of fold, and the choice is modest."""

from dataclasses import replace

import numpy as np
import pytest
from lightgbm.basic import LightGBMError
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_predict

from clv.data.checks import History
from clv.errors import DataError
from clv.metrics import mse
from clv.models.candidates import AVERAGE, MEAN, PERSISTENCE, Candidate, candidates
from clv.models.estimators import AverageRegressor, MeanRegressor
from clv.schema import Floats
from clv.training.progress import Silent
from clv.training.search import FOLDS, Contender, choose, fold_of, out_of_fold, search
from support import quick_candidates
from training.spies import Knows, Refuses, Steps, candidate

SEED = 42


def look(
    among: list[Candidate], X: Floats, y: Floats, jobs: int = 2
) -> tuple[list[Contender], dict[str, str]]:
    return search(among, X, y, seed=SEED, jobs=jobs, progress=Silent())


@pytest.fixture(scope="module")
def rows(history: History) -> tuple[Floats, Floats]:
    """The first 600 passengers."""
    return history.activity.matrix()[:600], history.outcome[:600]


@pytest.fixture(scope="module")
def increments() -> list[Candidate]:
    """All candidates that are searched on the increment, with few trees and two points each."""
    found = []
    for one in candidates(SEED):
        if one.on == "increment" and one.grid:
            trees = [name for name in one.estimator.get_params() if name.endswith("n_estimators")]
            estimator = clone(one.estimator).set_params(**dict.fromkeys(trees, 10))
            name, values = next(iter(one.grid.items()))
            found.append(Candidate(one.name, estimator, one.on, {name: values[:2]}))
    return found


@pytest.fixture(scope="module")
def found(increments: list[Candidate], rows: tuple[Floats, Floats]) -> list[Contender]:
    simple = [one for one in quick_candidates(SEED) if one.name in (MEAN, PERSISTENCE)]
    contenders, failed = look([*simple, *increments], *rows)
    assert not failed
    return contenders


# ---------------------------------------------------------------- searching


def test_every_training_row_is_predicted_by_a_model_that_did_not_see_it(
    told_apart: History, spies: type[Knows]
) -> None:
    X, y = told_apart.activity.matrix(), told_apart.outcome
    (contender,), _ = look([candidate("knows", spies(), depth=[1, 2])], X, y)
    assert contender.out_of_fold.shape == (400,)
    assert not contender.out_of_fold.any()
    assert contender.estimator.predict(X).all()  # while the one fitted last has seen them all
    # Two points and the out-of-fold predictions, five folds each, and the fit on all rows.
    sizes = sorted(map(len, spies.fitted))
    assert sizes == [320] * 15 + [400]


def test_parameters_are_judged_on_other_folds_than_those_that_chose_them(
    told_apart: History, spies: type[Knows]
) -> None:
    """A parameter that was lucky on its folds has to do without that luck."""
    X, y = told_apart.activity.matrix(), told_apart.outcome
    look([candidate("knows", spies(), depth=[1, 2])], X, y)
    folds = [rows for rows in spies.fitted if len(rows) == 320]
    assert len(folds) == 3 * FOLDS
    searched, judged = set(folds[: 2 * FOLDS]), set(folds[2 * FOLDS :])
    assert (len(searched), len(judged)) == (FOLDS, FOLDS)
    assert not searched & judged


def test_a_fold_is_where_out_of_fold_left_a_row_out(
    told_apart: History, spies: type[Knows]
) -> None:
    X, y = told_apart.activity.matrix(), told_apart.outcome
    out_of_fold(spies(), X, y, seed=5)
    fold = fold_of(len(y), seed=5)
    spent = told_apart.activity.monetary
    learnt_from = {frozenset(spent[fold != number].tolist()) for number in range(FOLDS)}
    assert set(spies.fitted) == learnt_from


def test_every_candidate_is_judged_on_the_same_folds(
    told_apart: History, spies: type[Knows]
) -> None:
    X, y = told_apart.activity.matrix(), told_apart.outcome
    look([candidate("one", spies()), candidate("other", spies(), depth=[1, 2])], X, y)
    # Five that choose parameters and five that judge, the same for both candidates.
    assert len({rows for rows in spies.fitted if len(rows) == 320}) == 2 * FOLDS


def test_the_best_parameters_have_the_lowest_error_over_the_folds(
    increments: list[Candidate], found: list[Contender], rows: tuple[Floats, Floats]
) -> None:
    X, y = rows
    folds = KFold(FOLDS, shuffle=True, random_state=SEED)
    for one in increments:
        ((name, values),) = one.grid.items()
        errors = []
        for value in values:
            model = clone(one.estimator).set_params(**{name: value})
            errors.append(
                [
                    mse(y[test], clone(model).fit(X[train], y[train]).predict(X[test]))
                    for train, test in folds.split(X)
                ]
            )
        best = values[int(np.argmin(np.mean(errors, axis=1)))]
        contender = next(each for each in found if each.name == one.name)
        assert contender.parameters == {name: best}
        model = clone(one.estimator).set_params(**{name: best})
        judging = KFold(FOLDS, shuffle=True, random_state=SEED + 1)
        unseen = cross_val_predict(model, X, y, cv=judging)
        assert contender.out_of_fold.tolist() == unseen.tolist()
        assert contender.estimator.predict(X).tolist() == model.fit(X, y).predict(X).tolist()


def test_the_search_finds_the_same_however_many_fits_run_at_a_time(
    increments: list[Candidate], found: list[Contender], rows: tuple[Floats, Floats]
) -> None:
    for jobs in (1, 3):
        again, _ = look(increments, *rows, jobs=jobs)
        for contender in again:
            before = next(one for one in found if one.name == contender.name)
            assert contender.parameters == before.parameters
            assert contender.out_of_fold.tobytes() == before.out_of_fold.tobytes()


@pytest.mark.parametrize("error", [ValueError, LightGBMError])
def test_a_candidate_that_cannot_be_fitted_is_left_out_with_its_reason(
    rows: tuple[Floats, Floats], error: type[Exception]
) -> None:
    among = [
        candidate("refuses", Refuses(error)),
        candidate("mean", MeanRegressor()),
    ]
    contenders, failed = look(among, *rows)
    assert [one.name for one in contenders] == ["mean"]
    assert failed == {"refuses": "These customers are not to my taste."}


def test_nothing_comes_of_it_where_no_candidate_can_be_fitted(rows: tuple[Floats, Floats]) -> None:
    with pytest.raises(DataError, match=r"No candidate could be fitted.*not to my taste"):
        look([candidate("refuses", Refuses())], *rows)


def test_a_defect_of_a_candidate_is_not_taken_for_bad_data(rows: tuple[Floats, Floats]) -> None:
    with pytest.raises(ZeroDivisionError):
        look([candidate("refuses", Refuses(ZeroDivisionError))], *rows)


def test_steps_that_were_announced_are_done(rows: tuple[Floats, Floats]) -> None:
    steps = Steps()
    boosting = next(one for one in candidates(SEED) if one.name == "boosting")
    two = replace(boosting, grid={"regressor__n_estimators": [10, 20]})
    search([candidate("mean", MeanRegressor()), two], *rows, seed=SEED, jobs=2, progress=steps)
    # Without a choice nothing is searched: only the folds that judge are fitted.
    assert steps.stages == [("mean", 5), ("boosting", 15)]
    assert steps.done == [5, 15]


# ---------------------------------------------------------------- the average


def test_the_average_is_of_the_three_best_on_the_increment(
    found: list[Contender], rows: tuple[Floats, Floats]
) -> None:
    _, y = rows
    searched = [one for one in found if one.parameters and one.name != AVERAGE]
    best = sorted(searched, key=lambda one: mse(y, one.out_of_fold))[:3]
    assert len(searched) > 3
    assert found[-1].name == AVERAGE
    assert found[-1].parameters == {"of": [one.name for one in best]}
    assert found[-1].fit_seconds == pytest.approx(sum(one.fit_seconds for one in best))


def test_the_average_predicts_as_if_it_had_been_fitted_itself(
    found: list[Contender], rows: tuple[Floats, Floats]
) -> None:
    """Nothing is fitted for it: its members' predictions come from the same folds."""
    X, y = rows
    members = [one.estimator for one in found if one.name in found[-1].parameters["of"]]
    model = AverageRegressor([clone(member) for member in members])
    again = out_of_fold(model, X, y, seed=SEED)
    assert found[-1].out_of_fold == pytest.approx(again, rel=1e-12)
    fitted = model.fit(X, y).predict(X)
    assert found[-1].estimator.predict(X) == pytest.approx(fitted, rel=1e-12)
    refitted = clone(found[-1].estimator).fit(X, y).predict(X)
    assert refitted == pytest.approx(fitted, rel=1e-12)


def test_there_is_no_average_of_one(rows: tuple[Floats, Floats]) -> None:
    boosting = [one for one in quick_candidates() if one.name in (PERSISTENCE, "boosting")]
    contenders, _ = look(boosting, *rows)
    assert [one.name for one in contenders] == [PERSISTENCE, "boosting"]


# ---------------------------------------------------------------- choosing


def contender(name: str, predicted: Floats, breaks: str = "") -> Contender:
    return Contender(name, "increment", None, {}, predicted, 0.0, breaks)


@pytest.fixture
def truth() -> Floats:
    return np.random.default_rng(6).normal(0, 10, 400)


def test_the_best_is_chosen_where_it_is_clearly_better(truth: Floats) -> None:
    simple, best = contender("simple", truth + 5), contender("best", truth + 1)
    choice = choose([simple, best], truth)
    assert choice.champion is best
    assert choice.best is best
    assert choice.difference.mean == 0


def test_the_simpler_is_chosen_where_the_two_cannot_be_told_apart(truth: Floats) -> None:
    noise = np.random.default_rng(1).normal(0, 3, (2, 400))
    noise[0] *= np.sqrt((noise[1] ** 2).mean() / (noise[0] ** 2).mean()) * 1.01
    simple, best = contender("simple", truth + noise[0]), contender("best", truth + noise[1])
    choice = choose([simple, best], truth)
    assert choice.best is best
    assert choice.champion is simple
    assert 0 < choice.difference.mean <= choice.difference.standard_error


@pytest.mark.parametrize(("errors_apart", "chosen"), [(0.95, "simple"), (1.05, "best")])
def test_one_standard_error_of_the_difference_is_where_the_choice_turns(
    truth: Floats, errors_apart: float, chosen: str
) -> None:
    spread = np.tile([-1.0, 1.0], 200)
    difference = errors_apart * spread.std(ddof=1) / 20 + spread
    simple = contender("simple", truth + np.sqrt(100 + difference))
    best = contender("best", truth + 10)
    assert choose([simple, best], truth).champion.name == chosen


def test_the_error_of_the_difference_decides_not_the_error_of_each(truth: Floats) -> None:
    """Two models that err alike on every row are told apart by very little."""
    off = np.abs(np.random.default_rng(1).normal(0, 30, 400))
    simple, best = contender("simple", truth + off + 0.5), contender("best", truth + off)
    choice = choose([simple, best], truth)
    own_error = (off**2).std(ddof=1) / 20
    assert mse(truth, simple.out_of_fold) - mse(truth, best.out_of_fold) < own_error
    assert choice.champion is best


def test_of_several_that_cannot_be_told_apart_the_simplest_is_chosen(truth: Floats) -> None:
    rng = np.random.default_rng(1)
    alike = [contender(str(number), truth + rng.normal(0, 3, 400)) for number in range(3)]
    poor = contender("poor", truth + 20)
    best = min(alike, key=lambda one: mse(truth, one.out_of_fold))
    choice = choose([poor, *alike], truth)
    assert choice.best is best
    assert choice.champion.name == "0"


def test_a_more_complex_one_is_never_chosen_for_being_as_good(truth: Floats) -> None:
    best, complex_one = contender("best", truth + 1), contender("complex", truth + 1)
    assert choose([best, complex_one], truth).champion is best


def test_who_breaks_a_law_is_not_chosen_however_good(truth: Floats) -> None:
    simple, best = contender("simple", truth + 5), contender("best", truth + 1, "it falls")
    choice = choose([simple, best], truth)
    assert choice.champion is choice.best is simple


def test_where_all_break_a_law_nobody_is_chosen_and_it_is_said_how(truth: Floats) -> None:
    broken = [contender("one", truth, "it falls"), contender("other", truth, "it drops")]
    with pytest.raises(DataError, match=r"one: it falls; other: it drops.*more candidates"):
        choose(broken, truth)
