"""Predictions and outcomes for tests, and what their sums must be by plain Python."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from clv.tracking import (
    AMOUNTS,
    BY_OUTCOME,
    COUNTS,
    KEYS,
    DatabaseRequestLog,
    Outcome,
    OutcomeStore,
    Recorded,
    TrackedRequest,
    open_database,
    read_tracked,
    upgrade,
)

ASKED = datetime(2026, 1, 7, 3, 4, 5, 678901, tzinfo=UTC)  # a Wednesday
DAY = timedelta(days=1)
#: From a prediction on day 7 to the horizon on day 30.
TO_HORIZON = 23 * DAY


def opened(url: str) -> Engine:
    engine = open_database(url)
    upgrade(engine)
    return engine


def track(engine: Engine, rows: Sequence[TrackedRequest]) -> None:
    """Keep predictions as the service does."""

    async def append() -> None:
        log = DatabaseRequestLog(engine, 100_000)
        await log.append(rows)

    asyncio.run(append())


def request(passenger_id: int, asked: datetime = ASKED, **changes: Any) -> TrackedRequest:
    values = {
        "recency": 1,
        "frequency": 1,
        "monetary": 8.5,
        "predicted": 14.28,
        "expected_increment": 5.78,
        "p_return": 0.1593,
        "level": 0.9,
        "low": 8.5,
        "high": 26.11,
        "score_bin": 2,
        "in_support": True,
        "model_version": "3",
    }
    return TrackedRequest(passenger_id, requested_at=asked, **(values | changes))


def send(engine: Engine, now: datetime, *outcomes: Outcome) -> Recorded:
    return OutcomeStore(engine).record(outcomes, now)


def sums(engine: Engine) -> dict[tuple[Any, ...], dict[str, float]]:
    """By key, pruned and kept together."""
    found: dict[tuple[Any, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in read_tracked(engine, None, ASKED, {}).sums:
        values = row._mapping
        for name in (*COUNTS, *AMOUNTS):
            found[tuple(values[key] for key in KEYS)][name] += values[name]
    return {key: dict(values) for key, values in found.items()}


def judged(engine: Engine) -> list[float]:
    """Predictions that are held against an outcome."""
    return sorted(
        values["predicted"]
        for key, values in sums(engine).items()
        if key[1] == "" and key[3] and key[4] != BY_OUTCOME
    )


def band(increment: float) -> int:
    cents = round(increment * 100)
    if cents < 100:
        return int(cents / 10)
    for decade in range(9):
        least = 100 * 10**decade
        if cents < 10 * least:
            return 10 + 36 * decade + (cents - least) // (least // 4)
    return 10 + 36 * 9


def monday(moment: datetime) -> str:
    return (moment - moment.weekday() * DAY).date().isoformat()


def expected_sums(
    rows: Iterable[TrackedRequest], outcomes: dict[int, tuple[Outcome, datetime]]
) -> dict[tuple[Any, ...], dict[str, float]]:
    """The sums of `clv.tracking.promises`, from its description alone.

    `outcomes` holds what is in force of each passenger, and when it was known.
    """
    promises: dict[int, TrackedRequest] = {}
    for row in rows:
        outcome = outcomes.get(row.passenger_id)
        registered = outcome and outcome[0].registered_at
        in_window = not registered or (
            registered + 7 * DAY <= row.requested_at < registered + 30 * DAY
        )
        if row.source == "page" or not in_window:
            continue
        promises.setdefault(row.passenger_id, row)
    found: dict[tuple[Any, ...], dict[str, float]] = defaultdict(
        lambda: dict.fromkeys((*COUNTS, *AMOUNTS), 0.0)
    )
    for row in promises.values():
        outcome, known = outcomes.get(row.passenger_id, (None, ASKED))
        is_judged = False
        if outcome is not None:
            begin = outcome.registered_at
            horizon = begin + 30 * DAY if begin else row.requested_at + TO_HORIZON
            is_judged = known >= horizon
        said = [(row.model_version, "", row.predicted, row.p_return, row.low, row.high,
                 row.score_bin)]  # fmt: skip
        if row.challenger_version is not None:
            said.append((row.challenger_version, row.model_version, row.challenger_predicted,
                         row.challenger_p_return, row.challenger_low, row.challenger_high,
                         0))  # type: ignore[arg-type] # fmt: skip
        for version, beside, predicted, p, low, high, score_bin in said:
            week = monday(known) if is_judged else ""
            key = version, beside, monday(row.requested_at), week, score_bin
            _add(found[(*key, band(predicted - row.monetary))], row, predicted, p)
            sums_ = found[(*key, band(predicted - row.monetary))]
            if outcome is not None and not is_judged:
                sums_["early"] += 1
            if outcome is not None and is_judged:
                _judge(sums_, row, outcome, predicted, p, low, high)
        if outcome is not None and is_judged:
            came = max(outcome.monetary - row.monetary, 0.0)
            key = (row.model_version, "", monday(row.requested_at), monday(known), BY_OUTCOME)
            found[(*key, band(came))]["customers"] += 1
            found[(*key, band(came))]["actual_increment"] += came
    return dict(found)


def _add(sums_: dict[str, float], row: TrackedRequest, predicted: float, p: float) -> None:
    for name, value in {
        "customers": 1,
        "in_support": row.in_support,
        "spent": row.monetary,
        "predicted": predicted,
        "increment": predicted - row.monetary,
        "p_return": p,
        "p_variance": p * (1 - p),
        "level": row.level,
        "level_variance": row.level * (1 - row.level),
    }.items():
        sums_[name] += value


def _judge(
    sums_: dict[str, float],
    row: TrackedRequest,
    outcome: Outcome,
    predicted: float,
    p: float,
    low: float,
    high: float,
) -> None:
    returned = (
        outcome.monetary - row.monetary > 1e-6
        if outcome.rides is None
        else outcome.rides > row.frequency
    )
    difference = (outcome.monetary - predicted) ** 2 - (outcome.monetary - row.predicted) ** 2
    for name, value in {
        "actual": outcome.monetary,
        "actual_increment": max(outcome.monetary - row.monetary, 0.0),
        "squared_error": (outcome.monetary - predicted) ** 2,
        "absolute_error": abs(outcome.monetary - predicted),
        "squared_p_error": (p - returned) ** 2,
        "covered": low <= outcome.monetary <= high,
        "returned": returned,
        "difference": difference,
        "squared_difference": difference**2,
    }.items():
        sums_[name] += value
