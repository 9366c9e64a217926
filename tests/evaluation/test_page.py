"""The validation as a page: it opens anywhere, loads nothing, and escapes what it shows."""

import re
import resource
import tempfile
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from clv.errors import OutputError
from clv.evaluation import Validation, validate, write_page
from support.rights import without_rights


class Page(HTMLParser):
    """Tags, links, cells of the tables, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.styles = ""
        self._inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        loads = ("src", "href", "srcset", "data", "action", "poster", "background")
        self.links += [value or "" for name, value in attrs if name in loads]
        self.styles += "".join(value or "" for name, value in attrs if name == "style")
        if tag not in ("meta", "link", "img", "br", "input"):
            self._inside.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = self._inside[-1] if self._inside else ""
        if inside == "style":
            self.styles += data
        elif inside != "script":
            self.text += data
        if inside in ("td", "th"):
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def validated(history, predictor) -> Validation:
    return replace(validate(history[:900], predictor), source="last month.csv")


@pytest.fixture(scope="module")
def text(validated, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(validated, path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_nothing_is_loaded_from_anywhere(page):
    assert all(link.startswith("#") for link in page.links), "only the contents"
    assert page.tags["link"] == page.tags["img"] == page.tags["iframe"] == page.tags["base"] == 0
    assert not re.search(r"url\(|@import", page.styles)


def test_the_picture_brings_its_library_along(text):
    assert "Plotly.newPlot(" in text
    assert len(text) > 1_000_000


def test_it_says_what_was_validated_on_what(page, validated):
    said = " ".join(page.text.split())
    assert (
        f"Version 1 ({validated.model}) on 900 customers of last month.csv "
        "whose spend by day 30 is known." in said
    )


def test_the_first_table_compares_with_the_baselines(page, validated):
    header, *rows = page.tables[0]
    assert header[:2] == ["model", "MSE"]
    assert [row[0] for row in rows] == [line.model for line in validated.lines]
    assert [row[1] for row in rows] == [f"{line.mse:.1f}" for line in validated.lines]
    assert rows[0][2] == "–"
    compared = validated.lines[1].to_champion
    assert rows[1][2] == f"{compared.mean:+.1f} ({compared.low:+.1f} to {compared.high:+.1f})"
    assert [row[4] for row in rows] == [f"{line.bias * 100:+z.1f}%" for line in validated.lines]


def test_the_second_table_holds_the_deciles(page, validated):
    assert page.tables[1][1:] == [
        [str(row.decile), f"{row.customers}", f"{row.predicted:.2f}", f"{row.actual:.2f}"]
        for row in validated.deciles
    ]


def test_the_last_table_holds_the_largest_misses(page, validated):
    rows = page.tables[3][1:]
    assert [row[0] for row in rows] == [miss.id for miss in validated.misses]
    assert [row[-2:] for row in rows] == [
        [f"{miss.predicted:.2f}", f"{miss.actual:.2f}"] for miss in validated.misses
    ]
    assert len(page.tables) == 4


def test_the_third_table_holds_the_intervals_of_each_score_bin(page, validated):
    header, *rows, everybody = page.tables[2]
    wide, narrow = validated.coverage
    assert [header[3], header[5]] == ["in the 90% interval", "in the 80% interval"]
    assert [row[0] for row in rows] == [str(row.score_bin) for row in wide.bins]
    assert [row[3] for row in rows] == [f"{row.covered:.1%}" for row in wide.bins]
    points = [row.is_point for row in narrow.bins]
    assert [row[6] == "a point" for row in rows] == points
    assert any(points)
    assert everybody[3] == f"{wide.covered:.1%}"


def test_each_picture_is_drawn_once_with_a_title_and_how_to_read_it(page, text):
    assert page.tags["figure"] == page.tags["h3"] == page.tags["figcaption"] == 9
    assert text.count("data-figure=") == 9
    assert text.count("* plotly.js v") == 1, "the library is there once"


def test_where_nobody_came_back_there_is_no_order_to_draw(history, predictor, tmp_path):
    few = history[:50]
    nobody = replace(few, outcome=few.activity.monetary, returned=np.zeros(50, dtype=bool))
    write_page(validate(nobody, predictor), tmp_path / "page.html")
    shown = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "there is no ranking to measure" in shown.text
    assert shown.tables[0][1][6] == "–"
    assert "nan" not in shown.text


def test_a_model_that_is_shown_its_own_rows_is_said_to_be(validated, tmp_path, page):
    assert "rows that the model was fitted on" not in page.text
    write_page(replace(validated, trained_on_these=True), tmp_path / "page.html")
    own = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "These are the rows that the model was fitted on" in own.text


HOSTILE = "<script>alert(1)</script><img src=//evil.example onerror='x'>\"&{{ 7 * 7 }}"


def test_hostile_names_are_shown_and_not_run(validated, page, tmp_path):
    hostile = replace(
        validated,
        source=HOSTILE,
        model=HOSTILE,
        version=HOSTILE,
        lines=tuple(replace(line, model=HOSTILE) for line in validated.lines),
        misses=tuple(replace(miss, id=HOSTILE) for miss in validated.misses),
    )
    write_page(hostile, tmp_path / "page.html")
    shown = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert shown.tags == page.tags
    assert shown.links == page.links
    assert shown.tables[3][1][0] == HOSTILE
    assert f"customers\nof {HOSTILE} whose" in shown.text


# ---------------------------------------------------------------- whole or not at all


@pytest.fixture
def before(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text("what was there before")
    return path


def untouched(path: Path) -> None:
    assert path.read_text() == "what was there before"
    assert [path.name for path in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_what_was_there(validated, before):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"page\.html' cannot be written: File too large\."):
            write_page(validated, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    untouched(before)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_so_does_an_interruption(failure, validated, before, monkeypatch):
    def interrupt(*_: object) -> None:
        raise failure

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(failure):
        write_page(validated, before)
    untouched(before)


def test_a_missing_folder_is_said_and_not_made(validated, tmp_path):
    with pytest.raises(OutputError, match="there is no folder"):
        write_page(validated, tmp_path / "new" / "folder" / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_hold_the_page_is_told(validated, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"page\.html' cannot be written: "):
        write_page(validated, tmp_path / "file" / "page.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OutputError, match=r"folder\.html' cannot be written: it is a folder\."):
        write_page(validated, tmp_path / "folder.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.html"]


def test_so_is_a_folder_that_may_not_be_written_to(validated):
    # Not in pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="clv-read-only-") as folder:
        Path(folder).chmod(0o555)
        with without_rights(), pytest.raises(OutputError, match=r"written: Permission denied\."):
            write_page(validated, Path(folder) / "page.html")
        Path(folder).chmod(0o755)
        assert list(Path(folder).iterdir()) == []
