"""Everything that is said at one moment, against the metrics of the very rows."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from clv.bundle import Manifest, Predictor
from clv.data.simulate import SampleModel, simulate
from clv.metrics import bias, brier, deciles, mae, mse, normalised_gini, paired_difference
from clv.monitoring import Monitoring, manifests_of, monitor
from clv.registry import Registry
from clv.schema import Activity
from clv.tracking import Outcome, TrackedRequest, prune
from tracking.promising import DAY, opened, send, track

MONDAY = datetime(2026, 1, 5, 6, tzinfo=UTC)
PASSENGERS = 3_000


class World:
    """Passengers of two weeks, what they were promised by two models, and what came."""

    def __init__(self, predictor: Predictor) -> None:
        table = next(iter(simulate(PASSENGERS, seed=77, model=SampleModel()))).activity
        names = ("recency_7", "frequency_7", "monetary_value_7")
        self.activity = Activity.of(*(table.column(name).to_numpy() for name in names))
        self.actual = table.column("monetary_value_30").to_numpy()
        self.rides = table.column("frequency_30").to_numpy()
        self.said = predictor.predict(self.activity).in_cents()
        self.shadow = np.round(self.said.monetary * 1.1, 2)
        self.known = np.arange(PASSENGERS) % 10 < 8
        self.returned = self.rides > self.activity.frequency

    def requests(self) -> list[TrackedRequest]:
        return [
            TrackedRequest(
                row,
                int(self.activity.recency[row]),
                int(self.activity.frequency[row]),
                float(self.activity.monetary[row]),
                one.monetary,
                one.expected_increment,
                one.p_return,
                one.level,
                one.low,
                one.high,
                one.score_bin,
                True,  # a sixth is not: so few passengers were learnt from
                "1",
                MONDAY + (7 * DAY if row >= PASSENGERS // 2 else 0 * DAY),
                "2",
                float(self.shadow[row]),
                one.p_return,
                0.0,
                1e6,
            )
            for row, one in enumerate(self.said.rows())
        ]

    def outcomes(self) -> list[Outcome]:
        return [
            Outcome(row, float(self.actual[row]), int(self.rides[row]))
            for row in np.flatnonzero(self.known).tolist()
        ]


@pytest.fixture(scope="module")
def world(predictor: Predictor) -> World:
    return World(predictor)


@pytest.fixture(scope="module")
def engine(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = opened(f"sqlite:///{tmp_path_factory.mktemp('monitor') / 'tracking.sqlite'}")
    track(engine, world.requests())
    send(engine, MONDAY + 31 * DAY, *world.outcomes())
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def found(engine: Engine, registry: Registry) -> Monitoring:
    return monitor(engine, "1", manifests_of(registry), MONDAY + 40 * DAY)


def test_live_quality_is_what_the_metrics_say_of_the_rows(found: Monitoring, world: World) -> None:
    known, actual = world.known, world.actual[world.known]
    predicted = world.said.monetary[known]
    assert found.serving is not None
    quality = found.serving.quality
    assert (quality.promised, quality.judged) == (PASSENGERS, known.sum())
    assert quality.label_coverage == pytest.approx(0.8)
    assert quality.bias == pytest.approx(bias(actual, predicted))
    assert quality.mse == pytest.approx(mse(actual, predicted))
    assert quality.mae == pytest.approx(mae(actual, predicted))
    assert quality.brier == pytest.approx(brier(world.returned[known], world.said.p_return[known]))
    assert quality.returned == pytest.approx(world.returned[known].mean())
    assert quality.covered == pytest.approx(world.said.holds(world.actual)[known].mean())
    increment = np.maximum(world.actual - world.activity.monetary, 0.0)[known]
    gini = normalised_gini(increment, predicted - world.activity.monetary[known])
    assert quality.gini == pytest.approx(gini, abs=0.01)  # bands are ties
    error = (predicted - actual).std() / np.sqrt(len(actual)) / actual.mean()
    assert quality.bias_high - quality.bias == pytest.approx(1.96 * error)


def test_deciles_are_those_of_the_rows_but_for_ties(found: Monitoring, world: World) -> None:
    known = world.known
    increment = np.maximum(world.actual - world.activity.monetary, 0.0)[known]
    rows = deciles(increment, (world.said.monetary - world.activity.monetary)[known])
    assert found.serving is not None
    for said, row in zip(found.serving.deciles, rows, strict=True):
        assert said.predicted == pytest.approx(row.predicted, rel=0.15, abs=0.3)
    both = zip(found.serving.deciles, rows, strict=True)
    assert sum(said.actual for said, _ in both) == pytest.approx(
        sum(row.actual for row in rows), rel=0.01
    )


def test_weeks_and_score_bins_are_parts_of_the_whole(found: Monitoring, world: World) -> None:
    assert found.serving is not None
    cohorts, bins = found.serving.cohorts, found.serving.bins
    assert [row.cohort for row in cohorts] == [date(2026, 1, 5), date(2026, 1, 12)]
    assert [row.is_mature for row in cohorts] == [True, True]
    whole = found.serving.quality
    for parts in ([row.quality for row in cohorts], [row.quality for row in bins]):
        assert sum(part.judged for part in parts) == whole.judged
        assert sum(part.judged * part.mse for part in parts) == pytest.approx(
            whole.judged * whole.mse
        )
    expected = world.said.expected_increment[world.known]
    first = world.said.score_bin[world.known] == 1
    assert bins[0].score_bin == 1
    assert bins[0].predicted_increment == pytest.approx(expected[first].mean())


def test_a_challenger_is_compared_on_the_same_passengers(found: Monitoring, world: World) -> None:
    (shadow,) = found.shadows
    known, actual = world.known, world.actual[world.known]
    difference = paired_difference(
        (actual - world.shadow[known]) ** 2, (actual - world.said.monetary[known]) ** 2
    )
    assert (shadow.challenger, shadow.champion) == ("2", "1")
    assert shadow.quality.judged == known.sum()
    assert shadow.quality.bias == pytest.approx(bias(actual, world.shadow[known]))
    assert shadow.quality.covered == 1.0
    assert shadow.to_champion is not None
    assert shadow.to_champion.mean == pytest.approx(difference.mean)
    assert shadow.to_champion.low == pytest.approx(difference.low)
    assert shadow.to_champion.high == pytest.approx(difference.high)


def test_before_outcomes_there_is_an_estimate_from_the_calibration(
    found: Monitoring, world: World, predictor: Predictor
) -> None:
    assert found.serving is not None
    early = found.serving.early
    waiting = ~world.known
    parts = predictor.calibration.bins
    expected = np.array([part.variance + part.bias**2 for part in parts])
    p = world.said.p_return[waiting]
    assert early.customers == waiting.sum()
    assert early.mse == pytest.approx(expected[world.said.score_bin[waiting] - 1].mean())
    assert early.brier == pytest.approx((p * (1 - p)).mean())
    assert early.predicted == pytest.approx(world.said.monetary[waiting].mean())
    # Passengers behave as in training, so it is about what came in the end.
    assert early.mse == pytest.approx(mse(world.actual, world.said.monetary), rel=0.25)
    assert early.unsound == ""


def test_a_week_is_mature_once_its_last_horizon_has_passed(
    engine: Engine, registry: Registry
) -> None:
    # The first week's last horizon passes on 4 February, 23 days after its Sunday.
    for day, mature in ((29, [False, False]), (30, [True, False]), (37, [True, True])):
        seen = monitor(engine, "1", manifests_of(registry), MONDAY + day * DAY)
        assert seen.serving is not None
        assert [row.is_mature for row in seen.serving.cohorts] == mature


def test_those_of_training_have_not_drifted_and_others_have(
    engine: Engine, registry: Registry, tmp_path: Path, world: World
) -> None:
    seen = monitor(engine, "1", manifests_of(registry), MONDAY + 20 * DAY)
    assert {one.quantity for one in seen.drift} == {
        "recency", "frequency", "monetary", "predicted", "p_return",
    }  # fmt: skip
    assert {one.status for one in seen.drift} == {"steady"}
    assert seen.drift_customers == PASSENGERS
    assert all(sum(one.shares) == pytest.approx(1) for one in seen.drift)
    other = opened(f"sqlite:///{tmp_path / 'other.sqlite'}")
    richer = [row._replace(monetary=row.monetary * 3 + 20) for row in world.requests()]
    track(other, richer)
    moved = monitor(other, "1", manifests_of(registry), MONDAY + 20 * DAY)
    status = {one.quantity: one.status for one in moved.drift}
    assert status["monetary"] == "drifted"
    assert status["recency"] == "steady"
    assert [(alarm.kind, alarm.subject) for alarm in moved.alarms] == [("drift", "monetary")]
    assert next(one for one in moved.drift if one.quantity == "monetary").distance > 10
    other.dispose()


def test_of_a_few_nothing_is_said(registry: Registry, tmp_path: Path, world: World) -> None:
    engine = opened(f"sqlite:///{tmp_path / 'few.sqlite'}")
    track(engine, [row._replace(monetary=9e5) for row in world.requests()[:100]])
    seen = monitor(engine, "1", manifests_of(registry), MONDAY + 20 * DAY)
    assert {one.status for one in seen.drift} == {"too few"}
    assert seen.alarms == ()
    engine.dispose()


def test_a_version_whose_bundle_is_gone_is_measured_all_the_same(
    engine: Engine, found: Monitoring
) -> None:
    seen = monitor(engine, "1", lambda _: None, MONDAY + 40 * DAY)
    assert seen.serving is not None
    assert found.serving is not None
    assert seen.serving.quality == found.serving.quality
    assert seen.drift == ()
    assert seen.serving.early.unsound == "the calibration of this version is missing"


def test_pruned_or_not_the_same_is_said(
    registry: Registry, tmp_path: Path, world: World, found: Monitoring
) -> None:
    engine = opened(f"sqlite:///{tmp_path / 'pruned.sqlite'}")
    track(engine, world.requests())
    send(engine, MONDAY + 31 * DAY, *world.outcomes())
    prune(engine, MONDAY + 39 * DAY)
    after = monitor(engine, "1", manifests_of(registry), MONDAY + 40 * DAY)
    engine.dispose()
    assert after.outcomes == found.outcomes
    assert found.serving is not None
    assert after.serving is not None
    for name, value in _figures(found.serving.quality).items():
        assert _figures(after.serving.quality)[name] == pytest.approx(value, nan_ok=True), name
    assert after.serving.bias.evidence == pytest.approx(found.serving.bias.evidence)


def _figures(quality: Any) -> dict[str, float]:
    return {name: getattr(quality, name) for name in quality.__dataclass_fields__}


def test_an_estimate_is_not_to_be_believed_once_there_is_an_alarm(
    registry: Registry, tmp_path: Path, world: World
) -> None:
    engine = opened(f"sqlite:///{tmp_path / 'alarm.sqlite'}")
    track(engine, world.requests())
    less = [replace_monetary(one, 0.6) for one in world.outcomes()]
    send(engine, MONDAY + 31 * DAY, *less)
    seen = monitor(engine, "1", manifests_of(registry), MONDAY + 40 * DAY)
    engine.dispose()
    assert "bias" in {alarm.kind for alarm in seen.alarms}
    assert seen.serving is not None
    assert "alarm" in seen.serving.early.unsound


def replace_monetary(outcome: Outcome, factor: float) -> Outcome:
    return outcome._replace(monetary=outcome.monetary * factor)


def test_manifests_are_read_once_and_what_cannot_be_is_none(registry: Registry) -> None:
    manifest_of = manifests_of(registry)
    assert isinstance(manifest_of("1"), Manifest)
    assert manifest_of("1") is manifest_of("1")
    assert manifest_of("99") is None
