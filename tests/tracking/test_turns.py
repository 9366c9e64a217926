"""Long work beside predictions: how much it writes at once, and who may write in between."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text

from clv.tracking import DatabaseRequestLog, Erased, Outcome, OutcomeStore, Recorded, prune, turns
from clv.tracking import writer as writing
from clv.tracking.tables import outcomes, requests
from clv.tracking.turns import CHUNK_ROWS
from tracking.promising import ASKED, DAY, TO_HORIZON, opened, request, send, sums, track

PASSENGERS = 2 * CHUNK_ROWS + 10
CHUNKS = 3
LATER = ASKED + 400 * DAY
SENT = [Outcome(number, 10.0 + number % 7) for number in range(PASSENGERS)]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = opened(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def one_day(engine: Engine) -> Engine:
    """Many predictions of one moment, as a batch has, each with two outcomes after another."""
    track(engine, [request(number, score_bin=1 + number % 3) for number in range(PASSENGERS)])
    send(engine, ASKED + TO_HORIZON, *SENT[::2])
    return engine


@contextmanager
def transactions(engine: Engine) -> Iterator[list[Counter[str]]]:
    """How many rows each transaction wrote, by verb and table."""
    done: list[Counter[str]] = []
    now: Counter[str] = Counter()

    def wrote(_c: Any, cursor: Any, statement: str, _p: Any, _x: Any, _many: bool) -> None:  # noqa: FBT001
        words = statement.replace('"', "").split()
        if words[0] in ("INSERT", "DELETE"):
            now[f"{words[0]} {words[2]}"] += max(cursor.rowcount, 0)
        if words[0] == "UPDATE":
            now[f"UPDATE {words[1]}"] += max(cursor.rowcount, 0)

    def committed(_: Connection) -> None:
        if now:
            done.append(now.copy())
        now.clear()

    event.listen(engine, "after_cursor_execute", wrote)
    event.listen(engine, "commit", committed)
    yield done
    event.remove(engine, "after_cursor_execute", wrote)
    event.remove(engine, "commit", committed)


def test_no_transaction_of_outcomes_writes_more_than_a_chunk(one_day: Engine) -> None:
    with transactions(one_day) as done:
        found = OutcomeStore(one_day).record(SENT, ASKED + TO_HORIZON + DAY)
    assert found == Recorded(accepted=PASSENGERS // 2, unchanged=PASSENGERS - PASSENGERS // 2)
    assert len(done) == CHUNKS
    assert all(max(rows.values()) <= CHUNK_ROWS for rows in done)


def test_no_transaction_of_prune_deletes_more_than_a_chunk(one_day: Engine) -> None:
    with transactions(one_day) as done:
        assert prune(one_day, LATER).requests == PASSENGERS
    assert [rows["DELETE requests"] for rows in done][:CHUNKS] == [CHUNK_ROWS, CHUNK_ROWS, 10]
    assert all(max(rows.values()) <= CHUNK_ROWS for rows in done)


def test_outcomes_of_nobody_are_pruned_in_chunks(engine: Engine) -> None:
    send(engine, ASKED, *SENT)
    with transactions(engine) as done:
        assert prune(engine, LATER) == Erased(outcomes=PASSENGERS)
    assert [rows["DELETE outcomes"] for rows in done][:CHUNKS] == [CHUNK_ROWS, CHUNK_ROWS, 10]


def work_of(engine: Engine) -> dict[str, Callable[[], object]]:
    return {
        "outcomes": lambda: OutcomeStore(engine).record(SENT, ASKED + TO_HORIZON + DAY),
        "prune": lambda: prune(engine, LATER),
    }


@pytest.mark.parametrize("work", ["outcomes", "prune"])
def test_somebody_who_does_not_wait_at_all_can_write_between_two_chunks(
    work: str, one_day: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = create_engine(one_day.url)
    got_in = []

    def pause(_seconds: float) -> None:
        with hasty.begin() as connection:
            if hasty.dialect.name == "sqlite":
                connection.execute(text("PRAGMA busy_timeout = 0"))
            else:
                connection.execute(text("SET LOCAL lock_timeout = '1ms'"))
            values = request(-len(got_in) - 1, LATER + DAY)._asdict()
            connection.execute(requests.insert(), values)
        got_in.append(1)

    monkeypatch.setattr(turns.time, "sleep", pause)
    work_of(one_day)[work]()
    hasty.dispose()
    assert len(got_in) >= CHUNKS


def test_beside_predictions_the_pause_is_longer_than_the_work(
    one_day: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, slept = [0.0], []

    def pause(seconds: float) -> None:
        slept.append(round(seconds, 6))
        clock[0] += seconds
        if len(slept) == 3:  # a prediction comes
            track(one_day, [request(-1)])

    def a_second_each() -> float:
        clock[0] += 1.0
        return clock[0]

    monkeypatch.setattr(turns.time, "sleep", pause)
    monkeypatch.setattr(turns.time, "monotonic", a_second_each)
    turn_by_turn = turns.Turns(one_day)
    for _ in range(5):
        with turn_by_turn.turn():
            pass
    # Less the second until it looks at the clock: nothing is known of the first.
    assert slept == [0.0, 2.0, 0.0, 2.0, 0.0]


class Killed(BaseException):
    """Ends the work between two of its transactions."""


@contextmanager
def killed_after(chunks: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    left = [chunks]

    def pause(_seconds: float) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):  # noqa: PT012
        patched.setattr(turns.time, "sleep", pause)
        yield


def test_a_prune_that_is_killed_has_changed_no_figure_and_the_next_one_goes_on(
    one_day: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sums(one_day)
    with killed_after(2, monkeypatch):
        prune(one_day, LATER)
    with one_day.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(requests)) == 10
    assert_same(sums(one_day), before)
    assert prune(one_day, LATER).requests == 10
    assert_same({key: one for key, one in sums(one_day).items() if key[0]}, before)
    assert prune(one_day, LATER) == Erased()


def test_outcomes_that_are_killed_are_sent_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_after(2, monkeypatch):
        OutcomeStore(engine).record(SENT, ASKED)
    with engine.connect() as connection:
        kept = connection.scalar(select(func.count()).select_from(outcomes))
    assert kept == 2 * CHUNK_ROWS
    again = OutcomeStore(engine).record(SENT, ASKED + timedelta(hours=1))
    assert again == Recorded(accepted=10, unchanged=kept, unmatched=PASSENGERS)


def assert_same(found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, abs=1e-6)


def test_many_rows_are_cleared_some_at_a_time_and_later_ones_stay(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_ROWS_CLEARED", 10)
    send(engine, ASKED, *SENT[:25])

    async def scenario() -> int:
        log = DatabaseRequestLog(engine, queue_rows=1_000)
        await log.append([request(number) for number in range(35)])
        clearing = asyncio.create_task(log.clear())
        await asyncio.sleep(0)  # it is accepted
        await log.append([request(99)])
        cleared = await clearing
        assert await log.count(99) == 1
        with transactions(engine) as done:
            assert await log.clear() == 1
        assert len(done) == 1
        return cleared

    with transactions(engine) as done:
        assert asyncio.run(scenario()) == 35
    deleting = [rows for rows in done if any(verb.startswith("DELETE") for verb in rows)]
    assert all(sum(n for verb, n in rows.items() if verb.startswith("DELETE")) <= 10
               for rows in deleting)  # fmt: skip
