"""How long a long list takes to its verdict: over HTTP, and on the page in a real browser."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.csv
from playwright.sync_api import Page

from benchmarks.chromium import chromium
from benchmarks.http import Server, serving
from clv.data.simulate import simulate

__all__ = ["segments"]

PASSENGERS = 200_000
ROUNDS = 5
TERMS = {"margin": 0.25, "cost": 2.5}


def segments(home: Path) -> str:
    """The section; `home` is a CLV_HOME with a champion."""
    chunks = [chunk.activity.drop_columns(["monetary_value_30"]) for chunk in simulate(PASSENGERS)]
    file = home / "list.csv"
    pyarrow.csv.write_csv(pa.concat_tables(chunks), file)
    url = f"sqlite:///{home / 'segments.sqlite'}"  # of its own: without keys
    variables = {
        **os.environ,
        "CLV_HOME": str(home),
        "CLV_DATABASE_URL": url,
        "CLV_LOG_LEVEL": "WARNING",
    }
    with serving("-m", "clv", "serve", "--port", variables=variables) as server:
        by_api, by_page = list(measured(server, file))
    megabytes = file.stat().st_size / 1e6
    return "\n".join(
        [
            "## Campaigns",
            "",
            f"{PASSENGERS:,} generated passengers, {megabytes:.1f} MB of CSV, from the list to its",
            f"verdict; medians of {ROUNDS} rounds.",
            "",
            "| | seconds | rows/s |",
            "|---|--:|--:|",
            f"| `POST /api/segments/evaluate` | {by_api:.2f} | {PASSENGERS / by_api:,.0f} |",
            f"| the page in Chromium, all drawn | {by_page:.2f} | {PASSENGERS / by_page:,.0f} |",
            "",
            "| promised | measured |",
            "|---|--:|",
            f"| {PASSENGERS:,} passengers on the page in under 3 s | {by_page:.2f} s |",
            "",
        ]
    )


def measured(server: Server, file: Path) -> Iterator[float]:
    """Seconds by the API, then on the page."""
    content = file.read_bytes()
    with httpx.Client(base_url=server.address, trust_env=False, timeout=60) as client:

        def ask() -> None:
            answer = client.post(
                "/api/segments/evaluate",
                params=TERMS,
                content=content,
                headers={"content-type": "text/csv"},
            )
            answer.raise_for_status()

        yield median_of(ask)
    with chromium() as browser:
        # As high as the page: a picture is drawn when it comes near what is seen.
        page = browser.new_page(viewport={"width": 1280, "height": 6_000})
        page.goto(f"{server.address}/")
        page.set_input_files("#list", file)
        yield median_of(lambda: judge(page))


def judge(page: Page) -> None:
    page.evaluate("() => document.getElementById('verdict').replaceChildren()")
    page.click("#send")
    page.wait_for_function("() => document.querySelectorAll('#verdict .main-svg').length >= 4")


def median_of(act: Callable[[], None]) -> float:
    act()  # the first imports and compiles
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))
