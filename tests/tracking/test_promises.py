"""The sums that monitoring lives on, against plain Python; and what pruning must not change."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from clv.tracking import (
    Erased,
    Outcome,
    TrackedRequest,
    erase,
    export,
    prune,
    read_judged,
    read_tracked,
)
from clv.tracking.tables import outcome_history, outcomes, promise_sums, requests
from tracking.promising import (
    ASKED,
    DAY,
    TO_HORIZON,
    expected_sums,
    judged,
    monday,
    opened,
    request,
    send,
    sums,
    track,
)

LATER = ASKED + 400 * DAY
money = st.integers(0, 30_000).map(lambda cents: cents / 100)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = opened(database_url)
    yield engine
    engine.dispose()


@st.composite
def worlds(draw: Any) -> tuple[list[TrackedRequest], list[tuple[Outcome, int]]]:
    """Requests of a few passengers over some weeks, and outcomes with the day they are known."""
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        spent, increment = draw(money), draw(money)
        shadow = draw(st.booleans())
        low, high = sorted((draw(money), draw(money)))
        challenger = {
            "challenger_version": "9",
            "challenger_predicted": spent + draw(money),
            "challenger_p_return": 0.25,
            "challenger_low": low,
            "challenger_high": high + 10,
        }
        rows.append(
            request(
                draw(st.integers(1, 5)),
                ASKED + draw(st.integers(0, 60)) * DAY,
                monetary=spent,
                predicted=round(spent + increment, 2),
                expected_increment=increment,
                p_return=draw(st.integers(1, 9)) / 10,
                level=draw(st.sampled_from([0.8, 0.9])),
                low=low,
                high=high,
                score_bin=draw(st.integers(1, 3)),
                in_support=draw(st.booleans()),
                frequency=draw(st.integers(1, 3)),
                model_version=draw(st.sampled_from(["3", "4"])),
                source=draw(st.sampled_from(["api", "batch", "page"])),
                **(challenger if shadow else {}),
            )
        )
    rows.sort(key=lambda row: row.requested_at)
    known = []
    for passenger in draw(st.sets(st.integers(1, 6))):
        registered = draw(st.none() | st.integers(-30, 40))
        outcome = Outcome(
            passenger,
            draw(money),
            draw(st.none() | st.integers(0, 5)),
            None if registered is None else ASKED + registered * DAY,
        )
        known.append((outcome, draw(st.integers(40, 120))))
    return rows, known


def play(engine: Engine, world: Any) -> dict[int, tuple[Outcome, Any]]:
    """Into an emptied database; what is in force of each passenger, and since when."""
    rows, known = world
    with engine.begin() as connection:
        for table in (requests, outcomes, outcome_history, promise_sums):
            connection.execute(table.delete())
    track(engine, rows)
    for outcome, day in known:
        send(engine, ASKED + day * DAY, outcome)
    return {outcome.passenger_id: (outcome, ASKED + day * DAY) for outcome, day in known}


def assert_alike(found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, abs=1e-6), key


same_database = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)


@same_database
@given(world=worlds())
def test_the_sums_are_those_of_plain_python(engine: Engine, world: Any) -> None:
    known = play(engine, world)
    assert_alike(sums(engine), expected_sums(world[0], known))


@same_database
@given(world=worlds(), days=st.lists(st.integers(0, 130), max_size=3))
def test_pruning_changes_no_figure(engine: Engine, world: Any, days: list[int]) -> None:
    play(engine, world)
    before, counted = sums(engine), read_tracked(engine, None, ASKED, {}).outcomes
    for day in sorted(days):
        prune(engine, ASKED + day * DAY)
        after = {key: values for key, values in sums(engine).items() if key[0] != ""}
        assert_alike(after, before)
        now = read_tracked(engine, None, ASKED, {}).outcomes
        assert (now.judged, now.early, now.unmatched) == (
            counted.judged,
            counted.early,
            counted.unmatched,
        )
    if days and max(days) > 121:
        with engine.connect() as connection:
            for table in (requests, outcomes, outcome_history):
                assert connection.execute(select(table)).all() == []


@same_database
@given(world=worlds())
def test_who_was_erased_might_never_have_been(engine: Engine, world: Any) -> None:
    known = play(engine, world)
    erase(engine, 1)
    del_rows = [row for row in world[0] if row.passenger_id != 1]
    known.pop(1, None)
    assert_alike(sums(engine), expected_sums(del_rows, known))
    assert export(engine, 1) == {"requests": [], "outcomes": [], "outcome_history": []}


def test_a_later_prediction_does_not_take_the_place_of_one_that_was_pruned(
    engine: Engine,
) -> None:
    track(engine, [request(1), request(1, ASKED + 40 * DAY, predicted=99.0)])
    send(engine, ASKED + TO_HORIZON, Outcome(1, 20.0))
    gone = prune(engine, ASKED + 30 * DAY)
    assert gone == Erased(requests=1, outcomes=1)
    # Its outcome again is nobody's: who was promised something has been counted.
    assert send(engine, LATER, Outcome(1, 20.0)).unmatched == 1
    assert judged(engine) == [14.28]
    assert prune(engine, LATER).requests == 1
    assert judged(engine) == [14.28]


def test_pruning_again_does_nothing_and_newer_rows_stay(engine: Engine) -> None:
    track(engine, [request(number, ASKED + number * DAY) for number in range(10)])
    told: list[int] = []
    assert prune(engine, ASKED + 5 * DAY, told.append) == Erased(requests=5)
    assert told == [5]
    assert prune(engine, ASKED + 5 * DAY) == Erased()
    with engine.connect() as connection:
        kept = connection.execute(select(requests.c.passenger_id).order_by(requests.c.id))
        assert list(kept.scalars()) == [5, 6, 7, 8, 9]


def test_outcomes_that_nobody_was_asked_about_are_pruned_and_still_counted(
    engine: Engine,
) -> None:
    send(engine, ASKED, Outcome(7, 1.0), Outcome(8, 1.0))
    send(engine, ASKED + 50 * DAY, Outcome(9, 1.0))
    assert prune(engine, ASKED + 40 * DAY) == Erased(outcomes=2)
    assert read_tracked(engine, None, ASKED, {}).outcomes.unmatched == 3


def test_all_that_is_kept_of_a_passenger_is_exported(engine: Engine) -> None:
    track(engine, [request(1), request(1, ASKED + DAY), request(2)])
    send(engine, ASKED + TO_HORIZON, Outcome(1, 20.0), Outcome(1, 21.0))
    found = export(engine, 1)
    assert [row["predicted"] for row in found["requests"]] == [14.28, 14.28]
    assert [row["monetary"] for row in found["outcomes"]] == [21.0]
    assert [row["monetary"] for row in found["outcome_history"]] == [20.0]
    assert erase(engine, 1) == Erased(requests=2, outcomes=1, corrections=1)
    assert erase(engine, 1) == Erased()
    assert len(export(engine, 2)["requests"]) == 1


def test_what_was_erased_is_not_in_the_file_any_more(
    new_database: Callable[[str], str], tmp_path: Any
) -> None:
    engine = opened(new_database("sqlite"))
    track(engine, [request(1, model_version="a-secret-of-theirs"), request(2)])
    erase(engine, 1)
    folder = next(tmp_path.rglob("tracking-*.sqlite")).parent
    engine.dispose()
    assert not any(b"a-secret-of-theirs" in file.read_bytes() for file in folder.iterdir())


def test_how_those_of_late_are_distributed(engine: Engine) -> None:
    old = [request(number, ASKED - 40 * DAY, monetary=500.0) for number in range(3)]
    again = [request(3, ASKED + timedelta(hours=1), monetary=500.0)]
    new = [request(3 + number, monetary=10.0 * number, recency=number) for number in range(5)]
    other = [request(50, model_version="4")]
    odd = [request(60, in_support=False, frequency=0, recency=2)]
    track(engine, [*old, *new, *again, *other, *odd])
    found = read_tracked(
        engine, "3", ASKED - 28 * DAY, {"monetary": (10.0, 20.0), "recency": (2.0,)}
    ).spread
    assert found.customers == 6
    # (10, 20] and beyond: 0, 8.5, 10 | 20 | 30, 40
    assert found.counts == {"monetary": (3, 1, 2), "recency": (4, 2)}
    # The first of them has money and rides without a day of the last ride.
    assert (found.out_of_support, found.impossible) == (1, 2)


def test_what_can_be_learnt_from_is_what_was_judged(engine: Engine) -> None:
    track(engine, [request(1), request(2), request(3, monetary=9.0)])
    registered = ASKED - 8 * DAY
    send(engine, ASKED + TO_HORIZON, Outcome(1, 20.0), Outcome(2, 5.0, 2, registered))
    found = read_judged(engine)
    assert found.ids.tolist() == [1, 2]
    assert found.activity.tolist() == [[1, 1, 8.5], [1, 1, 8.5]]
    assert found.outcome.tolist() == [20.0, 5.0]
    assert str(found.rides.tolist()) == "[nan, 2.0]"
    assert found.registered_at[1].item().date() == registered.date()
    assert found.registered_at[0].item().date() == (ASKED - 7 * DAY).date()
    assert monday(found.known_at[0].item()) == monday(ASKED + TO_HORIZON)
    assert len(read_judged(opened_empty(engine))) == 0


def opened_empty(engine: Engine) -> Engine:
    with engine.begin() as connection:
        connection.execute(outcomes.delete())
    return engine
