"""What a marketing team takes for granted of any prediction, on random rows, as it is served."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.bundle import MAX_LEVEL, MIN_LEVEL, Predictor
from clv.schema import Activity

LAW = settings(max_examples=300)
AMOUNTS = st.one_of(st.integers(0, 100_000).map(lambda cents: cents / 100), st.floats(0, 1e5))
RIDERS = st.tuples(st.integers(1, 7), st.integers(1, 60), AMOUNTS)
PASSENGERS = st.one_of(st.just((0, 0, 0.0)), RIDERS)
LEVELS = st.floats(MIN_LEVEL, MAX_LEVEL)
# Trees are summed: where one of them falls as another rises the last digit is noise.
NOISE = 1e-12


@LAW
@given(RIDERS, AMOUNTS)
def test_spending_more_never_lowers_the_expected_increment(
    predictor: Predictor, rider: tuple[int, int, float], extra: float
) -> None:
    recency, frequency, monetary = rider
    poorer = predictor.predict_one(recency, frequency, monetary)
    richer = predictor.predict_one(recency, frequency, monetary + extra)
    assert richer.expected_increment >= poorer.expected_increment * (1 - NOISE)
    assert richer.score_bin >= poorer.score_bin or richer.expected_increment < (
        poorer.expected_increment
    )


@LAW
@given(RIDERS, st.integers(1, 7))
def test_riding_later_lowers_neither_the_expected_increment_nor_the_chance_of_return(
    predictor: Predictor, rider: tuple[int, int, float], day: int
) -> None:
    recency, frequency, monetary = rider
    earlier = predictor.predict_one(min(recency, day), frequency, monetary)
    later = predictor.predict_one(max(recency, day), frequency, monetary)
    assert later.expected_increment >= earlier.expected_increment * (1 - NOISE)
    assert later.p_return >= earlier.p_return * (1 - NOISE)


@LAW
@given(PASSENGERS, LEVELS)
def test_all_that_is_said_of_one_passenger_fits_together(
    predictor: Predictor, passenger: tuple[int, int, float], level: float
) -> None:
    spent = passenger[2]
    said = predictor.predict_one(*passenger, level=level)
    assert said.monetary == spent + said.expected_increment
    assert said.expected_increment >= 0
    assert 0 < said.p_return < 1
    assert 0 <= said.low <= said.high
    assert said.low <= spent
    assert said.level == level
    assert 1 <= said.score_bin <= len(predictor.calibration.bins)
    assert said.in_support == (said.similar >= predictor.surroundings.needed)


def test_there_is_no_expected_increment_without_a_chance_of_return(predictor: Predictor) -> None:
    grid = np.stack(
        np.meshgrid(np.arange(1.0, 8), np.arange(1.0, 30), np.geomspace(0.5, 5_000, 60)), axis=-1
    ).reshape(-1, 3)
    said = predictor.predict(Activity(*grid.T.copy()))
    assert (said.p_return[said.expected_increment > 0] > 0).all()
    # Who is expected to bring more than a coin comes back in one case of a hundred at least.
    assert (said.p_return[said.expected_increment > 1] > 0.01).all()


@settings(max_examples=50)
@given(st.lists(PASSENGERS, min_size=1, max_size=40), LEVELS)
def test_a_passenger_is_answered_alike_alone_and_among_others(
    predictor: Predictor, passengers: list[tuple[int, int, float]], level: float
) -> None:
    many = predictor.predict(Activity.of(*zip(*passengers, strict=True)), level=level)
    assert len(many) == len(passengers)
    for row, passenger in enumerate(passengers):
        alone = predictor.predict_one(*passenger, level=level)
        assert many[row] == alone


def test_who_is_out_of_support_is_told_why(predictor: Predictor) -> None:
    said = predictor.predict_one(2, 60, 4_000)
    assert not said.in_support
    why = predictor.why_out_of_support(2, 60, 4_000)
    assert why.startswith(
        f"{said.similar} training customers were like this one (last ride on day 2"
    )
    assert "at least 20 are needed" in why
    assert predictor.predict_one(1, 1, 15).in_support
