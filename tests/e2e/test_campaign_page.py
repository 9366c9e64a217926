"""The Campaign page in a real browser: a list goes in, a verdict and a list to bid on come out."""

import csv
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from clv.service.pages import static
from support.browser import ACCESSIBLE, DESKTOP, PHONE, Open, Scheme, draw_all, shot
from support.browser import visit as open_file
from support.server import Server, serving
from support.workbooks import write_xlsx

EXAMPLE = Path(static.__file__).parent / "static" / "example-passengers.csv"
HEADER = "id,recency_7,frequency_7,monetary_7\n"
TERMS = {"margin": 0.25, "cost": 2.5, "on_invalid": "skip"}
PICTURES = 4


def judged(page: Page) -> None:
    """Wait until the verdict that was asked for last is there, drawn."""
    page.wait_for_selector("#verdict-title:not([data-former])")
    draw_all(page)
    page.wait_for_function(
        "n => document.querySelectorAll('#verdict .main-svg').length >= n", arg=PICTURES
    )


def judge(page: Page, content: str | bytes, name: str = "list.csv") -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    page.set_input_files("#list", {"name": name, "mimeType": "text/csv", "buffer": raw})
    page.evaluate("document.getElementById('verdict-title')?.setAttribute('data-former', '')")
    page.click("#send")
    expect(page.locator("#working")).to_be_hidden(timeout=30_000)


def asked(server: Server, content: bytes, **terms: Any) -> dict[str, Any]:
    """What the API says of the same list."""
    with server.client() as client:
        answer = client.post(
            "/api/segments/evaluate",
            params=TERMS | terms,
            content=content,
            headers={"content-type": "text/csv"},
        )
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def tiles(page: Page) -> dict[str, str]:
    """The figures below the verdict, by what they are called."""
    pairs = page.eval_on_selector_all(
        "#verdict .tiles > div",
        "all => all.map(one => [one.querySelector('dt').textContent, "
        "one.querySelector('dd').textContent])",
    )
    return {str(name): str(value) for name, value in pairs}


def list_error(page: Page) -> str:
    page.wait_for_selector("#list-error:not([hidden])")
    return page.inner_text("#list-error")


def failure(page: Page) -> str:
    page.wait_for_selector("#failed:not([hidden])")
    assert page.evaluate(ACCESSIBLE) == []
    assert not page.is_visible("#working")
    return page.inner_text("#failed")


# -------------------------------------------------------------------- the verdict


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_example_gets_its_verdict_whole_and_readable(
    visit: Open, width: int, scheme: Scheme
) -> None:
    seen = visit("/", width=width, scheme=scheme)
    seen.page.click("#example")
    judged(seen.page)
    shot(seen, f"campaign-verdict-{scheme}-{width}")
    assert seen.page.evaluate("document.activeElement.id") == "verdict-title"
    seen.fits(width)


def test_the_page_says_what_the_api_says(visit: Open, server: Server) -> None:
    page = visit("/").page
    judge(page, EXAMPLE.read_bytes())
    judged(page)
    said = asked(server, EXAMPLE.read_bytes())
    found = tiles(page)
    assert found["Margin less cost"] == _euros(said["value_less_cost"]["mean"])
    assert found["Lift at break-even"] == f"{said['minimum_lift']:.1%}"
    page.fill("#lift", "33.3")
    page.fill("#cost", "€0,40")  # as people write it in most of Europe
    page.fill("#margin", "20 %")
    page.click("#send")
    page.wait_for_selector("text=margin 20%, assumed lift 33.3%")
    said = asked(server, EXAMPLE.read_bytes(), lift=0.333, cost=0.4, margin=0.2)
    assert page.inner_text("#verdict-title").lower() == said["verdict"]
    found = tiles(page)
    assert found["Profit"] == _euros(said["expected_profit"]["mean"])
    assert found["Break-even cost per passenger"] == f"€{said['break_even_cost']:.2f}"
    mean = said["expected_increment"]["mean"]
    assert found["Expected further spend per passenger"] == f"€{mean:.2f}"
    assert found["Ride again"] == f"{said['returning']:.1%}"


def _euros(amount: float) -> str:
    return f"{'-' if round(amount) < 0 else ''}€{abs(round(amount)):,}"


def test_a_list_may_be_dropped(visit: Open) -> None:
    page = visit("/").page
    page.evaluate(
        """content => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([content], "dropped.csv", {type: "text/csv"}));
            for (const name of ["dragover", "drop"])
                document.getElementById("drop").dispatchEvent(
                    new DragEvent(name, {dataTransfer: dropped, bubbles: true, cancelable: true}));
        }""",
        EXAMPLE.read_text(),
    )
    expect(page.locator("#drop-says")).to_have_text("dropped.csv")
    page.click("#send")
    judged(page)


def test_by_keys_alone_one_gets_from_the_list_to_the_download(visit: Open) -> None:
    page = visit("/").page
    reached: list[str] = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        if reached[-1] == "example":
            break
    assert "list" in reached
    page.keyboard.press("Enter")
    judged(page)
    walked: list[str] = []
    for _ in range(12):
        page.keyboard.press("Tab")
        walked.append(page.evaluate("document.activeElement.id"))
        if walked[-1] == "depth":
            break
    assert walked[0] == "lift-slider"
    assert walked[-1] == "depth"
    before = page.inner_text("#depth-count")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#depth-count") != before
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "download"
    with page.expect_download() as downloading:
        page.keyboard.press("Enter")
    assert downloading.value.suggested_filename == "chosen-passengers.csv"


def test_nothing_jumps_below_the_reader_when_the_verdict_comes(visit: Open) -> None:
    page = visit("/").page
    before = page.evaluate("document.getElementById('ask').getBoundingClientRect().toJSON()")
    page.evaluate("window.scrollTo(0, 0)")
    page.click("#example")
    judged(page)
    page.evaluate("window.scrollTo(0, 0)")
    after = page.evaluate("document.getElementById('ask').getBoundingClientRect().toJSON()")
    assert [after[side] for side in ("x", "y", "width")] == [
        before[side] for side in ("x", "y", "width")
    ]


# -------------------------------------------------------------------- the lift


def test_without_a_lift_there_is_no_verdict_on_the_campaign(visit: Open, server: Server) -> None:
    page = visit("/").page
    page.click("#example")
    judged(page)
    said = asked(server, EXAMPLE.read_bytes())
    least, safe = (
        math.ceil(100 * said[name]) for name in ("minimum_lift", "minimum_lift_cautious")
    )
    assert page.inner_text("#verdict-title") == (
        f"Pays if it raises their further spending by {least}% or more; to be safe, {safe}%"
    )
    assert page.locator("#verdict .verdict").count() == 0, "no badge, of whatever colour"
    total = said["total_increment"]
    amounts = [f"€{total[name]:,.0f}" for name in ("mean", "low", "high")]
    assert "Expected further spend of these passengers: {} (90% interval: {} to {}).".format(
        *amounts
    ) in page.inner_text("#answer")
    visible = page.inner_text("#verdict").lower()
    assert "worth it" not in visible
    assert "profit" not in visible


def test_the_slider_of_the_lift_changes_everything_at_once_without_the_service(
    visit: Open, server: Server
) -> None:
    seen = visit("/")
    page = seen.page
    judge(page, EXAMPLE.read_bytes())
    judged(page)
    before = len(seen.requests)
    slider = page.locator("#lift-slider")
    slider.focus()
    found: dict[float, tuple[str, str]] = {}
    at = 0
    for lift in (0.1, 0.5):
        while page.inner_text("#lift-label") != f"{lift:.0%}":
            page.keyboard.press("ArrowRight")
            at += 1
            assert at < 60
        said = asked(server, EXAMPLE.read_bytes(), lift=lift)
        assert page.inner_text("#verdict-title").lower() == said["verdict"]
        spoken = slider.get_attribute("aria-valuetext")
        assert spoken == f"{lift:.0%}: {said['verdict'].capitalize()}"
        values = tiles(page)
        assert values["Profit"] == _euros(said["expected_profit"]["mean"])
        assert values["Break-even cost per passenger"] == f"€{said['break_even_cost']:.2f}"
        assert page.input_value("#lift") == f"{100 * lift:g}"
        assert page.inner_text("#depth-count") == f"{said['best']['customers']:,}"
        assert f"{said['holdout']['needed']:,} passengers" in page.inner_text("#holdout") or (
            f"{said['holdout']['control']:,} of the" in page.inner_text("#holdout")
        )
        title = page.inner_text("figure:has([data-figure=depth]) h3")
        assert title.startswith("Profit is highest with")
        page.wait_for_function(
            "([n, profit]) => { const {x, y} = document.querySelector('[data-figure=depth]')"
            ".data[2]; return Math.abs(y[x.indexOf(n)] - profit) < 0.01 }",
            arg=[said["best"]["customers"], said["best"]["profit"]],
        )
        page.wait_for_function(
            "needed => Math.abs(document.querySelector('[data-figure=increment]')"
            ".layout.shapes[0].x0 - needed) < 1e-6",
            arg=2.5 / (0.25 * lift),
        )
        found[lift] = (page.inner_text("#answer"), page.inner_text("#tiles"))
    assert found[0.1] != found[0.5]
    assert not page.is_visible("#outdated")
    slider.press("Home")
    assert page.inner_text("#verdict-title").startswith("Pays if it raises")
    assert page.input_value("#lift") == ""
    asked_since = [url for url in seen.requests[before:] if "/static/" not in url]
    assert asked_since == [], "nothing is sent"
    page.fill("#lift", "20")
    assert page.inner_text("#lift-label") == "20%", "a lift that is typed moves the slider"
    assert page.evaluate(ACCESSIBLE) == []


def test_the_part_of_the_list_that_would_pay_is_named(visit: Open, server: Server) -> None:
    page = visit("/").page
    page.fill("#lift", "10")
    judge(page, EXAMPLE.read_bytes())
    judged(page)
    best = asked(server, EXAMPLE.read_bytes(), lift=0.1)["best"]
    assert 0 < best["customers"] < 400
    assert page.inner_text("#verdict-title") == "Not worth it"
    assert f"Not all 400: the best {best['customers']} " in page.inner_text("#answer")
    assert f"€{best['profit']:,.0f} (" in page.inner_text("#answer")


def test_if_no_lift_could_make_it_pay_that_is_said(visit: Open) -> None:
    page = visit("/").page
    page.fill("#cost", "900000")
    judge(page, lists(*GOOD))
    judged(page)
    assert page.inner_text("#verdict-title").startswith(
        "Hardly: it would have to raise their further spending by"
    )


# -------------------------------------------------------------------- kept, outdated, shared


def test_a_verdict_is_marked_as_outdated_until_it_is_judged_again(visit: Open) -> None:
    seen = visit("/")
    page = seen.page
    judge(page, lists(*GOOD))
    judged(page)
    mark = page.locator("#outdated")
    expect(mark).to_be_hidden()
    for name, value, says in (("margin", "30", "the margin"), ("cost", "3", "the cost")):
        was = page.input_value(f"#{name}")
        page.fill(f"#{name}", value)
        expect(mark).to_contain_text(f"Outdated. You changed {says} after this verdict.")
        assert page.evaluate(ACCESSIBLE) == []
        page.fill(f"#{name}", was)
        expect(mark).to_be_hidden()
    page.fill("#lift", "12.34")
    expect(mark).to_contain_text("You changed the lift")
    page.fill("#lift", "")
    other = lists(*GOOD[:40])
    page.set_input_files(
        "#list", {"name": "other.csv", "mimeType": "text/csv", "buffer": other.encode()}
    )
    expect(mark).to_contain_text("You changed the list")
    shot(seen, "campaign-outdated-light-1200")
    mark.get_by_role("button", name="Judge again").click()
    expect(page.locator("#answer")).to_contain_text("40 passengers")
    expect(mark).to_be_hidden()


def test_refresh_and_back_keep_form_and_verdict(visit: Open) -> None:
    seen = visit("/")
    page = seen.page
    page.fill("#margin", "20")
    judge(page, lists(*GOOD), "april.csv")
    judged(page)
    page.locator("#lift-slider").press("End")
    page.wait_for_function("() => location.hash.includes('lift=')")
    kept = page.inner_text("#answer")

    def is_as_before() -> None:
        judged(page)
        assert page.inner_text("#answer") == kept
        assert page.input_value("#margin") == "20"
        assert page.input_value("#lift") != ""
        assert "april.csv" in page.inner_text("#drop")
        assert not page.is_visible("#outdated")

    page.reload()
    is_as_before()
    page.goto(page.url.split("#")[0] + "predict")
    page.go_back()
    is_as_before()
    page.click("nav a:has-text('Model')")
    page.click("nav a:has-text('Campaign')")
    is_as_before()
    assert sum("/campaign/judge" in url for url in seen.requests) == 1
    kept_rows = page.evaluate("Object.values(sessionStorage).join('')")
    assert GOOD[7] not in kept_rows
    page.click("#download")
    assert list_error(page) == "Choose april.csv again: the service keeps no list."
    page.fill("#cost", "9")
    expect(page.locator("#outdated")).to_contain_text("You changed the cost")
    page.click("#send")
    assert list_error(page) == "Choose april.csv again: the service keeps no list."


def test_a_link_to_the_example_shows_the_same_verdict_to_somebody_else(visit: Open) -> None:
    page = visit("/").page
    page.fill("#margin", "20")
    page.click("#example")
    judged(page)
    page.locator("#lift-slider").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash.includes('lift=12')")
    address = urlsplit(page.url)
    other = visit(f"/campaign#{address.fragment}").page  # the address of old bookmarks
    judged(other)
    assert urlsplit(other.url).path == "/"
    assert other.inner_text("#answer") == page.inner_text("#answer")
    assert other.inner_text("#tiles") == page.inner_text("#tiles")
    page.click("#copy")
    expect(page.locator("#copied")).not_to_be_empty()


def test_a_link_to_an_own_list_brings_its_terms_and_asks_for_the_file(visit: Open) -> None:
    page = visit("/").page
    page.fill("#cost", "40")
    page.fill("#lift", "10")
    judge(page, lists(*GOOD), "april.csv")
    judged(page)
    fragment = urlsplit(page.url).fragment
    other = visit(f"/#{fragment}").page
    said = other.inner_text("#linked")
    assert "the list “april.csv” (60 passengers: Not worth it)" in said
    assert "choose that list" in said
    assert (other.input_value("#cost"), other.input_value("#lift")) == ("40", "10")
    assert other.evaluate(ACCESSIBLE) == []
    judge(other, lists(*GOOD), "april.csv")
    judged(other)
    assert other.inner_text("#answer") == page.inner_text("#answer")
    assert not other.is_visible("#linked")
    spoofed = visit("/#margin=1&cost=1&verdict=Call+me&list=<img+src=x>&passengers=many").page
    assert "Call me" not in spoofed.inner_text("main")
    assert spoofed.locator("#linked img").count() == 0


def test_a_verdict_prints_without_form_buttons_and_sliders(visit: Open) -> None:
    seen = visit("/", scheme="dark")
    page = seen.page
    page.click("#example")
    judged(page)
    page.emulate_media(media="print", color_scheme="light")
    for name in ("#ask", "#lift-slider", "#depth", "#download", "#copy", "#print"):
        assert not page.is_visible(name), name
    for name in ("#verdict-title", "#tiles", "#warnings", "#holdout"):
        assert page.is_visible(name), name
    for part in page.locator("#tiles, #verdict figure").all():
        assert part.evaluate("one => getComputedStyle(one).breakInside") == "avoid"
    shot(seen, "campaign-print")


def test_the_form_stays_beside_a_long_verdict(visit: Open) -> None:
    page = visit("/").page
    page.click("#example")
    judged(page)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight / 2)")
    for name in ("#margin", "#cost", "#lift", "#send"):
        box = page.locator(name).bounding_box()
        assert box is not None
        assert 0 <= box["y"] < 900 - box["height"], name


# -------------------------------------------------------------------- how deep


def test_the_slider_shows_each_depth_and_the_download_is_of_that_one(
    visit: Open, server: Server
) -> None:
    page = visit("/").page
    page.fill("#cost", "6")
    page.fill("#lift", "60")
    judge(page, EXAMPLE.read_bytes())
    judged(page)
    said = asked(server, EXAMPLE.read_bytes(), cost=6, lift=0.6)
    depths = {f"{one['customers']:,}": one for one in said["depths"]}
    assert page.inner_text("#depth-count") == f"{said['best']['customers']:,}"
    slider = page.locator("#depth")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box() or pytest.fail("the slider is not there")
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    chosen = depths[page.inner_text("#depth-count")]
    assert 0 < chosen["customers"] != said["best"]["customers"]
    words = page.inner_text("#depth-says")
    assert f"Profit €{chosen['profit']:,.2f}" in words.replace("-€", "€-")
    probability = chosen["probability_worth_it"]
    expected = f"{probability:.1%}" if 0.0005 <= probability <= 0.9995 else "99.9%"
    assert expected in words or "under 0.1%" in words
    with page.expect_download() as downloading:
        page.click("#download")
    with Path(downloading.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == chosen["customers"]
    values = [float(row["value"]) for row in rows]
    assert values == sorted(values, reverse=True)
    page.click("#to-best")
    assert page.inner_text("#depth-count") == f"{said['best']['customers']:,}"
    slider.press("Home")
    assert page.inner_text("#depth-says") == "No passengers selected."
    assert page.is_disabled("#download")


def test_the_download_is_of_the_list_that_was_judged(visit: Open) -> None:
    page = visit("/").page
    judge(page, lists(*GOOD))
    judged(page)
    chosen = int(page.inner_text("#depth-count"))
    other = lists(*(f"other-{k},7,6,95.50" for k in range(80)))
    page.set_input_files(
        "#list", {"name": "other.csv", "mimeType": "text/csv", "buffer": other.encode()}
    )
    expect(page.locator("#drop-says")).to_have_text("other.csv")
    with page.expect_download() as downloading:
        page.click("#download")
    text = Path(downloading.value.path()).read_text()
    assert "other" not in text
    assert len(text.splitlines()) == 1 + chosen


def test_a_download_that_fails_is_said(visit: Open) -> None:
    seen = visit("/")
    seen.page.click("#example")
    judged(seen.page)
    seen.page.route("**/campaign/chosen*", lambda route: route.abort())
    seen.page.click("#download")
    assert "does not answer" in failure(seen.page)
    assert seen.page.is_enabled("#download")
    seen.complaints[:] = [one for one in seen.complaints if "ERR_FAILED" not in one]


# -------------------------------------------------------------------- lists as people have them


def lists(*rows: str) -> str:
    return HEADER + "".join(f"{row}\n" for row in rows)


GOOD = [f"{k},{1 + k % 7},{1 + k % 5},{10 + k % 50}.50" for k in range(60)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("semicolons and decimal commas.csv", lists(*GOOD).replace(",", ";").replace(".50", ",50")),
        ("tabs.tsv", lists(*GOOD).replace(",", "\t")),
        ("a mark.csv", "\ufeff" + lists(*GOOD)),
        ("windows.csv", lists(*GOOD).replace("\n", "\r\n")),
    ],
)
def test_however_a_spreadsheet_writes_a_list_the_verdict_is_the_same(
    visit: Open, name: str, content: str
) -> None:
    page = visit("/").page
    judge(page, content, name)
    judged(page)
    assert page.locator("#findings-title").count() == 0
    found = tiles(page)
    judge(page, lists(*GOOD))
    judged(page)
    assert tiles(page) == found


def test_columns_with_other_names_are_matched_by_choice(visit: Open) -> None:
    seen = visit("/", width=PHONE)
    page = seen.page
    content = lists(*GOOD).replace(HEADER, "Kunde,Tag,Fahrten,Umsatz\n")
    judge(page, content)
    said = list_error(page)
    assert said.startswith("Choose below which column of the list is: passenger id; day of the")
    assert page.is_visible("#map-id")
    shot(seen, "campaign-mapping-light-360")
    for column, name in (
        ("id", "Kunde"),
        ("recency_7", "Tag"),
        ("frequency_7", "Fahrten"),
        ("monetary_value_7", "Umsatz"),
    ):
        page.select_option(f"#map-{column}", name)
    assert page.evaluate(ACCESSIBLE) == []
    heading = page.inner_text("#preview th:has-text('Fahrten')")
    assert heading.split("\n") == ["Fahrten", "Rides in the first 7 days"]
    page.click("#send")
    judged(page)
    assert not page.is_visible("#failed")
    guessed = lists(*GOOD).replace(HEADER, "customer,last day,rides,spent\n")
    page.set_input_files(
        "#list", {"name": "b.csv", "mimeType": "text/csv", "buffer": guessed.encode()}
    )
    expect(page.locator("#map-id")).to_have_value("customer")
    for column, name in (("recency_7", "last day"), ("monetary_value_7", "spent")):
        assert page.input_value(f"#map-{column}") == name


def test_a_list_is_looked_at_before_it_is_judged(visit: Open) -> None:
    seen = visit("/")
    page = seen.page
    rows = [f"{k};{1 + k % 7};{1 + k % 5};1.{k % 900 + 100},50" for k in range(20_000)]
    content = "id;last day;frequency_7;monetary_7\n" + "\n".join(rows) + "\n"
    page.set_input_files(
        "#list", {"name": "a.csv", "mimeType": "text/csv", "buffer": content.encode()}
    )
    table = page.locator("#preview table")
    expect(table.locator("tbody tr")).to_have_count(5)
    heads = [one.split("\n")[:2] for one in table.locator("th").all_inner_texts()]
    assert heads == [
        ["id", "Passenger id"],
        ["last day", "Day of the last ride (1 to 7)"],
        ["frequency_7", "Rides in the first 7 days"],
        ["monetary_7", "Money spent in the first 7 days"],
    ]
    assert "1.234,50" in table.locator("th").last.inner_text(), "how its numbers are read"
    assert table.locator("tbody tr").first.inner_text().split() == ["0", "1", "1", "1.100,50"]
    assert page.evaluate(ACCESSIBLE) == []
    assert seen.overflow() == 0
    shot(seen, "campaign-preview-light-1200")
    assert not any("/campaign/judge" in url for url in seen.requests)
    page.click("#send")
    expect(page.locator("#answer")).to_contain_text("20,000 passengers")


def test_columns_of_another_tool_are_not_taken_for_ours(visit: Open) -> None:
    page = visit("/").page
    judge(page, "customer_id,recency,frequency,T,monetary_value\n1,6,3,7,12\n", "rfm.csv")
    assert list_error(page).startswith("Choose below which column of the list is: day of the last")
    assert "This list is a table of another tool" in page.inner_text("#preview .wrong")
    assert page.input_value("#map-recency_7") == ""
    assert page.evaluate(ACCESSIBLE) == []


def test_four_columns_fit_beside_the_form(visit: Open) -> None:
    page = visit("/").page
    page.set_input_files("#list", EXAMPLE)
    table = page.locator("#preview .scroll")
    expect(table).to_be_visible()
    assert table.evaluate("box => box.scrollWidth - box.clientWidth") == 0


def test_a_usual_lift_is_judged_at_once_even_if_much_more_is_needed(visit: Open) -> None:
    page = visit("/").page
    judge(page, lists("7,3,2,23.50"))
    page.wait_for_selector("#verdict-title")
    page.fill("#lift", "10")
    expect(page.locator("#verdict-title")).to_have_text("Not worth it")
    expect(page.locator("#outdated")).to_be_hidden()


def test_the_sheet_of_a_workbook_can_be_chosen(visit: Open, tmp_path: Path) -> None:
    page = visit("/", width=PHONE).page
    head = HEADER.strip().split(",")
    sheets = {
        name: [head, *([k, 1 + k % 7, 1 + k % 5, 10.5 + k] for k in range(rows))]
        for name, rows in (("April", 60), ("May", 40))
    }
    notes = {"Notes": [["made by", "marketing"]]}
    book = write_xlsx(tmp_path / "plan.xlsx", notes | sheets)
    page.set_input_files("#list", book)
    expect(page.locator("#sheet")).to_have_value("April")
    page.click("#send")
    expect(page.locator("#answer")).to_contain_text("60 passengers")
    page.click("#preview-fold > summary")
    page.select_option("#sheet", "May")
    expect(page.locator("#outdated")).to_contain_text("You changed the sheet")
    page.click("#send")
    expect(page.locator("#answer")).to_contain_text("40 passengers")
    assert page.evaluate(ACCESSIBLE) == []
    with page.expect_download() as downloading:
        page.click("#download")
    assert len(Path(downloading.value.path()).read_text().splitlines()) == 41


def test_numbers_that_can_be_read_in_two_ways_are_asked_for(visit: Open) -> None:
    seen = visit("/", width=PHONE)
    page = seen.page
    content = HEADER + "".join(f'{k},3,2,"{k % 9 + 1},234"\n' for k in range(40))
    judge(page, content)
    assert list_error(page) == "Choose below how its numbers are written."
    problem = page.inner_text("#number-problem")
    assert "can be read in two ways" in problem
    assert "--" not in problem
    shot(seen, "campaign-ambiguous-light-360")
    page.select_option("#decimal", ".")
    expect(page.locator("#number-problem")).to_have_count(0)
    page.click("#send")
    judged(page)
    thousands = tiles(page)["Expected further spend per passenger"]
    page.click("#preview-fold > summary")
    page.select_option("#decimal", ",")
    expect(page.locator("#outdated")).to_contain_text("notation of numbers")
    page.click("#send")
    expect(page.locator("#outdated")).to_be_hidden()
    assert tiles(page)["Expected further spend per passenger"] != thousands


def test_one_passenger_is_worded_as_one(visit: Open) -> None:
    seen = visit("/", width=PHONE)
    page = seen.page
    judge(page, lists("7,3,2,23.50"))
    page.wait_for_selector("#verdict-title")
    page.locator("#lift-slider").press("ArrowRight")
    text = page.inner_text("#verdict")
    assert "1 passenger," in text
    assert "1 passengers" not in text
    assert tiles(page)["Rides again"].endswith("% likely")
    assert page.locator("[data-figure]").count() == 1
    shot(seen, "campaign-one-light-360")
    seen.fits(PHONE)
    judge(page, lists(*GOOD[:3]))
    judged(page)
    labels = page.locator("[data-figure=depth] .xtick text").all_text_contents()
    assert labels
    assert len(labels) == len(set(labels)), "no number stands twice on an axis"


def test_rows_that_cannot_be_used_are_listed_with_what_to_do(visit: Open) -> None:
    seen = visit("/", width=PHONE)
    page = seen.page
    bad = ["900,9,1,5.00", "901,1,1,many", "902,3,0,5.00", "1,2,2,11.50", "1,3,2,12.50", GOOD[4]]
    judge(page, lists(*GOOD, *bad))
    judged(page)
    shot(seen, "campaign-findings-light-360")
    said = page.inner_text("#findings-title")
    assert said.endswith("of 66 rows were left out")
    assert "row 1 is line 2 in a spreadsheet" in page.inner_text("section:has(#findings-title)")
    told = page.locator(".findings li").all_inner_texts()
    for parts in (
        ("recency_7", "row 61 holds 9", "expected a whole number from 0 to 7", "Correct it."),
        ("monetary_7", "row 62 holds 'many'", "expected a number", "Correct it."),
        ("recency_7=3, frequency_7=0", "no ride, all three must be 0; otherwise count the ride."),
        ("id 1", "say different things", "Keep one row per id"),
        ("id 4", "same row again", "Nothing to do"),
    ):
        assert any(all(part in one for part in parts) for one in told), (parts, told)
    assert page.evaluate(ACCESSIBLE) == []
    assert seen.overflow() == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(2_000), "Excel workbook"),
        (bytes(range(1, 256)) * 20, "cannot be read"),
        (bytes(range(256)) * 20, "save the table as 'CSV UTF-8'"),
        (HEADER.encode(), "no rows"),
        (b"id,recency_7,frequency_7,monetary_7\n1,2\n3,4,5,6,7,8\n", "cannot be read"),
        (b"," * 50_000 + b"\n1,2\n", "its first line has 50,001 cells"),
        (lists("1,9,1,5.00").encode(), "cannot be used"),
    ],
    ids=["workbook", "latin", "binary", "only a header", "ragged", "columns", "nothing usable"],
)
def test_what_is_no_list_is_told_and_the_next_list_is_judged(
    visit: Open, content: bytes, says: str
) -> None:
    seen = visit("/", scheme="dark")
    judge(seen.page, content, "april.csv")
    said = failure(seen.page)
    assert says in said
    assert "list.csv" not in said, "it speaks of a file that nobody has"
    shot(seen, "campaign-refused-dark-1200")
    judge(seen.page, lists(*GOOD))
    judged(seen.page)
    assert not seen.page.is_visible("#failed")


def test_a_list_of_a_gigabyte_is_refused_before_it_is_sent(visit: Open, tmp_path: Path) -> None:
    seen = visit("/", width=PHONE)
    page = seen.page
    large = tmp_path / "large.csv"
    with large.open("w") as file:
        file.write(HEADER)
        file.truncate(10**9)  # a hole: it takes no room
    page.set_input_files("#list", large)
    page.click("#send")
    said = list_error(page)
    assert "The list has 1.0 GB; at most 1.0 MB are read here" in said
    assert page.evaluate("document.activeElement.id") == "list"
    assert not any("/campaign/judge" in url for url in seen.requests)
    shot(seen, "campaign-large-light-360")
    assert seen.overflow() == 0
    # And where a page does not know it, the service says so.
    page.evaluate("document.getElementById('ask').dataset.mostBytes = '1e12'")
    page.set_input_files(
        "#list", {"name": "m.csv", "mimeType": "text/csv", "buffer": b"x" * 1_500_000}
    )
    page.click("#send")
    assert any(part in failure(page) for part in ("bytes", "lists of this size"))
    seen.complaints[:] = [one for one in seen.complaints if "ERR_" not in one]


def test_without_a_list_or_with_an_empty_one_nothing_is_sent(visit: Open) -> None:
    seen = visit("/")
    seen.page.click("#send")
    assert list_error(seen.page) == "Choose a list first: a CSV or Excel file."
    judge(seen.page, b"")
    seen.page.wait_for_selector("text=The file is empty")
    assert not any("/campaign/judge" in url for url in seen.requests)


def test_terms_that_mean_nothing_are_told_beside_their_fields(visit: Open) -> None:
    page = visit("/").page
    margin = "Enter a percentage from 0.01 to 100."
    lift = "Enter a percentage from 0.01 to 1,000, or leave it empty."
    for values, says in (
        (
            ("much", "-1", "0"),
            (margin, "Enter an amount from 0 to 1,000,000.", lift),
        ),
        (
            ("", "", "2000"),
            (
                "Enter what you keep of every 100 a passenger spends.",
                "Enter what you pay per targeted passenger; 0 if it costs nothing.",
                lift,
            ),
        ),
        (
            ("250", "1,234", "x"),
            (margin, "1,234 can mean two numbers. Enter it without a comma.", lift),
        ),
    ):
        for name, value in zip(("margin", "cost", "lift"), values, strict=True):
            page.fill(f"#{name}", value)
        judge(page, lists(*GOOD))
        for name, text in zip(("margin", "cost", "lift"), says, strict=True):
            expect(page.locator(f"#{name}-error")).to_have_text(text)
            assert page.get_attribute(f"#{name}", "aria-invalid") == "true"
        assert page.evaluate("document.activeElement.id") == "margin"
        assert page.evaluate(ACCESSIBLE) == []
    assert not page.is_visible("#verdict-title")


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("8,50", "8.5"), ("€ 8.50", "8.5"), ("8.50 EUR", "8.5"), ("1,234.50", "1234.5"),
     ("1.234,50", "1234.5"), ("1 234,50", "1234.5"), (".5", "0.5"), ("0", "0")],
)  # fmt: skip
def test_amounts_are_read_as_people_write_them(visit: Open, typed: str, sent: str) -> None:
    seen = visit("/")
    seen.page.fill("#cost", typed)
    judge(seen.page, lists(*GOOD))
    judged(seen.page)
    (url,) = [url for url in seen.requests if "/campaign/judge" in url]
    assert parse_qs(urlsplit(url).query)["cost"] == [sent]


def test_progress_is_shown_while_a_list_is_judged(visit: Open) -> None:
    page = visit("/").page
    shown = """() => {
        const seen = window.seen = [];
        new MutationObserver(() => seen.push(document.getElementById('working-says').textContent))
            .observe(document.getElementById('working'), {subtree: true, childList: true});
    }"""
    page.evaluate(shown)
    judge(page, lists(*(f"{k},3,2,41.50" for k in range(50_000))))
    judged(page)
    assert "Predicting and judging…" in page.evaluate("window.seen")
    assert not page.is_visible("#working")
    assert page.is_enabled("#send")


def test_a_service_that_is_gone_is_said(visit: Open) -> None:
    seen = visit("/")
    seen.page.route("**/campaign/judge*", lambda route: route.abort())
    judge(seen.page, lists(*GOOD))
    assert "does not answer" in failure(seen.page)
    seen.complaints[:] = [one for one in seen.complaints if "ERR_FAILED" not in one]


def test_without_a_model_the_page_says_so_and_what_to_do(visit: Open, tmp_path: Path) -> None:
    with serving(tmp_path) as empty:
        seen = visit("/", of=empty)
        assert "clv train" in seen.page.inner_text("main")
        judge(seen.page, lists(*GOOD))
        assert "There is no model yet" in failure(seen.page)
        seen.complaints[:] = [one for one in seen.complaints if "status of 503" not in one]


# -------------------------------------------------------------------- who may


def test_one_signs_in_judges_and_is_told_when_the_session_is_over(
    visit: Open, closed: tuple[Server, dict[str, str]]
) -> None:
    running, keys = closed
    seen = visit("/", width=PHONE, of=running)
    page = seen.page
    assert "/signin?next=%2F" in page.url
    page.fill("#key", keys["visitor"])
    page.press("#key", "Enter")
    page.wait_for_url("**/")
    judge(page, lists(*GOOD))
    judged(page)
    page.context.clear_cookies()
    page.click("#send")
    assert "You are not signed in any more" in failure(page)
    shot(seen, "campaign-signed-out-light-360")
    page.click("#failed a")
    page.fill("#key", keys["visitor"])
    page.press("#key", "Enter")
    page.wait_for_url("**/")


# -------------------------------------------------------------------- the same verdict as a file


@pytest.fixture(scope="module")
def written(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `clv segment` writes of a list with slips in it."""
    folder = tmp_path_factory.mktemp("segment")
    (folder / "list.csv").write_text(lists(*GOOD, "900,9,1,5.00", "901,1,1,many"))
    terms = ["--margin", "0.25", "--cost", "2.5", "--on-invalid", "skip", "--html", "page.html"]
    subprocess.run(
        [sys.executable, "-m", "clv", "segment", "list.csv", *terms],
        cwd=folder,
        env={**os.environ, "CLV_HOME": str(home), "CLV_CURRENCY": "EUR"},
        check=True,
        capture_output=True,
    )
    return folder / "page.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_page_of_clv_segment_is_whole_offline(
    browser: Browser, written: Path, width: int, scheme: Scheme
) -> None:
    seen = open_file(browser, written, width=width, scheme=scheme)
    shot(seen, f"segment-{scheme}-{width}")
    assert seen.complaints == []
    assert seen.requests == [written.as_uri()]
    assert seen.overflow() == 0
    assert seen.cut_off() == []
    assert len(seen.plots()) == PICTURES
    assert all(plot["drawn"] > 0 and plot["width"] <= width for plot in seen.plots())
    # It has no site around it, so no landmarks; its plots have their titles above them as text.
    known = ("no header", "no nav", "no main", "no footer", "svg that says nothing")
    wrong = [one for one in seen.page.evaluate(ACCESSIBLE) if not one.startswith(known)]
    assert wrong == []
    seen.page.context.close()
