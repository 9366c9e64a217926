"""Capture, probabilities and drift: against others' implementations and by their laws."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import brier_score_loss, roc_auc_score

from clv.metrics import (
    auc,
    base_rate_brier,
    brier,
    capture_curve,
    captured,
    noise_of_stability,
    normalised_gini,
    rank_correlation,
    ranks,
    reliability,
    stability_index,
)
from clv.schema import Floats, Mask

SIZES = st.shared(st.integers(2, 60), key="n")


def money(most: int = 100_000) -> st.SearchStrategy[Floats]:
    """Amounts in cents, all columns of one example of one length, mostly with ties."""
    cents = st.integers(0, most).map(lambda value: value / 100)
    return SIZES.flatmap(lambda n: arrays(np.float64, n, elements=cents))


def probabilities() -> st.SearchStrategy[Floats]:
    percent = st.integers(0, 100).map(lambda value: value / 100)
    return SIZES.flatmap(lambda n: arrays(np.float64, n, elements=percent))


def events() -> st.SearchStrategy[Mask]:
    return SIZES.flatmap(lambda n: arrays(np.bool_, n))


# ---------------------------------------------------------------- capture


@given(money().filter(np.any), money(500))
def test_the_curve_rises_from_nothing_to_everything(actual: Floats, predicted: Floats) -> None:
    curve = capture_curve(actual, predicted)
    assert (curve[0].customers, curve[0].money) == (0, 0)
    assert (curve[-1].customers, curve[-1].money) == (1, pytest.approx(1))
    for before, after in pairwise(curve):
        assert before.customers < after.customers
        assert before.money <= after.money + 1e-12


@given(money().filter(np.any), money(500))
def test_no_order_captures_more_than_the_true_one(actual: Floats, predicted: Floats) -> None:
    for share in (0.1, 0.5):
        assert captured(actual, predicted, share) <= captured(actual, actual, share) + 1e-9


@given(money().filter(lambda actual: bool(np.ptp(actual) > 0)), money(500))
def test_twice_the_area_under_the_curve_is_the_gini(actual: Floats, predicted: Floats) -> None:
    def area(order_by: Floats) -> float:
        curve = capture_curve(actual, order_by)
        x, y = [point.customers for point in curve], [point.money for point in curve]
        return float(np.trapezoid(y, x)) - 0.5

    assert area(predicted) / area(actual) == pytest.approx(
        normalised_gini(actual, predicted), abs=1e-9
    )


def test_the_share_of_the_best_tenth_is_counted_in_proportion_within_ties() -> None:
    actual = np.array([10.0, 0, 0, 0, 0, 0, 0, 0, 0, 10])
    assert captured(actual, np.arange(10.0), 0.1) == pytest.approx(0.5)
    assert captured(actual, np.zeros(10), 0.1) == pytest.approx(0.1)
    # Two customers share the first place, one of them with the half of the money.
    assert captured(actual, np.array([0, 0, 0, 0, 0, 0, 0, 0, 5.0, 5.0]), 0.1) == 0.25


def test_a_curve_is_thinned_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(2)
    curve = capture_curve(rng.exponential(1, 9_999), rng.random(9_999))
    assert len(curve) == 201
    assert curve[-1].customers == 1


def test_without_money_nothing_is_captured() -> None:
    assert capture_curve(np.zeros(4), np.arange(4.0)) == []
    assert np.isnan(captured(np.zeros(4), np.arange(4.0), 0.1))


# ---------------------------------------------------------------- ranks


@given(money(300), money(300))
def test_ranks_and_their_correlation_are_those_of_scipy(one: Floats, other: Floats) -> None:
    np.testing.assert_allclose(ranks(one), rankdata(one))
    if np.ptp(one) > 0 and np.ptp(other) > 0:
        assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    else:
        assert np.isnan(rank_correlation(one, other))


# ---------------------------------------------------------------- probabilities


@given(events(), probabilities())
def test_brier_and_auc_are_those_of_scikit_learn(happened: Mask, probability: Floats) -> None:
    assert brier(happened, probability) == pytest.approx(
        brier_score_loss(happened, probability, pos_label=True)
    )
    if 0 < happened.sum() < len(happened):
        assert auc(happened, probability) == pytest.approx(roc_auc_score(happened, probability))
    else:
        assert np.isnan(auc(happened, probability))


@given(events())
def test_no_constant_has_a_better_brier_score_than_the_base_rate(happened: Mask) -> None:
    rate = np.full(len(happened), happened.mean())
    assert base_rate_brier(happened) == pytest.approx(brier(happened, rate))
    for other in (0.1, 0.5):
        constant = np.full(len(happened), other)
        assert base_rate_brier(happened) <= brier(happened, constant) + 1e-12


@given(events(), probabilities(), st.randoms(use_true_random=False))
def test_reliability_counts_everybody_once_in_any_order(happened, probability, random) -> None:
    rows = list(range(len(happened)))
    random.shuffle(rows)
    table = reliability(happened, probability)
    other = reliability(happened[rows], probability[rows])
    assert sum(row.customers for row in table) == len(happened)
    assert sum(row.customers * row.happened for row in table) == pytest.approx(happened.sum())
    assert [row.happened for row in other] == pytest.approx([row.happened for row in table])
    said = [row.predicted for row in table]
    assert said == sorted(said)


def test_a_true_probability_is_found_reliable_within_its_standard_errors() -> None:
    rng = np.random.default_rng(4)
    probability = rng.beta(1, 3, 20_000)
    table = reliability(rng.random(20_000) < probability, probability)
    off = [abs(row.happened - row.predicted) / row.standard_error for row in table]
    assert max(off) < 3.5
    lying = reliability(rng.random(20_000) < probability**2, probability)
    assert max(abs(row.happened - row.predicted) / row.standard_error for row in lying) > 5


# ---------------------------------------------------------------- drift


def test_the_stability_index_of_a_table_worked_by_hand() -> None:
    before, after = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    expected = -0.25 * np.log(0.5) + 0.25 * np.log(1.5)
    assert stability_index(before, after) == pytest.approx(expected)
    assert stability_index(after, before) == pytest.approx(expected)
    assert stability_index(before, before) == 0
    assert np.isfinite(stability_index(np.array([1.0, 0.0]), np.array([0.0, 1.0])))


def test_samples_of_the_same_customers_stay_below_the_noise() -> None:
    rng = np.random.default_rng(6)
    shares = np.full(10, 0.1)
    noise = noise_of_stability(10, 400, 1_600)
    above = sum(
        stability_index(rng.multinomial(1_600, shares) / 1_600, rng.multinomial(400, shares) / 400)
        > noise
        for _ in range(2_000)
    )
    assert above <= 20  # one in a hundred; a few in a thousand are expected
    drifted = rng.multinomial(400, np.linspace(0.05, 0.15, 10)) / 400
    assert stability_index(shares, drifted) > noise
