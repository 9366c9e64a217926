"""What becomes of outcomes, however they are sent; on SQLite and on PostgreSQL."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from clv.tracking import Outcome, OutcomeStore, Recorded, read_tracked
from clv.tracking.tables import outcome_history, outcomes
from tracking.promising import ASKED, DAY, TO_HORIZON, judged, opened, request, send, track

DUE = ASKED + TO_HORIZON


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = opened(database_url)
    yield engine
    engine.dispose()


def in_force(engine: Engine) -> dict[int, float]:
    with engine.connect() as connection:
        rows = connection.execute(select(outcomes.c.passenger_id, outcomes.c.monetary))
        return dict(map(tuple, rows))


def history(engine: Engine) -> list[tuple[int, float]]:
    with engine.connect() as connection:
        query = select(outcome_history.c.passenger_id, outcome_history.c.monetary)
        return [tuple(row) for row in connection.execute(query.order_by(outcome_history.c.id))]


def test_an_outcome_is_held_against_the_prediction_of_its_passenger(engine: Engine) -> None:
    track(engine, [request(1), request(2, predicted=20.0)])
    assert send(engine, DUE, Outcome(1, 31.5)) == Recorded(accepted=1)
    assert judged(engine) == [14.28]


def test_the_same_outcome_twice_changes_nothing(engine: Engine) -> None:
    track(engine, [request(1)])
    send(engine, DUE, Outcome(1, 31.5))
    before = read_tracked(engine, None, ASKED, {})
    assert send(engine, DUE + 9 * DAY, Outcome(1, 31.5)) == Recorded(unchanged=1)
    assert send(engine, DUE + 9 * DAY, Outcome(1, 31.5)) == Recorded(unchanged=1)
    # Nor does it move to a later week of known outcomes: the alarm goes by those.
    assert read_tracked(engine, None, ASKED, {}) == before
    assert history(engine) == []


def test_a_correction_takes_the_place_of_what_was_known_which_is_kept(engine: Engine) -> None:
    track(engine, [request(1)])
    send(engine, DUE, Outcome(1, 31.5))
    assert send(engine, DUE + DAY, Outcome(1, 30.0)) == Recorded(corrected=1)
    assert send(engine, DUE + 2 * DAY, Outcome(1, 29.0)) == Recorded(corrected=1)
    assert in_force(engine) == {1: 29.0}
    assert history(engine) == [(1, 31.5), (1, 30.0)]
    assert judged(engine) == [14.28]
    assert read_tracked(engine, None, ASKED, {}).outcomes.corrections == 2


def test_out_of_order_what_was_drawn_up_last_is_in_force(engine: Engine) -> None:
    track(engine, [request(1)])
    newer, older = Outcome(1, 31.5, as_of=DUE + 5 * DAY), Outcome(1, 28.0, as_of=DUE + DAY)
    assert send(engine, DUE + 6 * DAY, newer) == Recorded(accepted=1)
    assert send(engine, DUE + 7 * DAY, older) == Recorded(outdated=1)
    assert in_force(engine) == {1: 31.5}
    assert history(engine) == [(1, 28.0)]


def test_two_outcomes_of_a_passenger_in_one_message_go_in_their_order(engine: Engine) -> None:
    track(engine, [request(1)])
    assert send(engine, DUE, Outcome(1, 31.5), Outcome(1, 30.0)) == Recorded(1, corrected=1)
    assert in_force(engine) == {1: 30.0}


def test_of_an_unknown_passenger_it_is_kept_and_counted(engine: Engine) -> None:
    assert send(engine, DUE, Outcome(77, 5.0)) == Recorded(accepted=1, unmatched=1)
    assert in_force(engine) == {77: 5.0}
    assert read_tracked(engine, None, ASKED, {}).outcomes.unmatched == 1


def test_before_the_horizon_it_does_not_count_until_it_is_sent_again(engine: Engine) -> None:
    track(engine, [request(1)])
    early = DUE - timedelta(microseconds=1)
    assert send(engine, early, Outcome(1, 20.0)) == Recorded(accepted=1, early=1)
    assert judged(engine) == []
    counts = read_tracked(engine, None, ASKED, {}).outcomes
    assert (counts.judged, counts.early, counts.unmatched) == (0, 1, 0)
    # Also where the amount has not changed since.
    assert send(engine, DUE, Outcome(1, 20.0)) == Recorded(unchanged=1)
    assert judged(engine) == [14.28]


def test_a_correction_of_an_early_outcome_counts(engine: Engine) -> None:
    track(engine, [request(1)])
    send(engine, DUE - DAY, Outcome(1, 20.0))
    assert send(engine, DUE, Outcome(1, 24.0)) == Recorded(corrected=1)
    assert judged(engine) == [14.28]


def test_of_fifty_predictions_of_a_passenger_the_first_counts(engine: Engine) -> None:
    track(engine, [request(1, ASKED + day * DAY, predicted=20.0 + day) for day in range(50)])
    assert send(engine, ASKED + 90 * DAY, Outcome(1, 31.5)) == Recorded(accepted=1)
    assert judged(engine) == [20.0]


def test_where_registration_is_known_the_first_prediction_in_the_window_counts(
    engine: Engine,
) -> None:
    registered = ASKED
    asked = (0, 6.9, 7, 20, 29.9, 30, 40)  # days after registration
    track(engine, [request(1, registered + day * DAY, predicted=20 + day) for day in asked])
    late = registered + 60 * DAY
    assert send(engine, late, Outcome(1, 31.5, registered_at=registered)) == Recorded(accepted=1)
    assert judged(engine) == [27.0]


def test_a_prediction_out_of_the_window_is_no_promise(engine: Engine) -> None:
    track(engine, [request(1, ASKED + 31 * DAY)])
    late = ASKED + 90 * DAY
    sent = send(engine, late, Outcome(1, 31.5, registered_at=ASKED))
    assert sent == Recorded(accepted=1, unmatched=1)
    assert judged(engine) == []


def test_with_registration_the_horizon_is_known_to_the_moment(engine: Engine) -> None:
    # Asked on day 20: the horizon is ten days later, not 23.
    registered = ASKED - 20 * DAY
    track(engine, [request(1)])
    horizon = registered + 30 * DAY
    just_before = Outcome(1, 20.0, registered_at=registered)
    assert send(engine, horizon - timedelta(microseconds=1), just_before).early == 1
    assert send(engine, horizon, just_before) == Recorded(unchanged=1)
    assert judged(engine) == [14.28]


def test_who_is_asked_about_after_the_outcome_was_promised_nothing(engine: Engine) -> None:
    send(engine, ASKED - DAY, Outcome(1, 31.5))
    track(engine, [request(1)])
    assert judged(engine) == []
    assert send(engine, DUE, Outcome(1, 31.5)) == Recorded(unchanged=1)
    assert judged(engine) == [14.28]


def test_rides_tell_who_returned_where_money_does_not(engine: Engine) -> None:
    track(engine, [request(1), request(2)])
    send(engine, DUE, Outcome(1, 8.5, rides=3), Outcome(2, 20.0, rides=1))
    # The same amount again, without rides, forgets nothing.
    assert send(engine, DUE, Outcome(1, 8.5)) == Recorded(unchanged=1)
    rows = read_tracked(engine, None, ASKED, {}).sums
    assert sum(row.returned for row in rows) == 1


def test_a_refusal_in_the_middle_keeps_none(engine: Engine) -> None:
    too_large = Outcome(2, 1.0, rides=2**70)
    with pytest.raises(Exception, match=r"(?i)int|out of range|refused"):
        send(engine, DUE, Outcome(1, 31.5), too_large)
    assert in_force(engine) == {}


def test_many_at_once_from_several_senders_are_neither_lost_nor_doubled(engine: Engine) -> None:
    track(engine, [request(number) for number in range(300)])
    store, found = OutcomeStore(engine), []

    def sender(first: int) -> None:
        for begin in range(first, first + 200, 50):
            sent = [Outcome(number % 300, 10.0) for number in range(begin, begin + 50)]
            found.append(store.record(sent, DUE))

    threads = [threading.Thread(target=sender, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(found, Recorded())
    assert (total.accepted, total.unchanged) == (300, 300)
    assert len(in_force(engine)) == 300
    assert read_tracked(engine, None, ASKED, {}).outcomes.judged == 300


def test_more_ids_than_a_statement_takes(engine: Engine) -> None:
    sent = [Outcome(number, 1.0) for number in range(12_000)]
    assert send(engine, DUE, *sent) == Recorded(accepted=12_000, unmatched=12_000)
