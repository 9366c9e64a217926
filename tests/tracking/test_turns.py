"""Long work beside predictions: how much it writes at once, and who may write in between."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text

from clv.tracking import (
    DatabaseRequestLog,
    Erased,
    Outcome,
    OutcomeStore,
    Recorded,
    keeping,
    prune,
    turns,
)
from clv.tracking import writer as writing
from clv.tracking.tables import outcomes, requests
from clv.tracking.turns import CHUNK_ROWS, GROWTH
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


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prune as few at a time as outcomes are stored, so that few rows are many chunks."""
    monkeypatch.setattr(keeping, "_PRUNED_ROWS", CHUNK_ROWS)


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


def without_a_clock(
    monkeypatch: pytest.MonkeyPatch, in_a_pause: Callable[[], object] = lambda: None
) -> None:
    """Neither transactions nor pauses take any time; something may happen in each pause."""
    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda _seconds: in_a_pause())
    monkeypatch.setattr(turns, "time", clock)


@pytest.fixture
def beside_predictions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another process stores a prediction in each pause."""
    other, stored = create_engine(engine.url), []

    def predict() -> None:
        with other.begin() as connection:
            values = request(-len(stored) - 1, LATER + DAY)._asdict()
            connection.execute(requests.insert(), values)
        stored.append(1)

    without_a_clock(monkeypatch, predict)
    yield
    other.dispose()


@pytest.mark.usefixtures("beside_predictions")
def test_no_transaction_of_outcomes_writes_more_than_a_chunk(one_day: Engine) -> None:
    with transactions(one_day) as done:
        found = OutcomeStore(one_day).record(SENT, ASKED + TO_HORIZON + DAY)
    assert found == Recorded(accepted=PASSENGERS // 2, unchanged=PASSENGERS - PASSENGERS // 2)
    assert len(done) == CHUNKS
    assert all(max(rows.values()) <= CHUNK_ROWS for rows in done)


@pytest.mark.usefixtures("beside_predictions")
def test_no_transaction_of_prune_deletes_more_than_a_chunk(one_day: Engine) -> None:
    with transactions(one_day) as done:
        assert prune(one_day, LATER).requests == PASSENGERS
    assert [rows["DELETE requests"] for rows in done][:CHUNKS] == [CHUNK_ROWS, CHUNK_ROWS, 10]
    assert all(max(rows.values()) <= CHUNK_ROWS for rows in done)


@pytest.mark.usefixtures("beside_predictions")
def test_outcomes_of_nobody_are_pruned_in_chunks(engine: Engine) -> None:
    with pytest.MonkeyPatch.context() as patched:
        without_a_clock(patched)
        send(engine, ASKED, *SENT)
    with transactions(engine) as done:
        assert prune(engine, LATER) == Erased(outcomes=PASSENGERS)
    assert [rows["DELETE outcomes"] for rows in done][:CHUNKS] == [CHUNK_ROWS, CHUNK_ROWS, 10]


def test_alone_each_transaction_may_write_twice_as_much_as_the_one_before(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_clock(monkeypatch)
    sent = [Outcome(number, 10.0) for number in range(8 * CHUNK_ROWS)]
    with transactions(engine) as done:
        OutcomeStore(engine).record(sent, ASKED)
    chunks = [CHUNK_ROWS, 2 * CHUNK_ROWS, 4 * CHUNK_ROWS, CHUNK_ROWS]
    assert [rows["INSERT outcomes"] for rows in done] == chunks
    with transactions(engine) as done:
        assert prune(engine, LATER).outcomes == len(sent)
    assert [rows["DELETE outcomes"] for rows in done if rows["DELETE outcomes"]] == [
        # The first turn found no prediction to prune.
        2 * CHUNK_ROWS,
        4 * CHUNK_ROWS,
        2 * CHUNK_ROWS,
    ]


def rows_of(turn_by_turn: turns.Turns, count: int) -> list[int]:
    rows = []
    for _ in range(count):
        with turn_by_turn.turn() as turn:
            rows.append(turn.rows)
    return rows


def test_transactions_grow_up_to_a_limit_and_are_short_at_once_after_a_prediction(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_clock(monkeypatch)
    turn_by_turn = turns.Turns(engine, 10)
    assert rows_of(turn_by_turn, 7) == [10, 20, 40, 80, 160, 160, 160]
    assert GROWTH == 16
    track(engine, [request(1)])
    assert rows_of(turn_by_turn, 3) == [10, 20, 40]
    with turn_by_turn.turn():
        if engine.dialect.name == "postgresql":  # SQLite has one writer at a time
            track(engine, [request(2)])
    if engine.dialect.name == "sqlite":
        track(engine, [request(2)])
    assert rows_of(turn_by_turn, 2) == [10, 20]


def test_transactions_that_take_long_become_shorter(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0, 0, 0.1, 0.2, 0.2, 0.3, 0.4, 0.4, 0.8, 1, 1, 1.4, 2, 2, 2.1, 3, 3, 3.1])
    clock = SimpleNamespace(monotonic=lambda: next(times), sleep=lambda _seconds: None)
    monkeypatch.setattr(turns, "time", clock)
    # The third and the fourth take 0.4 s; it is not known before how long one will take.
    assert rows_of(turns.Turns(engine, 10), 6) == [10, 20, 40, 20, 10, 20]


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
    with killed_after(1, monkeypatch):
        prune(one_day, LATER)
    left = PASSENGERS - CHUNK_ROWS
    with one_day.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(requests)) == left
    assert_same(sums(one_day), before)
    assert prune(one_day, LATER).requests == left
    assert_same({key: one for key, one in sums(one_day).items() if key[0]}, before)
    assert prune(one_day, LATER) == Erased()


def test_outcomes_that_are_killed_are_sent_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_after(1, monkeypatch):
        OutcomeStore(engine).record(SENT, ASKED)
    with engine.connect() as connection:
        kept = connection.scalar(select(func.count()).select_from(outcomes))
    assert kept == CHUNK_ROWS
    again = OutcomeStore(engine).record(SENT, ASKED + timedelta(hours=1))
    assert again == Recorded(PASSENGERS - kept, unchanged=kept, unmatched=PASSENGERS)


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
