"""The hold-out finds what it was designed to find, and the estimate holds its level."""

import math

import numpy as np
import pytest

from campaign.simulated import came, expected, said_of
from clv.bundle import Calibration
from clv.campaign.holdout import design_holdout, estimate_lift
from clv.campaign.mean import MeanIncrement
from clv.campaign.offer import Campaign
from clv.campaign.segment import Segment
from clv.errors import DataError

CAMPAIGN = Campaign(margin=0.25, cost=1.0)


def learnt(rng: np.random.Generator) -> Calibration:
    mean = expected(20_000, rng)
    return Calibration.of(mean, came(mean, rng), scores=mean)


def test_a_lift_is_found_as_often_as_the_power_says() -> None:
    rng = np.random.default_rng(3)
    members = expected(20_000, rng)
    mean = Segment(said_of(members, (calibration := learnt(rng))), calibration).mean()
    design = design_holdout(mean, 0.15, CAMPAIGN)
    assert design.enough
    assert design.treated + design.control == 20_000
    found = 0
    for _ in range(300):
        shuffled = rng.permutation(members)
        control, treated = shuffled[: design.control], shuffled[design.control :]
        # The campaign makes each amount larger.
        lift = estimate_lift((came(treated, rng) * 1.15, treated), (came(control, rng), control))
        found += lift.low > 0
    assert 0.74 <= found / 300 <= 0.88


def test_without_an_effect_it_is_seldom_found_and_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(4)
    for truth in (0.0, 0.3):
        held = 0
        for _ in range(400):
            control, treated = expected(2_000, rng), expected(3_000, rng)
            lift = estimate_lift(
                (came(treated, rng) * (1 + truth), treated), (came(control, rng), control)
            )
            held += lift.low <= truth <= lift.high
        assert 0.86 <= held / 400 <= 0.94


def test_the_smallest_control_group_is_chosen_that_is_enough() -> None:
    mean = MeanIncrement(10_000, 10.0, chance=0.04, doubt=0.0, third=0.0)  # noise of 2 a head
    design = design_holdout(mean, 0.2, CAMPAIGN)
    assert design.enough
    allowed = 0.2 / (1.6448536 + 0.8416212 * 1.2)

    def error(control: int) -> float:
        return math.sqrt(4 * (1 / control + 1 / (10_000 - control)))

    assert error(design.control) <= allowed < error(design.control - 1)
    assert design.control < design.treated
    few = design_holdout(mean.of_as_many(design.needed - 2), 0.2, CAMPAIGN)
    assert not few.enough
    assert abs(few.treated - few.control) <= 1
    assert few.detectable is not None
    assert few.detectable > 0.2
    just = design_holdout(mean.of_as_many(design.needed), 0.2, CAMPAIGN)
    assert just.enough
    assert just.detectable == pytest.approx(0.2, rel=1e-3)


def test_a_stronger_effect_needs_fewer() -> None:
    mean = MeanIncrement(10_000, 10.0, chance=0.04, doubt=0.0, third=0.0)
    needed = [design_holdout(mean, lift, CAMPAIGN).needed for lift in (0.05, 0.1, 0.5, 2.0)]
    assert needed == sorted(needed, reverse=True)


def test_of_passengers_worth_nothing_no_lift_is_found() -> None:
    design = design_holdout(MeanIncrement(100, 0.0, 1.0, 0.0, 0.0), 0.1, CAMPAIGN)
    assert not design.enough
    assert design.detectable is None


def test_a_group_without_outcomes_is_refused() -> None:
    some = np.ones(5)
    with pytest.raises(DataError, match=r"The control group has 5 passengers with 0\.00 actual"):
        estimate_lift((some, some), (np.zeros(5), some))
    with pytest.raises(DataError, match="The treated group has 1 passengers"):
        estimate_lift((np.ones(1), np.ones(1)), (some, some))
