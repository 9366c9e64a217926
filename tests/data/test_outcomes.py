"""Which outcomes of one customer contradict each other."""

from datetime import UTC, datetime

import numpy as np
import pytest

from clv.data.outcomes import contradictory

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAN, NAT = float("nan"), None


def found(*outcomes: tuple[int, float, float, str | None, str | None]) -> list[list[int]]:
    ids, monetary, rides, registered_at, as_of = zip(*outcomes, strict=True)
    groups = contradictory(
        np.array(ids, np.int64),
        np.array(monetary),
        np.array(rides),
        np.array(registered_at, "datetime64[us]"),
        np.array(as_of, "datetime64[us]"),
        NOW,
    )
    return [group.tolist() for group in groups]


@pytest.mark.parametrize(
    ("one", "other", "contradicts"),
    [
        ((1, 10.0, NAN, NAT, NAT), (1, 12.0, NAN, NAT, NAT), True),
        ((1, 10.0, NAN, NAT, NAT), (1, 10.0, NAN, NAT, NAT), False),
        ((1, 10.0, NAN, NAT, NAT), (2, 12.0, NAN, NAT, NAT), False),
        ((1, 10.0, NAN, NAT, "2026-02-01"), (1, 12.0, NAN, NAT, "2026-02-01"), True),
        ((1, 10.0, NAN, NAT, "2026-02-01"), (1, 12.0, NAN, NAT, "2026-02-02"), False),
        ((1, 10.0, NAN, NAT, "2026-02-01"), (1, 12.0, NAN, NAT, NAT), False),
        ((1, 10.0, NAN, NAT, "2026-03-01T12:00"), (1, 12.0, NAN, NAT, NAT), True),
        ((1, 10.0, 3.0, NAT, NAT), (1, 10.0, 4.0, NAT, NAT), True),
        # What is not said contradicts nothing.
        ((1, 10.0, 3.0, NAT, NAT), (1, 10.0, NAN, "2026-01-01", NAT), False),
        ((1, 10.0, NAN, "2026-01-02", NAT), (1, 10.0, NAN, "2026-01-01", NAT), True),
    ],
)
def test_two_outcomes_contradict_each_other_if_both_cannot_be_true(
    one: tuple, other: tuple, *, contradicts: bool
) -> None:
    others = [(number, 5.0, NAN, NAT, NAT) for number in range(10, 14)]
    assert found(one, *others, other) == ([[0, 5]] if contradicts else [])
    assert found(other, one) == ([[0, 1]] if contradicts else [])


def test_each_customer_is_named_once_with_all_positions() -> None:
    rows = [(7, 1.0, NAN, NAT, NAT), (3, 1.0, NAN, NAT, NAT), (7, 1.0, 2.0, NAT, NAT),
            (3, 2.0, NAN, NAT, NAT), (7, 1.0, 3.0, NAT, NAT), (5, 1.0, NAN, NAT, NAT)]  # fmt: skip
    assert found(*rows) == [[0, 2, 4], [1, 3]]
