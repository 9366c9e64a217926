"""The pages in a real browser, at a desk and on a phone, by day and by night."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from support.browser import ACCESSIBLE, DESKTOP, PHONE, Open, Scheme, shot
from support.server import Server

PAGES = {
    "predict": "/predict",
    "campaign": "/",
    "model": "/model",
    "reality": "/reality",
    "activity": "/activity",
}


@pytest.fixture(autouse=True)
def asked(server: Server) -> None:
    """Each test begins with the same 60 predictions."""
    with server.client() as client:
        client.post("/reset").raise_for_status()
        passengers = [
            {
                "id": 1000 + n % 20,
                "recency_7": 1 + n % 7,
                "frequency_7": 1 + n % 5,
                "monetary_7": 9.5,
            }
            for n in range(60)
        ]
        client.post("/api/predict/batch", json={"passengers": passengers}).raise_for_status()


def predict(page: Page, *values: str) -> None:
    for name, value in zip(("recency_7", "frequency_7", "monetary_7"), values, strict=True):
        page.fill(f"#{name}", value)
    page.press("#monetary_7", "Enter")


def settled(name: str, page: Page) -> None:
    """Wait until a page shows all it has, and Predict its answer."""
    if name == "predict":
        predict(page, "5", "3", "60")
    plots = {"predict": 1, "campaign": 0, "model": 7, "reality": 5, "activity": 1}[name]
    page.wait_for_function(
        "n => document.querySelectorAll('.js-plotly-plot .main-svg').length >= n", arg=plots
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_can_be_read_and_asks_nobody_else(
    visit: Open, name: str, width: int, scheme: Scheme
) -> None:
    seen = visit(PAGES[name], width=width, scheme=scheme)
    settled(name, seen.page)
    shot(seen, f"{name}-{scheme}-{width}")
    seen.fits(width)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_jumps_while_a_page_is_drawn(visit: Open, name: str) -> None:
    seen = visit(PAGES[name])
    shift = """() => new Promise(done => {
        let sum = 0;
        new PerformanceObserver(list => {
            for (const one of list.getEntries()) if (!one.hadRecentInput) sum += one.value;
        }).observe({type: "layout-shift", buffered: true});
        setTimeout(() => done(sum), 700);
    })"""
    assert seen.page.evaluate(shift) < 0.1


@pytest.mark.parametrize("name", PAGES)
def test_whoever_walks_by_keys_sees_where_they_are(visit: Open, name: str) -> None:
    page = visit(PAGES[name]).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(12):
        ring = page.evaluate(
            """() => {
                const style = getComputedStyle(document.activeElement);
                return document.activeElement === document.body ? "" :
                    `${style.outlineStyle} ${parseFloat(style.outlineWidth) >= 2}`;
            }"""
        )
        assert ring in ("", "solid true")
        page.keyboard.press("Tab")


# -------------------------------------------------------------------- predict


def test_a_passenger_is_predicted_explained_and_tracked(visit: Open, server: Server) -> None:
    page = visit("/predict").page
    page.click("summary")
    page.fill("#id", "9007199254740993")  # one more than a number of JavaScript holds
    predict(page, "5", "3", "60")
    page.wait_for_selector("#intervals .main-svg")
    passenger = {"recency_7": 5, "frequency_7": 3, "monetary_7": 60}
    with server.client() as client:
        assert client.get("/api/requests/9007199254740993").json()["count"] == 1
        said = client.get("/api/explain", params=passenger).json()
    assert page.inner_text("#monetary_30") == f"€{said['monetary_30']:,.2f}"
    assert page.inner_text("#score_bin").endswith(f"of {said['score_bins']}")
    assert "9 of 10 passengers like this one" in page.inner_text("#interval")
    rows = page.locator("#what-if tr")
    assert rows.count() == 3
    for row, other in zip(rows.all(), said["what_if"], strict=True):
        assert other["change"] in row.inner_text()
        assert f"€{other['monetary_30']:,.2f}" in row.inner_text()


def test_a_passenger_without_a_ride_has_no_what_if(visit: Open) -> None:
    page = visit("/predict").page
    predict(page, "0", "0", "0")
    page.wait_for_selector("#intervals .main-svg")
    assert page.is_visible("#no-what-if")
    assert not page.is_visible("#what-if-scroll")


def test_what_is_wrong_stands_beside_its_field(visit: Open, server: Server) -> None:
    seen = visit("/predict", width=PHONE)
    page = seen.page
    predict(page, "8", "many", "")
    page.wait_for_selector("#recency_7-error:not([hidden])")
    assert "at most 7" in page.inner_text("#recency_7-error")
    assert "integer" in page.inner_text("#frequency_7-error")
    assert "required" in page.inner_text("#monetary_7-error").lower()
    assert page.evaluate("document.activeElement.id") == "recency_7"
    assert page.evaluate(ACCESSIBLE) == []
    shot(seen, "predict-wrong-light-360")
    predict(page, "0", "2", "5")
    page.wait_for_selector("#body-error:not([hidden])")
    assert "a ride on the first day is day 1" in page.inner_text("#body-error")
    assert not page.is_visible("#recency_7-error")
    predict(page, "1", "2", "5")
    page.wait_for_selector("#intervals .main-svg")
    assert not page.is_visible("#body-error")


def test_a_service_that_is_gone_is_said(visit: Open) -> None:
    seen = visit("/predict", scheme="dark")
    seen.page.route("**/api/**", lambda route: route.abort())
    predict(seen.page, "1", "1", "5")
    seen.page.wait_for_selector("#failed:not([hidden])")
    assert "does not answer" in seen.page.inner_text("#failed")
    assert seen.page.evaluate(ACCESSIBLE) == []
    shot(seen, "predict-failed-dark-1200")
    seen.complaints[:] = [one for one in seen.complaints if "ERR_FAILED" not in one]


# -------------------------------------------------------------------- model


def test_a_version_is_promoted_for_a_reason_and_left_again(visit: Open, server: Server) -> None:
    def champion() -> tuple[str, str]:
        with server.client() as client:
            models = client.get("/api/models").json()["models"]
        return next(
            (one["version"], one["reason"]) for one in models if "champion" in one["aliases"]
        )

    seen = visit("/model", width=PHONE)
    page = seen.page
    assert champion()[0] == "2"
    page.click("button[data-act=promote]")
    assert page.inner_text("#confirm-title") == "Promote version 1?"
    assert page.evaluate(ACCESSIBLE) == []
    shot(seen, "model-dialog-light-360")
    page.click("#cancel")
    assert champion()[0] == "2"
    page.click("button[data-act=promote]")
    page.fill("#reason", "the second was worse in March")
    with page.expect_navigation():
        page.click("#go")
    assert champion() == ("1", "the second was worse in March")
    assert "Model version 1" in page.inner_text("footer")
    page.click("button[data-act=rollback]")
    with page.expect_navigation():
        page.click("#go")
    assert champion()[0] == "2"


def test_a_promotion_that_is_refused_says_why(visit: Open, server: Server) -> None:
    page = visit("/model").page
    with server.client() as client:
        client.post("/api/models/1/promote").raise_for_status()
    page.click("button[data-act=promote]")
    page.click("#go")
    page.wait_for_selector("#act-error:not([hidden])")
    assert "Version 1 is the champion already" in page.inner_text("#act-error")
    with server.client() as client:
        client.post("/api/models/1/rollback").raise_for_status()


def test_the_whole_report_is_drawn_in_its_sandbox(visit: Open) -> None:
    page = visit("/model/report").page
    page.wait_for_function(
        "() => document.querySelectorAll('.js-plotly-plot .main-svg').length > 20"
    )
    # It is of no origin, so it can read nothing of the service.
    assert page.evaluate("location.origin === self.origin") is False


# -------------------------------------------------------------------- reality


def have_outcomes(server: Server, home: Path, spent: float) -> None:
    """Have all have been asked about 40 days ago, and spend so much."""
    at = datetime.now(UTC) - timedelta(days=40)
    with closing(sqlite3.connect(home / "tracking.sqlite")) as connection, connection:
        stamp = at.strftime("%Y-%m-%d %H:%M:%S.%f")
        connection.execute("UPDATE requests SET requested_at = ?", (stamp,))
    with server.client() as client:
        outcomes = [{"id": 1000 + n, "monetary_30": spent} for n in range(20)]
        client.post("/api/outcomes", json={"outcomes": outcomes}).raise_for_status()


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_promises_are_shown_beside_what_came(
    visit: Open, server: Server, home: Path, width: int, scheme: Scheme
) -> None:
    have_outcomes(server, home, 20.0)
    seen = visit("/reality", width=width, scheme=scheme)
    page = seen.page
    page.wait_for_selector("#versions tr")
    assert "Nothing says that version 2 breaks its promise" in page.inner_text("#verdict")
    assert "20 expected" not in page.inner_text("#tiles")
    assert "€20.00 came" in page.inner_text("#tiles")
    assert page.inner_text("#versions tr").split("\t")[:3] == ["2 champion", "20", "20"]
    assert page.locator("#alarms > *").count() == 0
    assert page.is_hidden("#nothing")
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot').length >= 4")
    assert page.evaluate(ACCESSIBLE) == []
    shot(seen, f"reality-known-{scheme}-{width}")
    seen.fits(width)


def test_without_outcomes_it_says_how_to_send_them(visit: Open) -> None:
    page = visit("/reality").page
    page.wait_for_selector("#nothing:not([hidden])")
    assert page.inner_text("#nothing-title") == "No outcome is known yet."
    assert "clv outcomes import" in page.inner_text("#nothing")
    assert page.is_hidden("#pictures")


# -------------------------------------------------------------------- activity


def test_a_passenger_is_found_and_one_never_asked_about_is_not(visit: Open) -> None:
    page = visit("/activity").page
    page.wait_for_selector("#latest tr")
    assert page.inner_text("#total") == "60"
    assert page.locator("#latest tr").count() == 50
    page.fill("#passenger", "1003")
    page.press("#passenger", "Enter")
    page.wait_for_selector("#of-one tr")
    assert page.inner_text("#of-one-title") == "Passenger 1003: 3 predictions"
    page.fill("#passenger", "5")
    page.press("#passenger", "Enter")
    page.wait_for_selector("#of-one-empty:not([hidden])")
    assert page.url.endswith("/activity?passenger=5")
    page.fill("#passenger", "nobody")
    page.press("#passenger", "Enter")
    page.wait_for_selector("#passenger-error:not([hidden])")
    assert "whole number" in page.inner_text("#passenger-error")
    page.locator("#latest a").first.click()
    page.wait_for_selector("#of-one tr")
    assert "Passenger 1019" in page.inner_text("#of-one-title")


def test_before_anything_was_asked_it_says_how_to_ask(visit: Open, server: Server) -> None:
    with server.client() as client:
        client.post("/reset").raise_for_status()
    seen = visit("/activity", width=PHONE, scheme="dark")
    seen.page.wait_for_selector("#latest-empty:not([hidden])")
    assert seen.page.evaluate(ACCESSIBLE) == []
    assert seen.overflow() == 0
    shot(seen, "activity-empty-dark-360")


# -------------------------------------------------------------------- signing in


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_one_signs_in_once_and_uses_all_pages(
    visit: Open, closed: tuple[Server, dict[str, str]], width: int, scheme: Scheme
) -> None:
    running, keys = closed
    seen = visit("/activity", width=width, scheme=scheme, of=running)
    page = seen.page
    assert page.evaluate("document.activeElement.id") == "key"
    page.fill("#key", "wrong")
    page.press("#key", "Enter")
    page.wait_for_selector("#key-error")
    assert page.evaluate(ACCESSIBLE) == []
    assert seen.overflow() == 0
    shot(seen, f"signin-{scheme}-{width}")
    page.fill("#key", keys["visitor"])
    page.press("#key", "Enter")
    page.wait_for_url("**/activity")
    page.wait_for_function("() => document.querySelector('#total').textContent !== '…'")
    assert page.evaluate("document.cookie") == ""
    page.click("nav >> text=Predict")
    predict(page, "5", "3", "60")
    page.wait_for_selector("#intervals .main-svg")
    assert page.inner_text("#monetary_30").isascii(), "no currency is set"
    page.click("nav >> text=Model")
    assert page.is_disabled("button[data-act=promote]")
    shot(seen, f"model-reader-{scheme}-{width}")
    page.click("text=Sign out")
    page.wait_for_url("**/signin")
    page.goto(f"{running.url}/")
    assert "/signin?next=%2F" in page.url


def test_a_key_that_is_too_narrow_is_told_what_it_takes(
    visit: Open, closed: tuple[Server, dict[str, str]]
) -> None:
    running, keys = closed
    seen = visit("/signin?next=/model", width=PHONE, of=running)
    seen.page.fill("#key", keys["narrow"])
    seen.page.press("#key", "Enter")
    seen.page.wait_for_selector("text=it takes scope 'read'")
    assert seen.page.evaluate(ACCESSIBLE) == []
    shot(seen, "refused-light-360")
