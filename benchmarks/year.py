"""A year of passengers played through the running system, at the speed of the machine.

The real service answers over HTTP, with a clock that we set: each Monday it is asked about the
passengers of a week, gets the outcomes that have become known (late, and not all of them), and is
looked at; where it raises an alarm, `retrain` runs as cron would run it. In month 7 passengers
begin to behave otherwise: fewer return, fares are higher.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa

from benchmarks.http import serving
from clv.data.checks import read_history
from clv.data.sample import write_sample
from clv.data.simulate import SampleModel, simulate
from clv.data.sources import open_source
from clv.registry import open_registry
from clv.schema import Window
from clv.settings import Settings
from clv.tracking import open_database, upgrade
from clv.training import Retraining, release, retrain, train

__all__ = ["CHANGED", "Plan", "Week", "Year", "cohorts", "play", "running", "trained"]

#: Half of those who might return do not, and a ride costs a fifth more.
CHANGED = SampleModel(dropout_a=3.0, mean_fare=24.5)
_WEEK = timedelta(days=7)
# Weeks from prediction to outcome, and the shares of passengers who wait so long; the others'
# outcomes are never sent.
_DELAYS = ((4, 0.55), (5, 0.15), (6, 0.10))
_BATCH = 10_000
_SIMULATED = 20_000

# `clv` whose clock is a file that we write. It is patched before anybody imports it.
_CLV = """
import datetime, pathlib, sys, clv.clock
file = pathlib.Path({clock!r})
clv.clock.utc_now = lambda: datetime.datetime.fromisoformat(file.read_text())
sys.argv[0] = "clv"
from clv.cli import main
main()
"""


@dataclass(frozen=True)
class Plan:
    """What is played: `changes_in` is the first week of other behaviour, counted from 0."""

    weeks: int = 52
    passengers: int = 6_000
    changes_in: int | None = 26
    seed: int = 1
    starts: datetime = datetime(2026, 1, 5, 6, tzinfo=UTC)
    trained_on: int = 20_000


@dataclass(frozen=True)
class Week:
    """What was seen at the end of a week."""

    monday: date
    champion: str
    alarms: tuple[str, ...]
    evidence: float
    retraining: Retraining | None


@dataclass
class Year:
    """What came of a plan; `last` is what `GET /api/monitoring` said at the end."""

    plan: Plan
    weeks: list[Week] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def first(self, kind: str) -> int | None:
        """The first week with an alarm of this kind."""
        return next((at for at, week in enumerate(self.weeks) if kind in week.alarms), None)

    def promoted(self) -> int | None:
        """The first week after which another version served."""
        return next(
            (
                at
                for at, week in enumerate(self.weeks)
                if week.retraining and week.retraining.decision == "promoted"
            ),
            None,
        )

    def bias(self, version: str, begin: int, end: int) -> float:
        """Promised over actual spend, less 1, of what a version said in some weeks."""
        told = next(one for one in self.last["versions"] if one["version"] == version)
        first, last = (
            (self.plan.starts + week * _WEEK).date().isoformat() for week in (begin, end)
        )
        rows = [
            row["quality"]
            for row in told["cohorts"]
            if first <= row["cohort"] < last and row["quality"]["judged"]
        ]
        promised = sum(row["judged"] * row["predicted"] for row in rows)
        came = sum(row["judged"] * row["actual"] for row in rows)
        return promised / came - 1 if came else float("nan")


def cohorts(plan: Plan) -> Iterator[Any]:
    """The activity tables of each week's passengers, outcomes included."""
    kinds = {False: SampleModel(), True: CHANGED}
    left: dict[bool, Any] = {}
    drawn = {False: 0, True: 0}
    for week in range(plan.weeks):
        changed = plan.changes_in is not None and week >= plan.changes_in
        table = left.get(changed)
        while table is None or table.num_rows < plan.passengers:
            # Another seed a chunk: each is drawn whole, whatever was taken of the one before.
            seed = 1_000_000 * plan.seed + 2 * drawn[changed] + changed
            more = next(iter(simulate(_SIMULATED, seed=seed, model=kinds[changed]))).activity
            drawn[changed] += 1
            table = more if table is None else pa.concat_tables([table, more])
        yield table.slice(0, plan.passengers)
        left[changed] = table.slice(plan.passengers)


def play(plan: Plan, home: Path, learn: Any = train) -> Year:
    """Play a plan in a home that holds a champion."""
    year = Year(plan)
    began = time.perf_counter()
    with running(home, plan.starts) as system:
        due: dict[int, list[dict[str, Any]]] = {}
        rng = np.random.default_rng(plan.seed)
        for week, table in enumerate(cohorts(plan)):
            now = plan.starts + week * _WEEK
            system.set_clock(now)
            first = week * plan.passengers
            system.predict(first, table)
            for outcome, delay in _with_delays(first, table, rng):
                due.setdefault(week + delay, []).append(outcome)
            system.send(due.pop(week, []))
            year.weeks.append(_look(system, home, now, learn))
        year.last = system.look()
    year.seconds = time.perf_counter() - began
    return year


def _look(system: "System", home: Path, now: datetime, learn: Any) -> Week:
    seen = system.look()
    alarms = tuple(sorted({alarm["kind"] for alarm in seen["alarms"]}))
    serving_now = [one for one in seen["versions"] if one["is_champion"]]
    evidence = serving_now[0]["bias"]["evidence"] if serving_now else []
    done = None
    if {"bias", "coverage"} & set(alarms):
        done = system.retrain(home, now, learn)
    return Week(now.date(), seen["champion"], alarms, max([0.0, *evidence]), done)


def _with_delays(
    first: int, table: Any, rng: np.random.Generator
) -> Iterator[tuple[dict[str, Any], int]]:
    """Each passenger's outcome and after how many weeks it is known, if ever."""
    spent = table.column("monetary_value_30").to_pylist()
    rides = table.column("frequency_30").to_pylist()
    weeks, shares = zip(*_DELAYS, strict=True)
    upto = np.cumsum(shares)
    delays = np.searchsorted(upto, rng.random(table.num_rows)).tolist()
    for row, delay in enumerate(delays):
        if delay < len(weeks):
            outcome = {"id": first + row, "monetary_30": spent[row], "frequency_30": rides[row]}
            yield outcome, weeks[delay]


@dataclass(frozen=True)
class System:
    """The running service, its clock and what works beside it."""

    client: httpx.Client
    clock: Path
    settings: Settings

    def set_clock(self, now: datetime) -> None:
        part = self.clock.with_suffix(".part")
        part.write_text(now.isoformat())
        part.replace(self.clock)

    def predict(self, first: int, table: Any) -> None:
        columns = ("recency_7", "frequency_7", "monetary_value_7")
        values = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
        passengers = [
            {"id": first + row, "recency_7": recency, "frequency_7": rides, "monetary_7": money}
            for row, (recency, rides, money) in enumerate(values)
        ]
        for begin in range(0, len(passengers), _BATCH):
            body = {"passengers": passengers[begin : begin + _BATCH]}
            self._post("/api/predict/batch", body)

    def send(self, outcomes: list[dict[str, Any]]) -> None:
        for begin in range(0, len(outcomes), _BATCH):
            self._post("/api/outcomes", {"outcomes": outcomes[begin : begin + _BATCH]})

    def look(self) -> dict[str, Any]:
        answer = self.client.get("/api/monitoring")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def retrain(self, home: Path, now: datetime, learn: Any) -> Retraining:
        """As `clv retrain --if-alarm` does; waits until the service has the new champion."""
        engine = open_database(self.settings.tracking_url)
        try:
            upgrade(engine)
            registry = open_registry(self.settings)
            done = retrain(engine, registry, home, now=now, only_if_alarmed=True, learn=learn)
        finally:
            engine.dispose()
        champion = registry.champion()
        while self.client.get("/ready").json().get("model_version") != champion:
            time.sleep(0.05)
        return done

    def _post(self, path: str, body: dict[str, Any]) -> None:
        self.client.post(path, json=body).raise_for_status()


@contextmanager
def running(home: Path, now: datetime) -> Iterator[System]:
    """The service of a home, its clock set."""
    clock = home / "clock"
    clock.write_text(now.isoformat())
    settings = Settings(home=home)
    variables = {**os.environ, "CLV_HOME": str(home), "CLV_POLL_INTERVAL_S": "0.2"}
    code = _CLV.format(clock=str(clock))
    with (
        serving("-c", code, "serve", "--port", variables=variables) as server,
        httpx.Client(base_url=server.address, timeout=120, trust_env=False) as client,
    ):
        while client.get("/ready").status_code != 200:
            time.sleep(0.05)
        yield System(client, clock, settings)


def trained(home: Path, plan: Plan, learn: Any = train) -> None:
    """Give a home a champion that learnt from passengers of before the year."""
    table = write_sample(home / "before", passengers=plan.trained_on, seed=7).activity
    with open_source(table) as source:
        history = read_history(source, Window())
    release(learn(history), open_registry(Settings(home=home)), home, now=plan.starts)
