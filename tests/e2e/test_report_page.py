"""The pages in a real browser, offline: all is drawn, nothing is asked for, nothing is cut."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from clv.bundle import Predictor
from clv.data.checks import History
from clv.evaluation import validate, write_page
from support.browser import Visit, visit

DESKTOP, PHONE = 1200, 400
REPORT = [
    "Checks", "Data", "Candidates", "Ranking", "Predicted and actual by decile", "Intervals",
    "Probability of return", "Errors by activity", "Reach of a campaign", "Effect of each feature",
    "Backtest by cohort", "Noise floor", "Largest misses", "Limits",
]  # fmt: skip
VALIDATION = [
    "Overall, compared with the baselines", "By decile", "Ranking", "Intervals",
    "Probability of return", "Errors by activity", "Largest misses",
]  # fmt: skip


@pytest.fixture(scope="module")
def pages(
    trained_home: Path, history: History, predictor: Predictor, tmp_path_factory
) -> dict[str, Path]:
    validation = tmp_path_factory.mktemp("pages") / "validation.html"
    write_page(validate(history[:900], predictor), validation)
    return {"report": trained_home / "report.html", "validation": validation}


@pytest.fixture(
    scope="module",
    params=[
        ("report", DESKTOP), ("report", PHONE), ("validation", DESKTOP), ("validation", PHONE),
    ],
    ids=lambda one: f"{one[0]}-{one[1]}",
)  # fmt: skip
def opened(
    request, browser: Browser, pages: dict[str, Path]
) -> Iterator[tuple[Visit, list[str], int]]:
    name, width = request.param
    headings = {"report": REPORT, "validation": VALIDATION}[name]
    plots = {"report": 21, "validation": 9}[name]
    seen = visit(browser, pages[name], width=width)
    yield seen, headings, plots
    seen.page.context.close()


def test_a_page_is_whole_offline(opened: tuple[Visit, list[str], int]) -> None:
    seen, headings, plots = opened
    assert seen.complaints == []
    assert {url.split(":")[0] for url in seen.requests} <= {"file", "data", "blob"}
    assert [one.inner_text() for one in seen.page.query_selector_all("h2")] == headings
    drawn = seen.plots()
    assert len(drawn) == plots
    width = seen.page.viewport_size["width"]
    for plot in drawn:
        assert 250 < plot["width"] <= width
        assert plot["height"] > 100
        assert plot["drawn"] > 0
    assert seen.overflow() == 0


def test_the_contents_lead_to_every_heading(opened: tuple[Visit, list[str], int]) -> None:
    seen, headings, _ = opened
    links = seen.page.query_selector_all("nav.contents a")
    assert [one.inner_text() for one in links] == headings
    targets = [(one.get_attribute("href") or "")[1:] for one in links]
    assert [seen.page.inner_text(f"#{name}") for name in targets] == headings


def test_a_chart_is_drawn_when_it_comes_near_and_the_library_not_before(
    browser: Browser, pages: dict[str, Path]
) -> None:
    context = browser.new_context(viewport={"width": DESKTOP, "height": 300}, offline=True)
    page = context.new_page()
    page.goto(pages["report"].as_uri(), wait_until="load")
    page.wait_for_timeout(300)
    assert page.evaluate("typeof Plotly") == "undefined"
    page.evaluate("document.getElementById('plot-noise').scrollIntoView()")
    page.wait_for_selector("#plot-noise .main-svg")
    assert page.locator(".main-svg").count() < page.locator(".plot").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.plot')].every(one => one.querySelector('.main-svg'))"
    )
    context.close()


def test_no_text_of_a_plot_is_cut_off(opened: tuple[Visit, list[str], int]) -> None:
    seen, _, _ = opened
    assert seen.cut_off() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_by_day_and_by_night(
    browser: Browser, pages: dict[str, Path], scheme: str
) -> None:
    seen = visit(browser, pages["report"], width=DESKTOP, scheme=scheme)
    for selector, least in (("p", 7), ("figcaption", 4.5), (".xtitle", 7), (".issue", 4.5)):
        assert seen.contrast(selector) >= least, selector
    seen.page.context.close()
