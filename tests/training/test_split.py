"""Who is held out is decided by the id alone, for ever."""

import numpy as np
import pytest

from clv.training.split import held_out

IDS = np.array([str(number) for number in range(20_000)], dtype=object)


def test_the_order_of_the_table_does_not_matter() -> None:
    rows = np.random.default_rng(0).permutation(len(IDS))
    assert (
        held_out(IDS[rows], seed=42, share=0.2) == held_out(IDS, seed=42, share=0.2)[rows]
    ).all()


def test_who_was_held_out_stays_held_out_as_the_table_grows() -> None:
    before = held_out(IDS[:500], seed=42, share=0.2)
    assert (held_out(IDS, seed=42, share=0.2)[:500] == before).all()


def test_a_larger_share_holds_out_the_same_and_more() -> None:
    few, more = held_out(IDS, seed=42, share=0.1), held_out(IDS, seed=42, share=0.3)
    assert (few <= more).all()


def test_a_number_and_its_text_are_the_same_passenger() -> None:
    as_text = held_out(IDS, seed=42, share=0.2)
    assert (held_out(np.arange(20_000), seed=42, share=0.2) == as_text).all()
    assert (held_out(np.arange(20_000).astype(object), seed=42, share=0.2) == as_text).all()
    assert (held_out(IDS.astype(str), seed=42, share=0.2) == as_text).all()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 42, 2**31])
def test_the_share_is_right_but_for_chance(seed: int, share: float) -> None:
    error = (share * (1 - share) / len(IDS)) ** 0.5
    assert held_out(IDS, seed=seed, share=share).mean() == pytest.approx(share, abs=4 * error)


def test_another_seed_holds_out_others() -> None:
    one, other = held_out(IDS, seed=1, share=0.2), held_out(IDS, seed=2, share=0.2)
    # Independent: a fifth of a fifth in common.
    assert (one & other).mean() == pytest.approx(0.04, abs=0.006)


def test_who_is_held_out_never_changes_with_a_release() -> None:
    """Written down: a champion of an older release is compared on rows that it has not seen."""
    names = np.array(["1", "2", "3", "a", "ü", "passenger 17", ""], dtype=object)
    expected = [True, False, True, True, True, True, False]
    assert held_out(names, seed=42, share=0.5).tolist() == expected


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 3)])
def test_none_and_all_can_be_held_out(share: float, expected: int) -> None:
    assert held_out(IDS[:3], seed=42, share=share).sum() == expected


def test_of_nobody_nobody_is_held_out() -> None:
    assert held_out(IDS[:0], seed=42, share=0.2).tolist() == []
