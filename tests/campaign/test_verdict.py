"""The verdict on a segment: what it says at the bounds, and that its parts agree."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.simulated import came, expected, said_of
from clv.bundle import Predictions, Predictor
from clv.campaign.depth import best_depth, depth_curve
from clv.campaign.lifts import at_every_lift, points_of
from clv.campaign.offer import Campaign
from clv.campaign.segment import Segment
from clv.campaign.verdict import Evaluation, document, evaluate, with_lift
from clv.errors import DataError


@pytest.fixture(scope="module")
def predictions(predictor: Predictor) -> Predictions:
    """Of 500 made-up passengers by the champion's own calibration."""
    return said_of(expected(500, np.random.default_rng(4)), predictor.calibration)


def judged(predictor: Predictor, predictions: Predictions, **terms: float) -> Evaluation:
    return evaluate(predictions, predictor, Campaign(**({"margin": 0.25, "cost": 2.5} | terms)))


def test_the_verdict_is_where_the_interval_of_the_profit_lies(
    predictor: Predictor, predictions: Predictions
) -> None:
    found = judged(predictor, predictions)
    low, mean, high = (
        getattr(found.expected_increment, name) * 0.25 for name in ("low", "mean", "high")
    )
    for cost, verdict in (
        (0.0, "worth it"),
        (low * 0.999, "worth it"),
        (low * 1.001, "not enough evidence"),
        (mean, "not enough evidence"),
        (high * 0.999, "not enough evidence"),
        (high * 1.001, "not worth it"),
        (1e6, "not worth it"),
    ):
        said = judged(predictor, predictions, cost=cost)
        assert said.verdict == verdict, cost
        assert (said.gain.low >= 0) == (verdict == "worth it")
        assert (said.gain.high < 0) == (verdict == "not worth it")


@given(cost=st.floats(0.01, 50), dearer=st.floats(0.01, 50), margin=st.floats(0.05, 0.9))
def test_a_dearer_campaign_is_never_better(
    predictor: Predictor, predictions: Predictions, cost: float, dearer: float, margin: float
) -> None:
    cheap = judged(predictor, predictions, cost=cost, margin=margin)
    dear = judged(predictor, predictions, cost=cost + dearer, margin=margin)
    assert dear.probability_worth_it <= cheap.probability_worth_it
    assert dear.gain.mean < cheap.gain.mean
    assert dear.best.customers <= cheap.best.customers
    assert (dear.minimum_lift or 0) > (cheap.minimum_lift or 0)
    order = ["worth it", "not enough evidence", "not worth it"]
    assert order.index(dear.verdict) >= order.index(cheap.verdict)


def test_at_the_break_even_cost_nothing_is_earned(
    predictor: Predictor, predictions: Predictions
) -> None:
    found = judged(predictor, predictions, lift=0.2)
    at = judged(predictor, predictions, lift=0.2, cost=found.break_even_cost)
    assert at.gain.mean == pytest.approx(0, abs=1e-9)
    careful = judged(predictor, predictions, lift=0.2, cost=found.break_even_cost_cautious)
    assert careful.gain.low == pytest.approx(0, abs=1e-9)
    assert at.minimum_lift == pytest.approx(0.2)
    assert careful.minimum_lift_cautious == pytest.approx(0.2)


def test_a_lift_is_worth_as_much_as_its_share_of_the_margin(
    predictor: Predictor, predictions: Predictions
) -> None:
    value, effect = judged(predictor, predictions), judged(predictor, predictions, lift=0.1)
    assert (value.speaks_of, effect.speaks_of) == ("value", "effect")
    assert "not what the campaign changes" in value.warnings[0]
    assert "10.0% is an assumption" in effect.warnings[0]
    same = judged(predictor, predictions, margin=0.025)
    assert effect.expected_profit == same.value_less_cost
    assert effect.probability_worth_it == same.probability_worth_it
    assert effect.minimum_lift == value.minimum_lift


def keys_of(value: object) -> Iterator[str]:
    """Every name in a document, at any depth."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield str(name)
            yield from keys_of(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from keys_of(part)


def test_there_is_a_profit_only_with_a_lift(predictor: Predictor, predictions: Predictions) -> None:
    value, effect = judged(predictor, predictions), judged(predictor, predictions, lift=0.1)
    assert (value.expected_profit, effect.value_less_cost) == (None, None)
    assert all(point.profit is None for point in (*value.depths, value.best))
    assert "profit" not in " ".join(keys_of(document(value)))
    names = set(keys_of(document(effect)))
    assert {"expected_profit", "profit"} <= names
    assert "value_less_cost" not in names


def test_with_another_lift_it_is_the_evaluation_at_that_lift(
    predictor: Predictor, predictions: Predictions
) -> None:
    segment = Segment(predictions, predictor.calibration)
    found = judged(predictor, predictions, lift=0.2)
    for lift in (None, 0.05, 0.6):
        campaign = replace(found.campaign, lift=lift)
        assert with_lift(found, segment, lift) == evaluate(predictions, predictor, campaign)


@pytest.mark.parametrize("given", [None, 0.123, 9.0])
@pytest.mark.parametrize("cost", [0.0, 0.05, 2.5, 40.0])
def test_a_slider_goes_from_no_lift_to_half_or_to_what_is_needed(
    predictor: Predictor, predictions: Predictions, cost: float, given: float | None
) -> None:
    found = evaluate(predictions, predictor, Campaign(0.25, cost, lift=given))
    every = at_every_lift(found, Segment(predictions, predictor.calibration))
    lifts = [one.campaign.lift for one in every]
    assert lifts[0] is None
    assert found in every
    known = [lift for lift in lifts if lift is not None]
    assert known == sorted(set(known))
    assert len(known) <= 71
    needed = found.minimum_lift_cautious
    assert needed is not None
    assert known[-1] >= min(max(0.5, needed), 10)
    assert known[-1] <= 10
    assert set(known) >= {n / 100 for n in range(1, 51)}, "usual lifts can always be chosen"


def test_points_of_a_page_give_every_depth_at_every_lift(
    predictor: Predictor, predictions: Predictions
) -> None:
    """What the script of the page computes from them is what the evaluation says."""
    segment = Segment(predictions, predictor.calibration)
    found = judged(predictor, predictions)
    every = at_every_lift(found, segment)
    points = {point["customers"]: point for point in points_of(segment, every)}
    for one in every[1:]:
        assert one.best.customers in points or not one.best.customers
        for depth in one.depths[1:]:
            if depth.customers not in points:
                continue
            point = points[depth.customers]
            for name, theirs in (("mean", depth.gain), ("low", depth.low), ("high", depth.high)):
                ours = (one.campaign.worth * point[name] - 2.5) * depth.customers
                assert ours == pytest.approx(theirs, abs=0.01)


def test_enough_is_the_fewest_that_settle_it(
    predictor: Predictor, predictions: Predictions
) -> None:
    few = said_of(expected(40, np.random.default_rng(6)), predictor.calibration)
    mean = judged(predictor, few).expected_increment.mean
    found = judged(predictor, few, cost=mean * 0.25 * 0.6)
    assert found.verdict == "not enough evidence"
    assert found.enough is not None
    own = Segment(few, predictor.calibration).mean()
    needed = found.campaign.needed
    assert own.of_as_many(found.enough).interval(0.9)[0] >= needed
    assert own.of_as_many(found.enough - 1).interval(0.9)[0] < needed
    assert judged(predictor, predictions, cost=0).enough is None
    # At the mean itself no number of passengers tells.
    assert judged(predictor, few, cost=mean * 0.25).enough is None


def test_the_best_depth_is_the_best_of_all_and_on_the_curve(
    predictor: Predictor, predictions: Predictions
) -> None:
    segment = Segment(predictions, predictor.calibration)
    for cost in (0.5, 2.5, 20.0):
        campaign = Campaign(margin=0.25, cost=cost)
        best = best_depth(segment, campaign)
        every = [
            0.25 * segment.expected[:depth].sum() - cost * depth
            for depth in range(len(segment) + 1)
        ]
        assert best.gain == pytest.approx(max(every))
        curve = depth_curve(segment, campaign, best)
        assert best in curve
        assert [point.customers for point in curve] == sorted({p.customers for p in curve})
        assert (curve[0].customers, curve[-1].customers) == (0, 500)
        assert all(point.low <= point.gain <= point.high for point in curve)
        for point in curve:
            assert point.gain == pytest.approx(every[point.customers], abs=1e-9)
    assert best_depth(segment, Campaign(margin=0.25, cost=1e5)).customers == 0


def test_shares_and_kinds_add_up(predictor: Predictor, predictions: Predictions) -> None:
    found = judged(predictor, predictions)
    assert sum(kind.customers for kind in found.quadrants) == found.n == 500
    assert sum(kind.share_of_value for kind in found.quadrants) == pytest.approx(1)
    values = [share.value for share in found.concentration]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(1)
    assert all(share.value >= share.customers - 1e-9 for share in found.concentration)
    assert found.returning == pytest.approx(predictions.p_return.mean())
    assert found.all_customers.times == pytest.approx(
        found.expected_increment.mean / found.all_customers.expected_increment
    )


def test_passengers_nobody_learnt_from_are_warned_of(
    predictor: Predictor, predictions: Predictions
) -> None:
    rare = replace(predictions, in_support=np.arange(500) % 5 > 0)
    found = judged(predictor, rare)
    assert found.out_of_support == 100
    assert any(warning.startswith("100 of 500 passengers are unlike") for warning in found.warnings)
    few = said_of(expected(5, np.random.default_rng(1)), predictor.calibration)
    assert any("mostly chance" in warning for warning in judged(predictor, few).warnings)


def test_of_passengers_who_are_worth_nothing_all_is_said_too(predictor: Predictor) -> None:
    nothing = said_of(np.zeros(50), predictor.calibration)
    found = judged(predictor, nothing, cost=100.0)
    assert found.verdict == "not worth it"
    assert found.best.customers == 0
    assert all(math.isfinite(point.gain) for point in found.depths)


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"margin": 0}, "margin=0: expected a share from 0.0001 to 1."),
        ({"margin": 1.01}, "margin=1.01"),
        ({"margin": math.nan}, "margin=nan"),
        ({"cost": -1}, "cost=-1: expected 0 to 1,000,000 a head."),
        ({"cost": math.inf}, "cost=inf"),
        ({"lift": 0}, "lift=0: expected a share from 0.0001 to 10, such as 0.1"),
        ({"level": 0.2}, "level=0.2: expected 0.5 to 0.99."),
        ({"power": 1.0}, "power=1.0: expected 0.5 to 0.99."),
        ({"detect_lift": -0.1}, "detect_lift=-0.1"),
    ],
)
def test_terms_that_mean_nothing_are_refused(terms: dict[str, float], says: str) -> None:
    with pytest.raises(DataError) as refused:
        Campaign(**({"margin": 0.25, "cost": 2.5} | terms))
    assert says in str(refused.value)


def test_what_came_can_be_simulated(predictor: Predictor) -> None:
    """The simulation is what it says: its mean is the expected increment."""
    rng = np.random.default_rng(2)
    mean = expected(20_000, rng)
    assert came(mean, rng).mean() == pytest.approx(mean.mean(), rel=0.05)
