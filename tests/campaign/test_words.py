"""A verdict in words: what is said without a lift, with one, and of very few passengers."""

from dataclasses import replace

import numpy as np
import pytest

from campaign.simulated import expected, said_of
from clv.bundle import Predictor
from clv.campaign import words
from clv.campaign.figures import pictures_of
from clv.campaign.offer import MAX_LIFT, Campaign
from clv.campaign.verdict import Evaluation, evaluate


def judged(predictor: Predictor, n: int = 400, **terms: float) -> Evaluation:
    predictions = said_of(expected(n, np.random.default_rng(4)), predictor.calibration)
    return evaluate(predictions, predictor, Campaign(**({"margin": 0.25, "cost": 2.5} | terms)))


def money(value: float, digits: int = 2) -> str:
    return f"{value:,.{digits}f}"


@pytest.mark.parametrize(
    ("least", "safe", "says"),
    [
        (
            0.3561,
            0.4482,
            "Pays if it raises their further spending by 36% or more; to be safe, 45%",
        ),
        (0.36, 0.45, "Pays if it raises their further spending by 36% or more; to be safe, 45%"),
        (
            0.0312,
            0.0999,
            "Pays if it raises their further spending by 3.2% or more; to be safe, 10%",
        ),
        (0.5, None, "Pays if it raises their further spending by 50% or more"),
        (34.0, 60.0, "Hardly: it would have to raise their further spending by 3,400%"),
        (
            None,
            None,
            (
                "No lift could make it pay: "
                "these passengers are not expected to spend anything further"
            ),
        ),
    ],
)
def test_without_a_lift_the_headline_is_what_the_campaign_has_to_achieve(
    predictor: Predictor, least: float | None, safe: float | None, says: str
) -> None:
    found = replace(judged(predictor), minimum_lift=least, minimum_lift_cautious=safe)
    assert words.headline(found) == says
    text = " ".join(
        [says, words.sentence(found, money), words.further_spend_in_words(found, money)]
    )
    assert "profit" not in text.lower()
    assert "worth it" not in text.lower()
    assert words.best_in_words(found, money) == ""


def test_what_costs_nothing_pays_with_any_lift(predictor: Predictor) -> None:
    assert words.headline(judged(predictor, cost=0.0)) == "It costs nothing, so any lift pays"


def test_rounding_never_says_a_lift_that_does_not_pay(predictor: Predictor) -> None:
    found = judged(predictor)
    for least in (0.0101, 0.0999, 0.1001, 0.3301):
        says = words.headline(replace(found, minimum_lift=least, minimum_lift_cautious=None))
        share = float(says.split(" by ")[1].split("%")[0]) / 100
        assert least <= share < least + 0.01


def test_with_a_lift_the_best_part_of_the_list_is_named(predictor: Predictor) -> None:
    found = judged(predictor, lift=0.16)
    assert words.headline(found) == "Not worth it"
    best = found.best
    assert 0 < best.customers < 400
    is_one = best.customers == 1
    earns = "may earn" if best.low < 0 else f"{'is' if is_one else 'are'} expected to earn"
    assert words.best_in_words(found, money).startswith(
        f"Not all 400: the best {best.customers if best.customers > 1 else 'passenger'} {earns}"
    )
    assert f"{best.gain:,.0f} ({best.low:,.0f} to {best.high:,.0f})" in words.best_in_words(
        found, money
    )
    assert words.best_in_words(judged(predictor, lift=10.0, cost=0.01), money) == ""
    nobody = judged(predictor, lift=0.01, cost=100.0)
    assert words.best_in_words(nobody, money) == "No part of the list is expected to earn its cost."


def test_a_best_part_does_not_contradict_a_list_that_pays(predictor: Predictor) -> None:
    found = replace(judged(predictor, lift=1.0), verdict="worth it")
    assert 0 < found.best.customers < 400
    says = words.best_in_words(found, money)
    assert says.startswith(f"All 400 pay, but the best {found.best.customers} alone ")
    one = replace(found, verdict="not worth it", best=replace(found.best, customers=1))
    assert words.best_in_words(one, money).startswith("Not all 400: the best passenger ")


def test_a_lift_beyond_all_reason_is_neither_advised_nor_looked_for(predictor: Predictor) -> None:
    found = judged(predictor, cost=5_000.0)
    assert found.minimum_lift is not None
    assert found.minimum_lift > MAX_LIFT
    assert found.holdout is None
    assert words.sentence(found, money).startswith("Lower the cost per passenger")
    plan = replace(judged(predictor).holdout, enough=False, detectable=686.152)
    says = words.holdout_in_words(replace(judged(predictor), holdout=plan))
    assert says.endswith("These 400 passengers are too few to show any lift.")


def test_what_costs_nothing_is_not_asked_whether_it_pays(predictor: Predictor) -> None:
    assert words.sentence(judged(predictor, cost=0.0), money).startswith("There is no cost to")


def test_cents_are_shown_if_they_matter(predictor: Predictor) -> None:
    assert words.digits_of(judged(predictor)) == 0
    one = judged(predictor, 1, lift=0.01)
    assert words.digits_of(one) == 2
    assert money(abs(one.gain.high)) in words.sentence(one, money)


def test_the_pictures_of_a_list_without_a_lift_know_no_profit(predictor: Predictor) -> None:
    for lift, is_said in ((None, False), (0.16, True)):
        terms = {} if lift is None else {"lift": lift}
        readings = " ".join(one.reading for one in pictures_of(judged(predictor, **terms), ""))
        assert ("profit" in readings) is is_said
        assert ("dashed line the campaign pays" in readings) is is_said


def test_one_passenger_is_one_passenger(predictor: Predictor) -> None:
    found = judged(predictor, 1)
    says = [
        words.holdout_in_words(found),
        words.further_spend_in_words(found, money),
        *found.warnings,
    ]
    assert "1 passengers" not in " ".join(says)
    assert words.returning_in_words(found).endswith("% likely")
    assert words.returning_in_words(judged(predictor, 5)).startswith("about ")
    assert words.returning_in_words(judged(predictor, 5)).endswith(" of 5")
    assert words.returning_in_words(judged(predictor, 30)).endswith("%")


def test_a_short_list_has_no_pictures_of_tenths_and_counts_in_ones(predictor: Predictor) -> None:
    names = {n: [one.name for one in pictures_of(judged(predictor, n), "")] for n in (1, 4, 400)}
    assert names == {
        1: ["increment"],
        4: ["increment", "depth", "kinds"],
        400: ["increment", "depth", "kinds", "concentration"],
    }
    depth = pictures_of(judged(predictor, 4), "")[1]
    assert depth.plot.layout.xaxis.dtick == 1
