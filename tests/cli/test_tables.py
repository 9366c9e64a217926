"""Tables on terminals: whatever the width, every figure is there and every row has its name."""

import io
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from clv.cli.show import table

WORDS = st.text("abcdefghij ", min_size=1, max_size=24).map(str.strip).filter(bool)
FIGURES = st.from_regex(r"[0-9]{1,9}\.[0-9]{2}", fullmatch=True)


class Terminal(io.StringIO):
    """An output that is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(
    width: int,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    text: Sequence[str] = (),
) -> list[str]:
    """The lines that a terminal of this width shows."""
    with pytest.MonkeyPatch.context() as patch:
        terminal = Terminal()
        patch.setenv("COLUMNS", str(width))
        patch.setattr(sys, "stdout", terminal)
        table("Title", columns, rows, text=text)
    return [Text.from_ansi(line).plain for line in terminal.getvalue().splitlines()]


LEADERBOARD = (
    ("model", "cv MSE", "±", "to champion", "±", "test MSE", "MAE", "bias", "Gini total", "fit s"),
    [
        ("forest (published)", "1753.2", "88.1", "+42.7", "9.1", "1827.3", "14.20", "-0.5%", ".861",
         "12.11"),
        ("hurdle", "1710.5", "87.3", "+0.0", "0.0", "1756.1", "13.90", "+0.2%", ".871", "0.41"),
    ],
)  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_leaderboard_names_its_models_at_any_width(width):
    columns, rows = LEADERBOARD
    lines = drawn(width, columns, rows)
    assert all(cell_len(line) <= width for line in lines)
    heads = [line for line in lines if line.startswith("model")]
    for row in rows:
        shown = [line for line in lines if line.startswith(row[0])]
        assert len(shown) == len(heads)
        assert [cell for line in shown for cell in line.removeprefix(row[0]).split()] == [*row[1:]]
    assert len(heads) == (1 if width >= 100 else 2)


@given(
    st.integers(60, 120),
    st.integers(1, 12).flatmap(
        lambda figures: st.lists(
            st.tuples(WORDS, *[FIGURES] * figures),
            min_size=1,
            max_size=4,
            unique_by=lambda row: row[0],
        )
    ),
)
def test_every_figure_stands_beside_its_name(width, rows):
    columns = ["name", *(f"f{number}" for number in range(len(rows[0]) - 1))]
    lines = drawn(width, columns, rows)
    assert all(cell_len(line) <= width for line in lines)
    heads = [line for line in lines if line.startswith("name ")]
    assert " ".join(line.removeprefix("name") for line in heads).split() == columns[1:]
    assert sum(line.count(row[1]) for row in rows for line in lines) >= len(rows)


def test_long_text_wraps_and_loses_no_word():
    reason = "better on customers that neither had seen: 1,756 against 1,827 on the same rows"
    lines = drawn(
        80,
        ("version", "alias", "model", "cv MSE", "test MSE", "created (UTC)", "reason"),
        [("12", "champion", "hurdle", "1710.5", "1756.1", "2026-11-01 12:00", reason)],
        text=("alias", "model", "reason"),
    )
    assert all(cell_len(line) <= 80 for line in lines)
    seen = " ".join(lines).split()
    assert all(word in seen for word in reason.split())
