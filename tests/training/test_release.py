"""From a training to a version: checked on every row, compared on rows that neither has seen."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from sklearn.base import clone
from sklearn.metrics import mean_squared_error

from bundle.making import UNCERTAINTY, bundle_of, manifest_of, returning_like_anybody
from clv.bundle import Manifest, Predictor
from clv.data.checks import History
from clv.errors import BundleError, RegistryError
from clv.models.estimators import IncrementRegressor
from clv.registry import Registry, open_registry
from clv.schema import FEATURES, MONETARY, RECENCY, Floats, Window
from clv.settings import Settings
from clv.training import Release, TrainingResult, release, train
from clv.training.fitted import Fitted
from clv.training.release import check_parity
from support import quick_candidates

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One MLflow store for all; its tables are slow to make."""
    return tmp_path_factory.mktemp("releases")


@pytest.fixture
def registry(home: Path) -> Registry:
    """A model of its own in that store, without versions."""
    return open_registry(Settings(home=home, model_name=f"model {next(_numbers)}"))


@pytest.fixture
def let_go(registry: Registry, tmp_path: Path) -> Callable[..., Release]:
    """Release a result into the registry."""
    return lambda result, **how: release(result, registry, tmp_path / "out", now=NOW, **how)


@pytest.fixture(scope="module")
def weak(history: History) -> TrainingResult:
    """A training that knows no better than that the month equals the week."""
    return train(history, among=quick_candidates()[1:2])


class Lies(IncrementRegressor):
    """Says 5% more of who rode last on day 4 than its trees do: what a faulty export looks like."""

    def predict(self, X: Floats) -> Floats:
        said = super().predict(X)
        return np.where(X[:, RECENCY] == 4, said * 1.05, said)


@pytest.fixture(scope="module")
def liar(history: History) -> Lies:
    boosting = next(one for one in quick_candidates() if one.name == "boosting").estimator
    return Lies(clone(boosting.regressor)).fit(history.activity.matrix(), history.outcome)


def fitted(expected: Any) -> Fitted:
    """An original to compare a bundle of `bundle_of` with."""
    return Fitted(expected, returning_like_anybody(), UNCERTAINTY)


# ---------------------------------------------------------------- what is released


def test_the_first_model_is_champion(
    let_go: Callable[..., Release], registry: Registry, result: TrainingResult, tmp_path: Path
) -> None:
    released = let_go(result)
    assert (released.number, released.alias, released.reason) == ("1", "champion", "first model")
    assert released.comparison is None
    assert registry.champion() == "1"
    (version,) = registry.versions()
    assert (version.model, version.reason) == (result.champion.model, "first model")
    assert version.tags == {
        "cv_mse": f"{result.champion.cv_mse:.1f}",
        "test_mse": f"{result.champion.test_mse:.1f}",
    }
    # Both reports are left for reading, and nothing else.
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model_results.csv",
        "model_card.md",
        "report.html",
        "report.json",
    }
    assert {path.name for path in released.files} == {
        "model_results.csv",
        "model_card.md",
        "report.html",
        "report.json",
    }


def test_what_was_released_serves_what_was_learnt(
    let_go: Callable[..., Release], registry: Registry, result: TrainingResult
) -> None:
    folder = registry.bundle(let_go(result).number)
    history = result.history
    for role, fitted in (("serving", result.serving), ("holdout", result.holdout)):
        for level in (0.5, 0.9):
            said = Predictor.load(folder, role=role).predict(history.activity, level=level)
            learnt = fitted.predict(history.activity, level=level)
            for name in ("monetary", "expected_increment", "p_return", "low", "high"):
                assert getattr(said, name) == pytest.approx(getattr(learnt, name), rel=1e-4), name
            assert (said.score_bin == learnt.score_bin).all()
            assert (said.similar == learnt.similar).all()


def test_the_manifest_says_where_the_model_comes_from(
    let_go: Callable[..., Release], registry: Registry, result: TrainingResult
) -> None:
    manifest = Manifest.read(registry.bundle(let_go(result, generated=True).number))
    history = result.history
    assert manifest.model == result.champion.model
    assert manifest.created_at == NOW
    assert manifest.window == history.window
    assert manifest.metrics["test_mse"] == result.champion.test_mse
    assert manifest.data.generated
    assert (manifest.data.rows, manifest.data.fingerprint) == (4_000, history.fingerprint())
    assert (manifest.data.split_seed, manifest.data.test_share) == (42, 0.2)
    assert manifest.data.mean_observed == pytest.approx(history.activity.monetary.mean())
    assert manifest.data.mean_outcome == pytest.approx(history.outcome.mean())
    assert manifest.data.share_returning == history.returned.mean()
    assert set(manifest.reference) == {*FEATURES, "predicted", "p_return"}
    assert len(manifest.golden) >= 10
    assert {"python", "numpy", "lightgbm", "scikit-learn", "clv"} <= set(manifest.versions)


def test_the_reference_for_drift_is_what_is_served(
    let_go: Callable[..., Release], registry: Registry, weak: TrainingResult
) -> None:
    folder = registry.bundle(let_go(weak).number)
    served = Predictor.load(folder).predict(weak.history.activity).monetary
    reference = Manifest.read(folder).reference["predicted"]
    bins = np.searchsorted(reference.edges, np.round(served, 4))
    counts = np.bincount(bins, minlength=len(reference.shares))
    assert len(reference.shares) > 2
    assert counts / len(served) == pytest.approx(reference.shares, abs=0.002)


def test_the_training_is_in_mlflow_with_its_files_and_a_run_for_each_candidate(
    let_go: Callable[..., Release], registry: Registry, result: TrainingResult
) -> None:
    number = let_go(result).number
    client = MlflowClient(tracking_uri=registry.uri, registry_uri=registry.uri)
    run = client.get_run(client.get_model_version(registry.name, number).run_id)
    assert {artifact.path for artifact in client.list_artifacts(run.info.run_id)} == {
        "bundle",
        "model_results.csv",
        "model_card.md",
        "report.html",
        "report.json",
    }
    assert {artifact.path for artifact in client.list_artifacts(run.info.run_id, "bundle")} == {
        f"bundle/{name}" for name in ("manifest.json", "serving.npz", "holdout.npz")
    }
    assert run.data.params["seed"] == "42"
    assert run.data.params["search"] == "grid"
    assert run.data.params["fingerprint"] == result.history.fingerprint()
    assert run.data.metrics["test_mse"] == pytest.approx(result.champion.test_mse)
    below = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    )
    assert {child.info.run_name for child in below} == {row.model for row in result.leaderboard}
    for child in below:
        row = result.standing(child.info.run_name)
        assert child.data.metrics["cv_mse"] == pytest.approx(row.cv_mse)
        assert child.data.params == {name: str(value) for name, value in row.best_params.items()}


# ---------------------------------------------------------------- who becomes champion


def test_the_same_data_again_is_a_challenger_and_the_reason_holds_the_interval(
    let_go: Callable[..., Release], registry: Registry, result: TrainingResult
) -> None:
    let_go(result)
    again = let_go(result)
    assert (again.number, again.alias) == ("2", "challenger")
    assert again.reason == (
        f"not shown to be better: MSE +0.0 against version 1 on {result.test.sum():,} rows that "
        "neither has seen (95% interval +0.0 to +0.0)"
    )
    assert registry.champion() == "1"
    assert registry.number_of("challenger") == "2"


def test_a_better_model_becomes_champion(
    let_go: Callable[..., Release],
    registry: Registry,
    weak: TrainingResult,
    result: TrainingResult,
) -> None:
    let_go(weak)
    better = let_go(result)
    assert (better.alias, registry.champion()) == ("champion", "2")
    assert better.reason.startswith("better: MSE -")
    assert better.comparison is not None
    assert better.comparison.high < 0
    assert registry.rollback() == "1"


def test_a_model_that_was_only_lucky_waits(
    let_go: Callable[..., Release], history: History
) -> None:
    """Its error is lower on these rows, but the interval of the difference holds 0."""
    alike = [train(history, among=[one]) for one in quick_candidates()[2:4]]
    unlucky, lucky = sorted(alike, key=lambda result: -result.champion.test_mse)
    let_go(unlucky)
    released = let_go(lucky)
    assert released.comparison is not None
    assert released.comparison.mean < 0 < released.comparison.high
    assert released.alias == "challenger"
    assert released.reason.startswith("not shown to be better: MSE -")


def test_a_worse_model_waits_unless_it_is_asked_for(
    let_go: Callable[..., Release],
    registry: Registry,
    weak: TrainingResult,
    result: TrainingResult,
) -> None:
    let_go(result)
    worse = let_go(weak)
    assert worse.alias == "challenger"
    assert worse.comparison is not None
    assert worse.comparison.low > 0
    asked_for = let_go(weak, promote=True)
    assert (asked_for.alias, registry.champion()) == ("champion", "3")
    assert asked_for.reason.startswith("promoted on request; MSE +")


def test_two_models_are_compared_on_rows_that_neither_has_seen(
    let_go: Callable[..., Release], weak: TrainingResult, history: History
) -> None:
    """With another seed others are held out: what counts is who was held out by both."""
    another = train(history, among=quick_candidates()[2:3], seed=5, test_share=0.5)
    let_go(weak)
    comparison = let_go(another).comparison
    rows = weak.test & another.test
    unseen = history[rows]
    errors = [
        mean_squared_error(
            unseen.outcome,
            np.maximum(
                each.choice.champion.estimator.predict(unseen.activity.matrix()),
                unseen.activity.monetary,
            ),
        )
        for each in (weak, another)
    ]
    assert comparison is not None
    assert 100 < comparison.rows == rows.sum() < min(weak.test.sum(), another.test.sum())
    assert comparison.mean == pytest.approx(errors[1] - errors[0], rel=1e-5)
    assert comparison.low < comparison.mean < comparison.high


def test_too_few_unseen_rows_decide_nothing(
    let_go: Callable[..., Release], history: History, weak: TrainingResult
) -> None:
    let_go(weak)
    small = train(history[np.arange(len(history)) < 300], among=quick_candidates()[1:3])
    released = let_go(small)
    assert released.comparison is None
    assert released.alias == "challenger"
    assert released.reason == (
        f"not shown to be better: only {small.test.sum()} rows "
        "that neither it nor version 1 has seen"
    )


def test_a_model_of_generated_passengers_gives_way_to_one_of_real_ones(
    let_go: Callable[..., Release],
    registry: Registry,
    weak: TrainingResult,
    result: TrainingResult,
) -> None:
    let_go(result, generated=True)
    real = let_go(weak)
    assert real.alias == "champion"
    assert real.reason.startswith("version 1 was trained on generated passengers; MSE +")
    assert registry.champion() == "2"


def test_a_model_of_generated_passengers_never_displaces_one_of_real_ones(
    let_go: Callable[..., Release],
    registry: Registry,
    weak: TrainingResult,
    result: TrainingResult,
) -> None:
    let_go(weak)
    generated = let_go(result, generated=True)
    assert generated.alias == "challenger"
    assert generated.reason.startswith("it was trained on generated passengers; MSE -")
    assert registry.champion() == "1"
    assert let_go(result, generated=True, promote=True).alias == "champion"


def test_among_models_of_generated_passengers_the_better_one_serves(
    let_go: Callable[..., Release], weak: TrainingResult, result: TrainingResult
) -> None:
    let_go(weak, generated=True)
    assert let_go(result, generated=True).alias == "champion"


def test_a_model_of_another_window_does_not_compare(
    let_go: Callable[..., Release], registry: Registry, weak: TrainingResult
) -> None:
    let_go(weak)
    other = replace(
        weak,
        history=replace(weak.history, window=Window(14, 60)),
        serving=of_14_days(weak.serving),
        holdout=of_14_days(weak.holdout),
    )
    waiting = let_go(other)
    assert waiting.alias == "challenger"
    assert waiting.comparison is None
    assert "version 1 has another window, so they do not compare" in waiting.reason
    assert Manifest.read(registry.bundle("2")).window == Window(14, 60)
    assert let_go(other, promote=True).alias == "champion"


def of_14_days(model: Fitted) -> Fitted:
    support = model.uncertainty.support.model_copy(update={"observation_days": 14})
    return replace(model, uncertainty=model.uncertainty.model_copy(update={"support": support}))


# ---------------------------------------------------------------- the gate


def test_a_bundle_that_differs_from_its_original_is_refused_by_the_worst_row(
    liar: Lies, history: History, tmp_path: Path
) -> None:
    predictor = Predictor.load(bundle_of(liar, tmp_path / "b", golden=manifest_of(liar).golden[:1]))
    with pytest.raises(BundleError) as caught:
        check_parity(predictor, fitted(liar), history.activity)
    said = str(caught.value)
    assert "does not compute what the model does: for recency=4, frequency=" in said
    assert (
        "more than 1e-09 apart. Nothing was registered; this is a defect of clv.models.tabulate."
        in said
    )
    others = history.activity[history.activity.recency != 4]
    check_parity(predictor, fitted(liar), others)


def test_an_original_that_gives_no_number_is_refused(
    liar: Lies, history: History, tmp_path: Path
) -> None:
    class Undecided:
        def predict(self, X: Floats) -> Floats:
            return np.full(len(X), np.nan)

    predictor = Predictor.load(bundle_of(liar, tmp_path / "b", golden=manifest_of(liar).golden[:1]))
    with pytest.raises(BundleError, match="instead of nan"):
        check_parity(predictor, fitted(Undecided()), history.activity)


@pytest.mark.parametrize("which", ["serving", "holdout"])
def test_nothing_is_registered_where_a_table_differs_from_its_original(
    let_go: Callable[..., Release],
    registry: Registry,
    result: TrainingResult,
    liar: Lies,
    tmp_path: Path,
    which: str,
) -> None:
    honest = IncrementRegressor(clone(liar.regressor)).fit(
        result.history.activity.matrix(), result.history.outcome
    )
    serving, holdout = (liar, honest) if which == "serving" else (honest, liar)
    faulty = replace(
        result,
        serving=replace(result.serving, expected=serving),
        holdout=replace(result.holdout, expected=holdout),
    )
    with pytest.raises(BundleError, match="recency=4"):
        let_go(faulty)
    assert registry.versions() == []
    assert registry.number_of("champion") is None
    assert list((tmp_path / "out").iterdir()) == []


def test_a_champion_that_nobody_can_load_gives_way(
    let_go: Callable[..., Release], registry: Registry, weak: TrainingResult
) -> None:
    let_go(weak)
    (registry.bundle("1") / "holdout.npz").write_bytes(b"broken")
    released = let_go(weak)
    assert (released.number, released.alias) == ("2", "champion")
    assert released.reason.startswith("version 1 cannot be used: ")


def test_a_champion_that_cannot_be_fetched_now_is_not_displaced(
    let_go: Callable[..., Release],
    registry: Registry,
    weak: TrainingResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def time_out(_: str) -> Path:
        raise RegistryError("timed out")

    let_go(weak)
    with monkeypatch.context() as away:
        away.setattr(registry, "bundle", time_out)
        with pytest.raises(RegistryError, match="timed out"):
            let_go(weak)
    assert registry.champion() == "1"
    assert len(registry.versions()) == 1


def test_nothing_is_left_where_the_registry_refuses(
    let_go: Callable[..., Release],
    registry: Registry,
    weak: TrainingResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> str:
        raise RegistryError("The model registry cannot be used.")

    monkeypatch.setattr(registry, "register", refuse)
    with pytest.raises(RegistryError):
        let_go(weak)
    assert list((tmp_path / "out").iterdir()) == []


def test_golden_rows_are_what_the_original_says_of_people_who_do_not_exist(
    let_go: Callable[..., Release], registry: Registry, result: TrainingResult
) -> None:
    golden = Manifest.read(registry.bundle(let_go(result).number)).golden
    rows = np.array([[row.recency, row.frequency, row.monetary] for row in golden])
    said = result.serving.expected.predict(rows) - rows[:, MONETARY]
    returning = result.serving.returning.predict_proba(rows)[:, 1]
    assert [row.p_return for row in golden] == pytest.approx(returning)
    assert [row.expected_increment for row in golden] == pytest.approx(np.maximum(said, 0))
    assert not [row for row in golden if not 0 <= row.recency <= 7]
