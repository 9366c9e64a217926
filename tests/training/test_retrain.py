"""Learning again from outcomes: what from, who wins, and what happens in between."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from clv.bundle import Manifest, Predictor
from clv.data.checks import History
from clv.data.simulate import SampleModel, simulate
from clv.errors import DataError, NotTrainedError
from clv.metrics import squared_errors
from clv.registry import Registry, open_registry
from clv.schema import Activity, Window
from clv.settings import Settings
from clv.tracking import Outcome, TrackedRequest, read_judged
from clv.training import TrainingResult, release, retrain, train
from clv.training.material import MIN_LEARNT, MIN_TESTED, material
from clv.training.retrain import LAST
from support import quick_candidates, retraining
from tracking.promising import DAY, opened, send, track

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
WEEK = 7 * DAY
A_WEEK = 1_500
# Who ride much alike, so that few of a small crowd are out of support.
ALIKE = SampleModel(mean_rides_per_day=0.1, fare_sd_between=0.2, fare_sd_within=0.2)
quickly: Callable[..., TrainingResult] = partial(train, among=quick_candidates())


def passengers(number: int, seed: int) -> History:
    table = next(iter(simulate(number, seed=seed, model=ALIKE))).activity
    column = lambda name: table.column(name).to_numpy().astype(np.float64)  # noqa: E731
    activity = Activity.of(column("recency_7"), column("frequency_7"), column("monetary_value_7"))
    rides = column("frequency_30")
    return History(
        ids=np.array([f"old {one}" for one in range(number)], dtype=object),
        activity=activity,
        outcome=column("monetary_value_30"),
        window=Window(),
        source="passengers of before",
        rows_read=number,
        returned=rides > activity.frequency,
    )


def asked(predictor: Predictor, crowd: History, first: int, week: int) -> list[TrackedRequest]:
    said = predictor.predict(crowd.activity).in_cents().rows()
    return [
        TrackedRequest(
            first + row,
            int(crowd.activity.recency[row]),
            int(crowd.activity.frequency[row]),
            float(crowd.activity.monetary[row]),
            one.monetary,
            one.expected_increment,
            one.p_return,
            one.level,
            one.low,
            one.high,
            one.score_bin,
            one.in_support,
            predictor.version,
            START + week * WEEK,
        )
        for row, one in enumerate(said)
    ]


def played(engine: Engine, predictor: Predictor, weeks: int) -> datetime:
    """Weeks of passengers, all of whose outcomes are known four weeks later; the moment after."""
    for week in range(weeks):
        crowd = passengers(A_WEEK, seed=50 + week)
        first = 10_000 + week * A_WEEK
        track(engine, asked(predictor, crowd, first, week))
        outcomes = [Outcome(first + row, float(spent)) for row, spent in enumerate(crowd.outcome)]
        send(engine, START + (week + 4) * WEEK, *outcomes)
    return START + (weeks + 4) * WEEK


def champion_of(home: Path, history: History) -> Registry:
    registry = open_registry(Settings(home=home))
    release(quickly(history), registry, home, now=START)
    return registry


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(f"sqlite:///{tmp_path / 'tracking.sqlite'}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def misled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose champion learnt from passengers who spent far more than those who come."""
    home = tmp_path_factory.mktemp("misled")
    generous = replace((p := passengers(2_000, seed=1)), outcome=p.outcome + 2 * p.increment + 20)
    champion_of(home, generous)
    return home


@pytest.fixture
def home(misled: Path, tmp_path: Path) -> Path:
    """A copy of it for one test: artefacts are found where the home is."""
    import shutil  # noqa: PLC0415

    return Path(shutil.copytree(misled, tmp_path / "home"))


@pytest.fixture
def registry(home: Path) -> Registry:
    return open_registry(Settings(home=home))


@pytest.fixture
def champion(registry: Registry) -> Predictor:
    return Predictor.load(registry.bundle("1"), version="1")


def again(engine: Engine, registry: Registry, home: Path, now: datetime, **options: Any) -> Any:
    return retrain(engine, registry, home, now=now, **{"learn": quickly, **options})


def test_a_better_model_is_promoted_with_its_reason(
    engine: Engine, registry: Registry, home: Path, champion: Predictor
) -> None:
    now = played(engine, champion, 5)
    done = again(engine, registry, home, now)
    assert done.decision == "promoted", done.reason
    assert (done.version, done.tested_on) == ("2", A_WEEK)
    assert done.learnt_from == 4 * A_WEEK
    assert done.comparison.high < 0
    newest = registry.versions()[0]
    assert newest.aliases == ("champion",)
    assert newest.reason == done.reason
    assert "retrained and better: MSE -" in newest.reason
    assert registry.champion_before() == "1"
    assert done.reason in registry.remembered(LAST)
    # Whom they are compared on the recipe has not seen, and what is served has.
    manifest = Manifest.read(registry.bundle("2"))
    assert manifest.data.rows == 5 * A_WEEK


def test_the_comparison_is_on_the_newest_matured_cohort(
    engine: Engine, registry: Registry, home: Path, champion: Predictor
) -> None:
    now = played(engine, champion, 5)
    done = again(engine, registry, home, now)
    crowd = passengers(A_WEEK, seed=54)
    new = Predictor.load(registry.bundle("2"), role="holdout")
    difference = squared_errors(
        crowd.outcome, new.predict(crowd.activity).monetary
    ) - squared_errors(crowd.outcome, champion.predict(crowd.activity).monetary)
    assert done.comparison.mean == pytest.approx(difference.mean())


def test_the_same_outcomes_again_change_nothing(
    engine: Engine, registry: Registry, home: Path, champion: Predictor
) -> None:
    now = played(engine, champion, 5)
    first = again(engine, registry, home, now)
    second = again(engine, registry, home, now)
    assert second.decision == "nothing to do"
    assert len(registry.versions()) == 2
    assert registry.champion() == first.version


def test_who_is_not_shown_to_be_better_stays_in_shadow(engine: Engine, tmp_path: Path) -> None:
    home = tmp_path / "home"
    registry = champion_of(home, passengers(4_000, seed=1))
    champion = Predictor.load(registry.bundle("1"), version="1")
    now = played(engine, champion, 3)
    done = again(engine, registry, home, now)
    assert done.decision == "in shadow"
    assert registry.aliases() == {"champion": "1", "challenger": "2"}
    assert registry.versions()[0].reason.startswith("retrained; ")
    # The next week is newer than what either learnt from: there is something to do again.
    crowd = passengers(A_WEEK, seed=99)
    track(engine, asked(champion, crowd, 90_000, 3))
    sent = [Outcome(90_000 + row, float(spent)) for row, spent in enumerate(crowd.outcome)]
    send(engine, START + 7 * WEEK, *sent)
    third = again(engine, registry, home, START + 8 * WEEK)
    assert (third.version, third.tested_on) == ("3", A_WEEK)


def test_a_check_that_found_an_issue_keeps_it_in_shadow(
    engine: Engine,
    registry: Registry,
    home: Path,
    champion: Predictor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = played(engine, champion, 5)
    monkeypatch.setattr("clv.training.report.checks.model._BIAS", -1.0)
    monkeypatch.setattr("clv.training.report.checks.model._BIAS_SURE", -1.0)
    done = again(engine, registry, home, now)
    assert done.decision == "in shadow"
    assert "checks found issues (CLV003)" in done.reason
    assert done.comparison.high < 0
    assert registry.champion() == "1"


def test_with_too_few_outcomes_nothing_is_done_and_why_is_said(
    engine: Engine, registry: Registry, home: Path, champion: Predictor
) -> None:
    nothing = again(engine, registry, home, START)
    assert (nothing.decision, nothing.version) == ("nothing to do", None)
    assert f"fewer than {MIN_TESTED}" in nothing.reason
    now = played(engine, champion, 1)
    few = again(engine, registry, home, now)
    assert f"at least {MIN_LEARNT:,} are needed" in few.reason
    assert len(registry.versions()) == 1
    assert "nothing to do" in registry.remembered(LAST)


def test_without_an_alarm_nothing_is_done_where_one_is_asked_for(
    engine: Engine, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    registry = champion_of(home, passengers(4_000, seed=1))
    champion = Predictor.load(registry.bundle("1"), version="1")
    now = played(engine, champion, 4)
    done = again(engine, registry, home, now, only_if_alarmed=True)
    assert (done.decision, done.reason) == (
        "nothing to do",
        "no alarm of bias or coverage is raised",
    )


def test_without_a_champion_there_is_nothing_to_compare_with(
    engine: Engine, tmp_path: Path
) -> None:
    registry = open_registry(Settings(home=tmp_path / "new"))
    with pytest.raises(NotTrainedError):
        again(engine, registry, tmp_path / "new", START)


def test_other_passengers_of_the_source_are_learnt_from_as_well(
    engine: Engine, registry: Registry, home: Path, champion: Predictor
) -> None:
    now = played(engine, champion, 2)
    source = passengers(1_500, seed=3)
    source.ids[:10] = [str(10_000 + row) for row in range(10)]  # asked about since
    judged = read_judged(engine)
    found = material(judged, now.date(), source=source)
    assert len(found.history) == 1_490 + 2 * A_WEEK
    assert found.tested.sum() == A_WEEK
    assert len(set(found.history.ids.tolist())) == len(found.history)
    # Behaviour has changed: what was before teaches the wrong thing.
    with pytest.raises(DataError, match="since the week of 2026-02-09"):
        material(judged, now.date(), since=date(2026, 2, 9), source=source)


def test_after_a_change_only_those_of_since_are_learnt_from(
    engine: Engine, champion: Predictor
) -> None:
    now = played(engine, champion, 5)
    # Outcomes of those who were asked about in the third week are known four weeks later.
    since = (START + 6 * WEEK).date()
    found = material(read_judged(engine), now.date(), since=since)
    assert len(found.history) == 3 * A_WEEK
    ids = found.history.ids.astype(int)
    assert ids.min() == 10_000 + 2 * A_WEEK
    assert found.start == (START + 4 * WEEK).date()
    assert set(ids[found.tested]) == set(range(10_000 + 4 * A_WEEK, 10_000 + 5 * A_WEEK))


def test_whom_the_champion_has_learnt_from_nobody_is_compared_on(
    engine: Engine, champion: Predictor
) -> None:
    now = played(engine, champion, 4)
    with pytest.raises(DataError, match="fewer than 500 passengers"):
        material(read_judged(engine), now.date(), after=(START + 4 * WEEK).date())
    found = material(read_judged(engine), now.date(), after=(START + 3 * WEEK).date())
    assert found.start == (START + 3 * WEEK).date()


@pytest.mark.parametrize("where", retraining.PLACES)
def test_killed_and_run_again_there_is_one_version_with_a_decision(
    engine: Engine, registry: Registry, home: Path, champion: Predictor, where: str
) -> None:
    now = played(engine, champion, 5)
    assert retraining.start(home, str(engine.url), now, where).wait(120) == -signal.SIGKILL
    assert registry.champion() == ("2" if where == "before the reason" else "1")
    assert "challenger" not in registry.aliases()
    half = [version for version in registry.versions() if version.number != "1"]
    assert len(half) == (0 if where == "before the version" else 1)
    told: list[str] = []
    done = again(engine, registry, home, now, told=told.append)
    is_done = where == "before the reason"
    assert done.decision == ("nothing to do" if is_done else "promoted"), done.reason
    assert len(registry.versions()) == 2
    assert ("going on from there" in " ".join(told)) == (where == "before the decision")
    assert registry.champion() == "2"
    assert "challenger" not in registry.aliases()
    assert registry.versions()[0].reason.startswith("retrained and better")
    assert running_runs(registry, home) == []


def running_runs(registry: Registry, home: Path) -> list[str]:
    from mlflow import MlflowClient  # noqa: PLC0415

    client = MlflowClient(registry.uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(experiments, "attributes.status = 'RUNNING'")
    return [run.info.run_id for run in found]


def test_two_at_once_leave_one_version(
    engine: Engine, registry: Registry, home: Path, champion: Predictor
) -> None:
    now = played(engine, champion, 5)
    both = [retraining.start(home, str(engine.url), now) for _ in range(2)]
    assert [process.wait(180) for process in both] == [0, 0]
    assert [version.number for version in registry.versions()] == ["2", "1"]
    assert registry.champion() == "2"
