"""Make the pictures of the documentation: real pages of a real service on generated passengers.

`python -m tools.pictures [FOLDER]` writes docs/pictures by default, and takes about two minutes,
most of it training. The service runs on loopback, in a home of its own that is thrown away.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from benchmarks.chromium import chromium
from benchmarks.http import serving
from playwright.sync_api import Browser, FloatRect, Page

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
DESK, PHONE = (1200, 1180), (390, 1180)
PASSENGERS = [(5, 3, 60.0), (1, 1, 8.5), (7, 4, 80.0), (6, 2, 31.0), (2, 1, 12.4), (7, 6, 95.5)]


def main() -> None:
    """Train, serve, ask, draw."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="clv-pictures-") as home:
        variables = {**os.environ, "CLV_HOME": f"{home}/var", "CLV_CURRENCY": "EUR"}
        # The data are named as seen from there: a page shows what they are called.
        for arguments in (["sample-data"], ["train", "--data", "var/sample/activity.parquet"]):
            command = [sys.executable, "-m", "clv", *arguments]
            subprocess.run(command, env=variables, cwd=home, check=True)
        with (
            serving("-m", "clv", "serve", "--port", variables=variables) as server,
            chromium() as browser,
        ):
            ask_for_some(server.address)
            draw(browser, server.address, folder)


def ask_for_some(address: str) -> None:
    """Predict, so that Activity has something to show."""
    passengers = [
        {
            "id": 1000 + number % 90,
            "recency_7": recency,
            "frequency_7": frequency,
            "monetary_7": monetary + number % 17,
        }
        for number in range(240)
        for recency, frequency, monetary in [PASSENGERS[number * number % len(PASSENGERS)]]
    ]
    asked = httpx.post(
        f"{address}/api/predict/batch",
        json={"passengers": passengers},
        trust_env=False,
        timeout=60,  # it may still load its model
    )
    asked.raise_for_status()


def draw(browser: Browser, address: str, folder: Path) -> None:
    """Every page as it is used."""
    for name, size, scheme in (
        ("campaign", DESK, "light"),
        ("campaign-dark", DESK, "dark"),
        ("campaign-phone", PHONE, "light"),
    ):
        page = opened(browser, f"{address}/", size, scheme)
        page.click("#example")
        page.wait_for_selector("#verdict-title")
        begin = "body" if size is DESK else "#verdict"
        take(page, 4, folder / f"{name}.png", begin=begin, end="#verdict figure")
    page = opened(browser, f"{address}/predict", DESK, "light")
    for name, value in (("recency_7", "5"), ("frequency_7", "3"), ("monetary_7", "60")):
        page.fill(f"#{name}", value)
    page.press("#monetary_7", "Enter")
    take(page, 1, folder / "predict.png", end="#result")
    page = opened(browser, f"{address}/model", DESK, "light")
    take(page, 7, folder / "model.png", end="section:has(#checks-title)")
    page = opened(browser, f"{address}/activity", DESK, "light")
    take(page, 1, folder / "activity.png", end="#latest tr:nth-child(12)")


def opened(browser: Browser, address: str, size: tuple[int, int], scheme: str) -> Page:
    """A page in a window of that size."""
    width, height = size
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.goto(address)
    return page


def take(page: Page, plots: int, file: Path, *, end: str, begin: str = "body") -> None:
    """Once so many plots are drawn: the page from the first element of `begin` to that of `end`."""
    page.wait_for_function("n => document.querySelectorAll('.plot').length >= n", arg=plots)
    for plot in page.locator(".plot").all():  # a plot is drawn when it comes near
        if plot.is_visible():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for(state="attached")
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    page.wait_for_timeout(500)  # nothing is asserted; a plot may still be moving
    top, bottom = page.evaluate(
        """([begin, end]) => [document.querySelector(begin).getBoundingClientRect().top,
                             document.querySelector(end).getBoundingClientRect().bottom]""",
        [begin, end],
    )
    top, width = max(top - 16, 0), page.evaluate("document.documentElement.clientWidth")
    clip: FloatRect = {"x": 0, "y": top, "width": width, "height": bottom + 16 - top}
    page.screenshot(path=file, full_page=True, clip=clip)
    print(f"{file.name}: {file.stat().st_size / 1e3:.0f} kB")
    page.close()


if __name__ == "__main__":
    main()
