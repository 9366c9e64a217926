"""The machine's own Chromium, offline: what a page draws, asks for and complains of."""

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

__all__ = [
    "ACCESSIBLE",
    "DESKTOP",
    "PHONE",
    "Open",
    "Scheme",
    "Visit",
    "Visitors",
    "browse",
    "browser",
    "draw_all",
    "shot",
    "visit",
]

DESKTOP, PHONE = 1200, 360
#: Run in a page, it lists what somebody who cannot see, or sees little, would stumble over.
ACCESSIBLE = (Path(__file__).parent / "accessible.js").read_text()
# A chart is drawn when it comes near; in each frame the page looks which are.
_SCROLL_THROUGH = """async () => {
    const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    for (let y = 0; y < document.documentElement.scrollHeight; y += 400) {
        scrollTo({top: y, behavior: "instant"});
        await frame();
        await frame();
    }
    scrollTo({top: 0, behavior: "instant"});
}"""
Scheme = Literal["light", "dark"]
# Where pictures of the pages are left for people to look at; nowhere unless set.
_SHOTS = os.environ.get("CLV_SHOTS")

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Of a module, not of the session: while it is open, nobody else may run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; the test is skipped where the machine has none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no chromium on this machine; .ci/run installs it")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        yield opened
        opened.close()


@dataclass
class Visit:
    """A page that was opened, what it asked for, and what it complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(wide))

    def fits(self, width: int) -> None:
        """See that a window of that width shows everything, and everybody can read it."""
        assert self.overflow() == 0
        assert self.cut_off() == []
        assert self.page.evaluate(ACCESSIBLE) == []
        for plot in self.plots():
            assert plot["drawn"] > 0
            assert plot["width"] <= width

    def draw_all(self) -> None:
        """See `draw_all`."""
        draw_all(self.page)

    def plots(self) -> list[dict[str, float]]:
        """Width, height and number of drawn paths of each plot."""
        found: list[dict[str, float]] = self.page.evaluate(
            """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => {
                const svg = plot.querySelector('svg.main-svg');
                const box = svg ? svg.getBoundingClientRect() : {width: 0, height: 0};
                const drawn = plot.querySelectorAll('.plot path, .plot image').length;
                return {width: box.width, height: box.height, drawn};
            })"""
        )
        return found

    def cut_off(self) -> list[str]:
        """Texts of plots that reach beyond their plot, once they have found their size."""
        found: list[str] = []
        for _ in range(50):
            found = self._cut_off()
            if not found:
                break
            self.page.wait_for_timeout(100)
        return found

    def _cut_off(self) -> list[str]:
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(plot => {
                const box = plot.getBoundingClientRect();
                return [...plot.querySelectorAll('text')].filter(text => {
                    const own = text.getBoundingClientRect();
                    return own.width > 0 && (
                        own.left < box.left - 1 || own.right > box.right + 1
                        || own.top < box.top - 1 || own.bottom > box.bottom + 1);
                }).map(text => plot.id + ': ' + text.textContent);
            })"""
        )
        return found

    def contrast(self, selector: str) -> float:
        """Of the first such text with the background of the page; 21 is black on white."""
        text, paper = self.page.evaluate(
            """selector => {
                const style = getComputedStyle(document.querySelector(selector));
                const drawn = document.querySelector(selector) instanceof SVGElement;
                return [drawn ? style.fill : style.color,
                        getComputedStyle(document.body).backgroundColor];
            }""",
            selector,
        )
        high, low = sorted((_luminance(text), _luminance(paper)), reverse=True)
        return (high + 0.05) / (low + 0.05)


Open = Callable[..., Visit]


def draw_all(page: Page) -> None:
    """Bring every part of a page near, so that each chart is drawn, and return to the top."""
    page.evaluate(_SCROLL_THROUGH)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.plot')].every(place =>"
        " !place.checkVisibility() || place.querySelector('.main-svg'))"
    )


def shot(seen: Visit, name: str) -> None:
    """Leave a picture for people to look at, where CLV_SHOTS says."""
    if _SHOTS:
        seen.page.screenshot(path=f"{_SHOTS}/{name}.png", full_page=True)


def _luminance(colour: str) -> float:
    """Relative luminance of `rgb(...)`, as WCAG 2.2 defines it."""
    parts = (int(value) / 255 for value in re.findall(r"\d+", colour)[:3])
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def visit(browser: Browser, file: Path, *, width: int, scheme: Scheme = "light") -> Visit:
    """Open a file without network in a window of that width."""
    seen = _open(_context(browser, scheme, offline=True), width)
    seen.page.goto(file.as_uri(), wait_until="load")
    seen.draw_all()
    return seen


def browse(browser: "Browser | Visitors", url: str, *, width: int, **options: Any) -> Visit:
    """Open an address of a local server; what breaks the policy of a page is complained of, too.

    `options` are `scheme` and `scripts`.
    """
    new = browser.one if isinstance(browser, Visitors) else partial(_context, browser)
    seen = _open(new(**options), width)
    seen.page.add_init_script(
        """document.addEventListener("securitypolicyviolation", event => console.error(
            `policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:` +
            `${event.lineNumber}:${event.columnNumber}`));"""
    )
    seen.page.goto(url, wait_until="load")
    return seen


class Visitors:
    """People with a browser each, who know nothing of one another.

    One who has left comes again as another: only what never changes is still in the cache, so that
    the plotting library is not compiled for each test.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._away: dict[tuple[Scheme, bool], list[BrowserContext]] = defaultdict(list)
        self._here: list[tuple[tuple[Scheme, bool], BrowserContext]] = []

    def one(self, scheme: Scheme = "light", *, scripts: bool = True) -> BrowserContext:
        """Somebody new."""
        away = self._away[scheme, scripts]
        context = away.pop() if away else _context(self._browser, scheme, scripts=scripts)
        self._here.append(((scheme, scripts), context))
        return context

    def leave(self) -> None:
        """All close their pages and forget who they were."""
        while self._here:
            kind, context = self._here.pop()
            for page in context.pages:
                page.close()
            context.clear_cookies()
            context.clear_permissions()
            self._away[kind].append(context)


def _context(
    browser: Browser, scheme: Scheme = "light", *, offline: bool = False, scripts: bool = True
) -> BrowserContext:
    return browser.new_context(offline=offline, color_scheme=scheme, java_script_enabled=scripts)


def _open(context: BrowserContext, width: int) -> Visit:
    seen = Visit(context.new_page())
    seen.page.set_viewport_size({"width": width, "height": 900})
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on(
        "console",
        lambda message: (
            seen.complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    return seen
