"""Whether the model has seen enough customers like this one, and what it says where it has not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.bundle import Support
from clv.bundle.surroundings import Surroundings
from clv.schema import Activity, Window

ROWS = st.lists(
    st.tuples(st.integers(1, 7), st.integers(1, 60), st.floats(0, 5_000)), min_size=1, max_size=200
)


def surroundings(
    rows: list[tuple[float, float, float]], window: Window | None = None
) -> Surroundings:
    return Surroundings(Support.of(Activity.of(*zip(*rows, strict=True)), window or Window()))


@settings(max_examples=60)
@given(ROWS)
def test_everybody_learnt_from_is_counted_once_and_is_like_themselves(
    rows: list[tuple[float, float, float]],
) -> None:
    around = surroundings(rows)
    counted = Support.of(Activity.of(*zip(*rows, strict=True)), Window()).counts
    assert sum(counted) == len(rows)
    assert (around.similar(np.array(rows, dtype=float)) >= 1).all()


def test_customers_alike_are_counted_together_and_others_apart() -> None:
    around = surroundings([(7, 4, 80.0)] * 30 + [(1, 1, 8.0)] * 5)
    rows = np.array(
        [(7, 4, 80.0), (7, 5, 90.0), (6, 4, 80.0), (7, 1, 80.0), (7, 4, 500.0), (1, 1, 8)]
    )
    assert around.similar(rows).tolist() == [30, 30, 0, 0, 0, 5]


def test_it_says_what_customers_like_this_one_have_in_common() -> None:
    around = surroundings([(7, 4, 80.0)] * 30 + [(1, 1, 10.0)] * 5)
    assert around.describe(7, 4, 80) == "last ride on day 7, 4 to 5 rides, 80.00 to 160.00 spent"
    assert around.describe(1, 1, 10) == "last ride on day 1, 1 ride, 10.00 to 20.00 spent"
    assert around.describe(0, 0, 0) == "last ride on day 0, 0 rides, 0.00 to 10.00 spent"
    assert around.describe(7, 9, 900) == "last ride on day 7, 6 or more rides, 160.00 or more spent"
    assert around.describe(7, 2, 50).startswith("last ride on day 7, 2 rides")


def test_a_longer_window_is_cut_into_sevenths() -> None:
    around = surroundings([(90, 4, 80.0), (1, 1, 8.0)], Window(90, 180))
    assert around.edges[0] == [1, 13, 26, 39, 52, 65, 78]
    assert around.describe(80, 1, 8).startswith("last ride on day 78 to 90")
    assert around.similar(np.array([(85, 4, 80.0), (12, 1, 8.0), (13, 1, 8.0)])).tolist() == [
        1,
        1,
        0,
    ]


def test_nobody_is_like_a_customer_beyond_all_that_was_learnt_from() -> None:
    around = surroundings([(7, 4, 80.0)] * 300)
    beyond = np.array([(7, 4, 160.0), (7, 6, 80.0), (7, 10_000, 1e9)])
    assert around.similar(beyond).tolist() == [0, 0, 0]


@pytest.mark.parametrize("money", [0.0, 1e9])
def test_customers_who_spent_nothing_or_anything_have_a_cell(money: float) -> None:
    around = surroundings([(1, 1, money)] * 3)
    assert around.similar(np.array([(1, 1, money)])).tolist() == [3]
