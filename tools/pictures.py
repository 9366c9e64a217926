"""Make the pictures of the documentation: real pages of a real service on generated passengers.

`python tools/pictures.py [FOLDER]` writes docs/pictures by default, and takes about two minutes,
most of it training. The service runs on loopback, in a home of its own that is thrown away.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from playwright.sync_api import Browser, FloatRect, Page, sync_playwright

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
CLV = Path(sys.executable).parent / "clv"
DESK, PHONE = (1200, 1180), (390, 1180)
PASSENGERS = [(5, 3, 60.0), (1, 1, 8.5), (7, 4, 80.0), (6, 2, 31.0), (2, 1, 12.4), (7, 6, 95.5)]


def main() -> None:
    """Train, serve, ask, draw."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="clv-pictures-") as home:
        variables = {**os.environ, "CLV_HOME": "var", "CLV_CURRENCY": "EUR"}
        for arguments in (["sample-data"], ["train", "--data", "var/sample/activity.parquet"]):
            subprocess.run([CLV, *arguments], env=variables, cwd=home, check=True)
        with serving(variables, home) as address, sync_playwright() as playwright:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
            )
            ask_for_some(address)
            draw(browser, address, folder)
            browser.close()


@contextmanager
def serving(variables: dict[str, str], home: str) -> Iterator[str]:
    """A service; gives its address once it can predict."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [str(CLV), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (
        subprocess.Popen(command, env=variables, cwd=home) as process,
        httpx.Client(base_url=address, trust_env=False) as client,
    ):
        try:
            while not is_ready(client) and process.poll() is None:
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def is_ready(client: httpx.Client) -> bool:
    """Whether it answers, and well."""
    try:
        return client.get("/ready").is_success
    except httpx.TransportError:
        return False


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
        f"{address}/api/predict/batch", json={"passengers": passengers}, trust_env=False
    )
    asked.raise_for_status()


def draw(browser: Browser, address: str, folder: Path) -> None:
    """Every page as it is used."""
    for name, size, scheme in (
        ("campaign", DESK, "light"),
        ("campaign-dark", DESK, "dark"),
        ("campaign-phone", PHONE, "light"),
    ):
        page = opened(browser, f"{address}/campaign", size, scheme)
        page.click("#example")
        page.wait_for_selector("#verdict-title")
        begin = "body" if size is DESK else "#verdict"
        take(page, 4, folder / f"{name}.png", begin=begin, end="#verdict figure")
    page = opened(browser, address, DESK, "light")
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
    page.wait_for_function(
        "n => document.querySelectorAll('.js-plotly-plot .main-svg').length >= n", arg=plots
    )
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
