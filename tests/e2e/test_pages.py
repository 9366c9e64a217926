"""The pages in a real browser, at a desk and on a phone, by day and by night."""

import re
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from support.browser import ACCESSIBLE, DESKTOP, PHONE, Open, Scheme, Visit, browse, shot
from support.server import Server, serving

PAGES = {
    "predict": "/predict",
    "campaign": "/",
    "model": "/model",
    "monitoring": "/monitoring",
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


def settled(name: str, seen: Visit) -> None:
    """Wait until a page shows all it has, and Predict its answer."""
    if name == "predict":
        predict(seen.page, "1", "1", "8,50")
    wanted = {
        "predict": "#what-if tr",
        "campaign": "#ask",
        "model": "[data-figure]",
        "monitoring": "#nothing:not([hidden]), #verdict:not(:empty)",
        "activity": "#latest tr",
    }
    seen.page.wait_for_selector(wanted[name])
    seen.draw_all()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_can_be_read_and_asks_nobody_else(
    visit: Open, name: str, width: int, scheme: Scheme
) -> None:
    seen = visit(PAGES[name], width=width, scheme=scheme)
    settled(name, seen)
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


def test_a_passenger_is_predicted_explained_and_listed(visit: Open, server: Server) -> None:
    page = visit("/predict").page
    page.click("summary")
    page.fill("#id", "9007199254740993")  # one more than a number of JavaScript holds
    predict(page, "1", "1", "8.50")
    page.wait_for_selector("#intervals .main-svg")
    passenger = {"recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    with server.client() as client:
        said = client.get("/api/explain", params=passenger).json()
        (row,) = client.get("/api/requests/9007199254740993/latest").json()["latest"]
        assert row["source"] == "page"
        assert client.get("/api/requests/9007199254740993").json()["count"] == 0
    assert page.inner_text("#monetary_30") == f"€{said['monetary_30']:,.2f}"
    assert page.inner_text("#score_bin").endswith(f"of {said['score_bins']}")
    assert "9 of 10 passengers like this one" in page.inner_text("#interval")
    assert "Not counted in monitoring" in page.inner_text("#counted")
    assert "9007199254740993" in page.inner_text("#counted")
    assert page.url.endswith("/predict")


def test_what_if_shows_the_change_of_further_spend_and_explains_a_fall(
    visit: Open, server: Server
) -> None:
    page = visit("/predict").page
    predict(page, "1", "1", "8.50")
    page.wait_for_selector("#what-if tr")
    passenger = {"recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
    with server.client() as client:
        said = client.get("/api/explain", params=passenger).json()
    rows = page.locator("#what-if tr").all()
    assert len(rows) == len(said["what_if"]) == 3
    for row, other in zip(rows, said["what_if"], strict=True):
        further, change = row.locator("td").all_inner_texts()[:2]
        assert further == f"€{other['expected_increment']:,.2f}"
        amount = other["increment_difference"]
        sign = "+" if amount > 0 else "-" if amount < 0 else ""
        assert change == f"{sign}€{abs(amount):,.2f}"
        assert abs(amount - other["difference"]) > 5 or other["monetary_7"] == 8.5, "not the 10"
    with server.client() as client:
        now = client.post("/api/predict", json=passenger | {"id": 1}).json()["p_return"]
    falls = [other for other in said["what_if"] if other["p_return"] < now]
    assert page.locator("#falls").count() == bool(falls)
    for other in falls:
        assert f"with {other['frequency_7']} ride" in page.inner_text("#falls")


def test_a_passenger_without_a_ride_has_no_what_if(visit: Open) -> None:
    page = visit("/predict").page
    predict(page, "0", "0", "0")
    page.wait_for_selector("#no-what-if")
    assert page.locator("#what-if").count() == 0


def test_a_headline_is_no_surer_than_its_support(visit: Open) -> None:
    seen = visit("/predict", width=PHONE)
    predict(seen.page, "7", "100", "10000")
    seen.page.wait_for_selector("#support_note")
    assert "A rough guess" in seen.page.inner_text("#support_note")
    assert seen.page.inner_text("#monetary_30").startswith("roughly €")
    assert "." not in seen.page.inner_text("#monetary_30"), "cents would say that it is exact"
    assert seen.page.locator("#interval, #intervals").count() == 0
    assert seen.page.evaluate(ACCESSIBLE) == []
    shot(seen, "predict-unsupported-light-360")


@pytest.mark.parametrize("amount", ["8,50", "8.50", "€8.50", " 8.5 ", "8,5 EUR"])
def test_an_amount_is_read_as_people_write_it(visit: Open, amount: str) -> None:
    page = visit("/predict").page
    predict(page, "1", "1", amount)
    page.wait_for_selector("#what-if tr")
    assert page.inner_text("#increment").startswith("€8.50 spent so far")


def test_what_is_wrong_stands_beside_its_field_in_words(visit: Open, server: Server) -> None:
    seen = visit("/predict", width=PHONE)
    page = seen.page
    predict(page, "8", "many", "")
    page.wait_for_selector("#recency_7-error")
    assert (
        page.inner_text("#recency_7-error") == "8 is more than 7. Enter a whole number from 0 to 7."
    )
    assert "“many” is not a whole number" in page.inner_text("#frequency_7-error")
    assert page.inner_text("#monetary_7-error").startswith("Enter an amount from 0 to")
    assert page.evaluate("document.activeElement.id") == "recency_7"
    assert page.evaluate(ACCESSIBLE) == []
    shot(seen, "predict-wrong-light-360")
    predict(page, "1", "1", "1,234")
    page.wait_for_selector("text=can be read as 1234 or as 1.234")
    predict(page, "0", "2", "5")
    page.wait_for_selector("#form-error")
    assert "a ride on the first day is day 1" in page.inner_text("#form-error")
    assert "recency_7" not in page.inner_text("#form-error")
    assert page.locator("#recency_7-error").count() == 0
    predict(page, "1", "2", "5")
    page.wait_for_selector("#what-if tr")
    assert page.locator(".error").count() == 0


def test_a_service_that_is_gone_is_said(visit: Open) -> None:
    seen = visit("/predict", scheme="dark")
    seen.page.route("**/predict", lambda route: route.abort())
    predict(seen.page, "1", "1", "5")
    seen.page.wait_for_selector("#failed:not([hidden])")
    assert "does not answer" in seen.page.inner_text("#failed")
    assert seen.page.evaluate(ACCESSIBLE) == []
    shot(seen, "predict-failed-dark-1200")
    seen.page.unroute("**/predict")
    seen.page.press("#monetary_7", "Enter")
    seen.page.wait_for_selector("#what-if tr")
    assert seen.page.locator("#failed").count() == 0
    seen.complaints[:] = [one for one in seen.complaints if "ERR_FAILED" not in one]


def test_predict_works_while_the_plotting_library_is_held_back(
    browser: Browser, server: Server
) -> None:
    seen = browse(browser, f"{server.url}/predict", width=DESKTOP)
    held: list[Route] = []
    seen.page.route("**/plotly.min.js*", lambda route: held.append(route))  # noqa: PLW0108 - it looks at the signature
    assert not any("plotly" in url for url in seen.requests), "there is no chart yet"
    seen.page.click("#example")
    seen.page.wait_for_selector("#what-if tr")
    assert held, "the chart came near"
    predict(seen.page, "1", "1", "8,50")
    seen.page.wait_for_selector("text=€8.50 spent so far")
    assert seen.page.locator(".main-svg").count() == 0
    held[0].continue_()
    seen.page.wait_for_selector("#intervals .main-svg")
    assert all("?" not in url or "/static/" in url for url in seen.requests)
    assert seen.complaints == []
    seen.page.context.close()


def test_predict_works_before_its_script_has_come(browser: Browser, server: Server) -> None:
    page = browser.new_context().new_page()
    held: list[Route] = []
    page.route("**/predict.js*", lambda route: held.append(route))  # noqa: PLW0108 - as above
    page.goto(f"{server.url}/predict", wait_until="commit")
    predict(page, "1", "1", "8,50")
    page.wait_for_selector("#what-if tr")
    assert page.url == f"{server.url}/predict"
    page.unroute("**/predict.js*")
    page.context.close()


def test_predict_works_without_scripts(visit: Open, server: Server) -> None:
    seen = visit("/predict", scripts=False)
    page = seen.page
    predict(page, "8", "1", "8,50")
    page.wait_for_selector("#recency_7-error")
    assert page.input_value("#monetary_7") == "8,50", "nothing has to be typed again"
    page.click("summary")
    page.fill("#id", "77")
    predict(page, "1", "1", "8,50")
    page.wait_for_selector("#what-if tr")
    assert page.url == f"{server.url}/predict"
    assert "8.50" in page.inner_text("#increment")
    assert page.is_visible("noscript li >> nth=0"), "the ranges, as there is no chart"
    assert page.is_hidden("#intervals")
    ranges = page.locator("noscript li").all_inner_texts()
    assert "8.50" in ranges[0]
    assert not any("8.50 EUR to 8.50" in text.replace("\xa0", " ") for text in ranges)
    assert page.is_hidden("#intervals-reading .of-plot"), "there are no bars and lines to explain"
    page.click("#send")
    page.wait_for_selector("#what-if tr")
    assert all("?" not in url or "/static/" in url for url in seen.requests)
    with server.client() as client:
        assert len(client.get("/api/requests/77/latest").json()["latest"]) == 2


def test_trying_out_counts_nowhere_as_a_passenger(visit: Open, server: Server) -> None:
    page = visit("/predict").page
    predict(page, "1", "1", "8,50")
    page.wait_for_selector("#what-if tr")
    page.click("summary")
    page.fill("#id", "1000000")
    page.press("#id", "Enter")
    page.wait_for_selector("text=1000000")
    with server.client() as client:
        assert client.get("/api/requests/0/latest").json()["latest"] == []
        monitoring = client.get("/api/monitoring").json()
        assert monitoring["drift_customers"] == 20
        assert sum(one["quality"]["promised"] for one in monitoring["versions"]) == 20


# -------------------------------------------------------------------- model


def test_a_version_is_promoted_and_left_again_each_for_a_reason(
    visit: Open, server: Server
) -> None:
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
    assert page.evaluate("document.activeElement.id") == "reason"
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
    assert page.inner_text("button[data-act=rollback]") == "Roll back to 2"
    page.click("button[data-act=rollback]")
    assert page.inner_text("#confirm-title") == "Roll back to version 2?"
    page.fill("#reason", "March was an outage")
    with page.expect_navigation():
        page.click("#go")
    assert champion()[0] == "2"
    assert "March was an outage" in champion()[1]
    newest = page.locator("h3#history-title ~ .scroll tbody tr").all_inner_texts()[:2]
    assert "rollback" in newest[0]
    assert "March was an outage" in newest[0]
    assert "without a key" in newest[0], "who did it"
    assert "promote" in newest[1]
    assert "the second was worse in March" in newest[1]
    assert page.evaluate(ACCESSIBLE) == []
    assert seen.overflow() == 0


def test_without_a_former_champion_there_is_no_way_back_to_offer(
    visit: Open, trained_home: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained_home, tmp_path / "home")
    with serving(tmp_path / "home") as first:
        page = visit("/model", of=first).page
        assert page.locator("button[data-act]").count() == 0


def test_the_page_of_the_model_hides_paths_and_says_why_the_champion_was_chosen(
    visit: Open, home: Path
) -> None:
    page = visit("/model").page
    shown = page.inner_text("main")
    assert "activity.parquet" in shown
    assert str(home.parent) not in shown
    assert "/activity.parquet" not in shown
    lowest = page.evaluate(
        """() => {
        const rows = [...document.querySelectorAll('#leaderboard-title ~ .scroll tbody tr')];
        const mse = row => Number(row.children[1].textContent.replaceAll(',', ''));
        return rows.some(row => mse(row) < mse(rows.find(one => one.className === 'best'))); }"""
    )
    assert page.locator("#why-chosen").count() == int(lowest)


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
    seen = visit("/model/report")
    page = seen.page
    seen.draw_all()
    assert page.locator(".js-plotly-plot .main-svg").count() > 20
    # It is of no origin, so it can read nothing of the service.
    assert page.evaluate("location.origin === self.origin") is False
    page.click("text=Back to Model")
    page.wait_for_url("**/model")
    assert page.inner_text("h1") != ""


# -------------------------------------------------------------------- monitoring


def have_outcomes(server: Server, home: Path, spent: float, passengers: int) -> None:
    """Have so many been predicted 40 days ago, and spend so much."""
    with server.client() as client:
        client.post("/reset").raise_for_status()
        asked = [
            {"id": n, "recency_7": 1 + n % 7, "frequency_7": 1 + n % 5, "monetary_7": 9.5}
            for n in range(passengers)
        ]
        client.post("/api/predict/batch", json={"passengers": asked}).raise_for_status()
    at = datetime.now(UTC) - timedelta(days=40)
    with closing(sqlite3.connect(home / "tracking.sqlite")) as connection, connection:
        stamp = at.strftime("%Y-%m-%d %H:%M:%S.%f")
        connection.execute("UPDATE requests SET requested_at = ?", (stamp,))
    with server.client() as client:
        outcomes = [{"id": n, "monetary_30": spent} for n in range(passengers)]
        client.post("/api/outcomes", json={"outcomes": outcomes}).raise_for_status()


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_predictions_are_compared_with_outcomes(
    visit: Open, server: Server, home: Path, width: int, scheme: Scheme
) -> None:
    have_outcomes(server, home, 20.0, 600)
    seen = visit("/monitoring", width=width, scheme=scheme)
    page = seen.page
    page.wait_for_selector("#versions tr")
    assert page.inner_text("h1") == "Monitoring"
    with server.client() as client:
        found = client.get("/api/monitoring").json()
    quality = next(one for one in found["versions"] if one["is_champion"])["quality"]
    verdict = page.inner_text("#verdict")
    assert "ersion 2 " in verdict
    assert quality["bias_low"] > 0 or quality["bias_high"] < 0
    assert "as expected" not in verdict or found["alarms"], "its bias is no noise"
    tiles = page.inner_text("#tiles")
    assert "actual €20.00 per passenger, all outcomes since the week of" in tiles
    assert page.inner_text("#versions tr").split("\t")[:3] == ["2 champion", "600", "600"]
    assert page.is_hidden("#nothing")
    for alarm in page.locator("#alarms .failed").all_inner_texts():
        assert "based on outcomes since the week of" in alarm
        assert re.search(r"week of \d{1,2} [A-Z][a-z]{2} \d{4}", alarm)
    seen.draw_all()
    assert page.locator(".main-svg").count() >= 4
    weeks = page.locator("#evidence .xtick").all_text_contents()
    assert weeks, "one week has its date"
    assert len(weeks) == len(set(weeks)), "and only once"
    assert "µ" not in page.inner_text("#evidence")
    assert page.evaluate(ACCESSIBLE) == []
    shot(seen, f"monitoring-known-{scheme}-{width}")
    seen.fits(width)


@pytest.mark.parametrize("passengers", [1, 30])
def test_few_passengers_get_a_sentence_and_no_alarm_words(
    visit: Open, server: Server, home: Path, passengers: int
) -> None:
    have_outcomes(server, home, 20.0, passengers)
    seen = visit("/monitoring", width=PHONE)
    page = seen.page
    page.wait_for_selector("#verdict:not(:empty)")
    noun = "outcome" if passengers == 1 else "outcomes"
    assert page.inner_text("#verdict").startswith(f"{passengers} {noun} of version 2 so far.")
    shown = page.inner_text("main")
    assert "–" not in page.inner_text("#tiles")
    assert "1 passengers" not in shown
    assert "1 outcomes" not in shown
    assert "tability index" not in shown
    assert page.locator(".plot:visible").count() == 0
    assert page.is_hidden("#pictures")
    assert page.evaluate(ACCESSIBLE) == []
    shot(seen, f"monitoring-{passengers}-light-360")


def test_one_passenger_of_late_is_one_and_no_drift(visit: Open, server: Server) -> None:
    with server.client() as client:
        client.post("/reset").raise_for_status()
        passenger = {"id": 1, "recency_7": 1, "frequency_7": 1, "monetary_7": 8.5}
        client.post("/api/predict", json=passenger).raise_for_status()
    page = visit("/monitoring").page
    page.wait_for_selector("#drift-reading:not(:empty)")
    assert page.inner_text("#drift-reading") == (
        "1 passenger scored in the last 28 days; drift is measured from 500 passengers on."
    )
    assert page.locator("#drift-pictures figure").count() == 0
    page.goto(f"{server.url}/activity")
    page.wait_for_selector("#latest tr")
    assert page.inner_text("#total") == "1 prediction"
    page.wait_for_selector("#over-time .main-svg")
    ticks = page.locator("#over-time .ytick").all_text_contents()
    assert ticks == sorted(set(ticks)), "no 0 1 1 2 2"


def test_the_former_address_leads_to_monitoring(visit: Open) -> None:
    assert visit("/reality").page.url.endswith("/monitoring")


def test_without_outcomes_it_says_how_to_send_them(visit: Open) -> None:
    page = visit("/monitoring").page
    page.wait_for_selector("#nothing:not([hidden])")
    assert page.inner_text("#nothing-title") == "No outcomes yet."
    assert "clv outcomes import" in page.inner_text("#nothing")
    assert page.is_hidden("#pictures")


# -------------------------------------------------------------------- activity


def test_a_passenger_is_found_and_one_never_asked_about_is_not(visit: Open) -> None:
    page = visit("/activity").page
    page.wait_for_selector("#latest tr")
    assert page.inner_text("#total") == "60 predictions"
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
    assert page.inner_text("#passenger-error").startswith("“nobody” is not a whole number.")
    page.locator("#latest a").first.click()
    page.wait_for_selector("#of-one tr")
    assert "Passenger 1019" in page.inner_text("#of-one-title")


def test_the_source_of_each_prediction_is_shown_and_can_be_chosen(
    visit: Open, server: Server
) -> None:
    page = visit("/predict").page
    predict(page, "1", "1", "8,50")
    page.wait_for_selector("#what-if tr")
    page.goto(f"{server.url}/activity")
    page.wait_for_selector("#latest tr")
    sources = [row.split("\t")[-1] for row in page.locator("#latest tr").all_inner_texts()]
    assert sources == ["page"] + ["batch"] * 49
    page.select_option("#source", "page")
    assert page.locator("#latest tr").count() == 1
    page.select_option("#source", "api")
    assert "None of the latest 50 predictions has source api" in page.inner_text("#latest-empty")
    assert page.evaluate(ACCESSIBLE) == []


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
    predict(page, "1", "1", "8.50")
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


def test_a_form_that_is_sent_after_the_session_ended_says_so(
    visit: Open, closed: tuple[Server, dict[str, str]]
) -> None:
    running, keys = closed
    page = visit("/signin?next=/predict", of=running).page
    page.fill("#key", keys["visitor"])
    page.press("#key", "Enter")
    page.wait_for_url("**/predict")
    page.context.clear_cookies()
    predict(page, "1", "1", "8.50")
    page.wait_for_selector("#failed a")
    assert "You are not signed in any more" in page.inner_text("#failed")
    assert page.get_attribute("#failed a", "href") == "/signin?next=%2Fpredict"


# -------------------------------------------------------------------- print and forced colours


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_without_what_only_a_screen_needs(visit: Open, name: str) -> None:
    seen = visit(PAGES[name], scheme="dark")
    settled(name, seen)
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert seen.page.locator("nav:visible, button:visible, dialog:visible").count() == 0
    paper = "getComputedStyle(document.body).backgroundColor"
    assert seen.page.evaluate(paper) == "rgb(255, 255, 255)"
    assert seen.contrast("h1") > 15


def test_with_forced_colours_the_current_page_is_still_marked(visit: Open) -> None:
    page = visit("/monitoring").page
    page.emulate_media(forced_colors="active")
    style = """name => getComputedStyle([...document.querySelectorAll('nav a')]
        .find(link => link.textContent === name)).textDecorationLine"""
    assert page.evaluate(style, "Monitoring") == "underline"
    assert page.evaluate(style, "Model") == "none"
