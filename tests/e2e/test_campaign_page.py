"""The Campaign page in a real browser: a list goes in, a verdict and a list to bid on come out."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from clv.service.pages import static
from support.browser import ACCESSIBLE, DESKTOP, PHONE, Open, Scheme, draw_all, shot
from support.browser import visit as open_file
from support.server import Server, serving

EXAMPLE = Path(static.__file__).parent / "static" / "example-passengers.csv"
HEADER = "id,recency_7,frequency_7,monetary_7\n"
TERMS = {"margin": 0.25, "cost": 2.5, "on_invalid": "skip"}
PICTURES = 4


def judged(page: Page) -> None:
    """Wait until the verdict is there, drawn."""
    page.wait_for_selector("#verdict-title")
    draw_all(page)
    page.wait_for_function(
        "n => document.querySelectorAll('#verdict .main-svg').length >= n", arg=PICTURES
    )


def judge(page: Page, content: str | bytes, name: str = "list.csv") -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    page.set_input_files("#list", {"name": name, "mimeType": "text/csv", "buffer": raw})
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
    seen = visit("/campaign", width=width, scheme=scheme)
    seen.page.click("#example")
    judged(seen.page)
    shot(seen, f"campaign-verdict-{scheme}-{width}")
    assert seen.page.evaluate("document.activeElement.id") == "verdict-title"
    seen.fits(width)


def test_the_page_says_what_the_api_says(visit: Open, server: Server) -> None:
    page = visit("/campaign").page
    judge(page, EXAMPLE.read_bytes())
    judged(page)
    for lift in (None, 0.3):
        if lift is not None:
            page.fill("#lift", "30")
            page.fill("#cost", "0,40")  # as people write it in most of Europe
            page.fill("#margin", "20 %")
            page.click("#send")
            page.wait_for_selector("text=20% margin, 30% lift assumed")
            said = asked(server, EXAMPLE.read_bytes(), lift=lift, cost=0.4, margin=0.2)
        else:
            said = asked(server, EXAMPLE.read_bytes())
        assert page.inner_text("#verdict-title").lower() == said["verdict"]
        found = tiles(page)
        profit = found["Profit" if lift else "Value less cost"]
        assert profit == _euros(said["expected_profit"]["mean"])
        assert found["Break-even cost a passenger"] == f"€{said['break_even_cost']:.2f}"
        assert found["Still to come, a passenger"] == f"€{said['expected_increment']['mean']:.2f}"
        assert found["Ride again"] == f"{said['returning']:.1%}"


def _euros(amount: float) -> str:
    return f"{'-' if round(amount) < 0 else ''}€{abs(round(amount)):,}"


def test_a_list_may_be_dropped(visit: Open) -> None:
    page = visit("/campaign").page
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
    page = visit("/campaign").page
    reached: list[str] = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        if reached[-1] == "example":
            break
    assert "list" in reached
    page.keyboard.press("Enter")
    judged(page)
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "depth":
            break
    before = page.inner_text("#depth-count")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#depth-count") != before
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "download"
    with page.expect_download() as downloading:
        page.keyboard.press("Enter")
    assert downloading.value.suggested_filename == "chosen-passengers.csv"


def test_nothing_jumps_below_the_reader_when_the_verdict_comes(visit: Open) -> None:
    page = visit("/campaign").page
    before = page.evaluate("document.getElementById('ask').getBoundingClientRect().toJSON()")
    page.evaluate("window.scrollTo(0, 0)")
    page.click("#example")
    judged(page)
    page.evaluate("window.scrollTo(0, 0)")
    after = page.evaluate("document.getElementById('ask').getBoundingClientRect().toJSON()")
    assert [after[side] for side in ("x", "y", "width")] == [
        before[side] for side in ("x", "y", "width")
    ]


# -------------------------------------------------------------------- how deep


def test_the_slider_shows_each_depth_and_the_download_is_of_that_one(
    visit: Open, server: Server
) -> None:
    page = visit("/campaign").page
    page.fill("#cost", "6")
    judge(page, EXAMPLE.read_bytes())
    judged(page)
    said = asked(server, EXAMPLE.read_bytes(), cost=6)
    depths = {f"{one['customers']:,}": one for one in said["depths"]}
    assert page.inner_text("#depth-count") == f"{said['best']['customers']:,}"
    slider = page.locator("#depth")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box() or pytest.fail("the slider is not there")
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    chosen = depths[page.inner_text("#depth-count")]
    assert 0 < chosen["customers"] != said["best"]["customers"]
    words = page.inner_text("#depth-says")
    assert f"Value less cost €{chosen['profit']:,.2f}" in words.replace("-€", "€-")
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
    assert page.inner_text("#depth-says") == "Nobody: no cost, and nothing earned."
    assert page.is_disabled("#download")


def test_the_download_is_of_the_list_that_was_judged(visit: Open) -> None:
    page = visit("/campaign").page
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
    seen = visit("/campaign")
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
    page = visit("/campaign").page
    judge(page, content, name)
    judged(page)
    assert page.locator("#findings-title").count() == 0
    found = tiles(page)
    judge(page, lists(*GOOD))
    judged(page)
    assert tiles(page) == found


def test_columns_with_other_names_are_matched_by_choice(visit: Open) -> None:
    seen = visit("/campaign", width=PHONE)
    page = seen.page
    content = lists(*GOOD).replace(HEADER, "Kunde,Tag,Fahrten,Umsatz\n")
    judge(page, content)
    assert "Choose below which column of the list is id, recency_7" in list_error(page)
    assert page.is_visible("#mapping")
    shot(seen, "campaign-mapping-light-360")
    for column, name in (
        ("id", "Kunde"),
        ("recency_7", "Tag"),
        ("frequency_7", "Fahrten"),
        ("monetary_value_7", "Umsatz"),
    ):
        page.select_option(f"#map-{column}", name)
    assert page.evaluate(ACCESSIBLE) == []
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


def test_rows_that_cannot_be_used_are_listed_with_what_to_do(visit: Open) -> None:
    seen = visit("/campaign", width=PHONE)
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
        ("recency_7=3, frequency_7=0", "no ride, all three are 0; else count the ride."),
        ("id 1", "say different things", "Keep one row for each id"),
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
        (bytes(range(256)) * 20, "not text in UTF-8"),
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
    seen = visit("/campaign", scheme="dark")
    judge(seen.page, content, "april.csv")
    said = failure(seen.page)
    assert says in said
    assert "list.csv" not in said, "it speaks of a file that nobody has"
    shot(seen, "campaign-refused-dark-1200")
    judge(seen.page, lists(*GOOD))
    judged(seen.page)
    assert not seen.page.is_visible("#failed")


def test_a_list_of_a_gigabyte_is_refused_before_it_is_sent(visit: Open, tmp_path: Path) -> None:
    seen = visit("/campaign", width=PHONE)
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
    seen = visit("/campaign")
    seen.page.click("#send")
    assert list_error(seen.page) == "Choose a list first: a CSV file."
    judge(seen.page, b"")
    seen.page.wait_for_selector("text=The file is empty")
    assert not any("/campaign/judge" in url for url in seen.requests)


def test_terms_that_mean_nothing_are_told_beside_their_fields(visit: Open) -> None:
    page = visit("/campaign").page
    page.fill("#margin", "much")
    page.fill("#cost", "-1")
    page.fill("#lift", "0")
    judge(page, lists(*GOOD))
    for name in ("margin", "cost", "lift"):
        page.wait_for_selector(f"#{name}-error:not([hidden])")
        assert page.get_attribute(f"#{name}", "aria-invalid") == "true"
    assert page.evaluate("document.activeElement.id") == "margin"
    assert page.evaluate(ACCESSIBLE) == []


def test_progress_is_shown_while_a_list_is_judged(visit: Open) -> None:
    page = visit("/campaign").page
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
    seen = visit("/campaign")
    seen.page.route("**/campaign/judge*", lambda route: route.abort())
    judge(seen.page, lists(*GOOD))
    assert "does not answer" in failure(seen.page)
    seen.complaints[:] = [one for one in seen.complaints if "ERR_FAILED" not in one]


def test_without_a_model_the_page_says_so_and_what_to_do(visit: Open, tmp_path: Path) -> None:
    with serving(tmp_path) as empty:
        seen = visit("/campaign", of=empty)
        assert "clv train" in seen.page.inner_text("main")
        judge(seen.page, lists(*GOOD))
        assert "There is no model yet" in failure(seen.page)
        seen.complaints[:] = [one for one in seen.complaints if "status of 503" not in one]


# -------------------------------------------------------------------- who may


def test_one_signs_in_judges_and_is_told_when_the_session_is_over(
    visit: Open, closed: tuple[Server, dict[str, str]]
) -> None:
    running, keys = closed
    seen = visit("/campaign", width=PHONE, of=running)
    page = seen.page
    assert "/signin?next=%2Fcampaign" in page.url
    page.fill("#key", keys["visitor"])
    page.press("#key", "Enter")
    page.wait_for_url("**/campaign")
    judge(page, lists(*GOOD))
    judged(page)
    page.context.clear_cookies()
    page.click("#send")
    assert "You are not signed in any more" in failure(page)
    shot(seen, "campaign-signed-out-light-360")
    page.click("#failed a")
    page.fill("#key", keys["visitor"])
    page.press("#key", "Enter")
    page.wait_for_url("**/campaign")


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
