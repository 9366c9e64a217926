"""Nothing is dropped silently: what is odd about the data is said, counted and shown."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.data import checks
from clv.data.checks import MIN_ROWS, History, read_history
from clv.data.findings import Finding
from clv.data.numbers import NumberFormat
from clv.data.sources import open_source
from clv.data.sources.databases import to_batch
from clv.errors import DataError
from clv.schema import MAX_FREQUENCY, MAX_MONETARY, Window

COLUMNS = ["id", "recency_7", "frequency_7", "monetary_value_7", "monetary_value_30"]
FEATURES = "recency_7, frequency_7, monetary_value_7"
Row = Sequence[Any]

SHARED = Path(os.environ.get("CLV_SHARED", Path(__file__).parents[2].parent / "shared"))
PASSENGERS = SHARED / "data" / "passengers.sqlite"


@dataclass
class InMemorySource:
    """A `Source` of Python rows, a few rows a batch."""

    rows: Sequence[Row]
    name: str = "memory"
    batch_rows: int = 64
    numbers: NumberFormat = NumberFormat()  # noqa: RUF009
    findings: Sequence[Finding] = ()
    repeated: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        return COLUMNS

    def texts(self, columns: Sequence[str]) -> list[str]:
        return list(columns)

    def count(self) -> int:
        return len(self.rows)

    def batches(self, columns: Sequence[str], rows: int = 0) -> Iterator[pa.RecordBatch]:
        for start in range(0, len(self.rows), rows or self.batch_rows):
            part = self.rows[start : start + (rows or self.batch_rows)]
            yield to_batch(self.columns, part).select(list(columns))


def good(row: int) -> Row:
    """A row without fault; no two are alike."""
    return (row, row % 7 + 1, row % 3 + 1, row / 4, row / 4 + row % 5)


GOOD = [good(row) for row in range(1, 301)]


def read(*more: Row, rows: Sequence[Row] = GOOD) -> History:
    return read_history(InMemorySource([*rows, *more]), Window())


def refused(*more: Row, rows: Sequence[Row] = GOOD) -> str:
    with pytest.raises(DataError) as error:
        read(*more, rows=rows)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_clean_data_has_no_findings():
    history = read()
    assert history.findings == ()
    assert (len(history), history.rows_read) == (300, 300)
    assert history.ids.tolist() == [str(row) for row in range(1, 301)]


# ---------------------------------------------------------------- rows that are left out

LEFT_OUT = [
    ("null", "recency_7", (900, None, 1, 5.0, 6.0), "nothing"),
    ("null", "monetary_value_30", (900, 1, 1, 5.0, None), "nothing"),
    ("null", "id", (None, 1, 1, 5.0, 6.0), "nothing"),
    ("not-a-number", "frequency_7", (900, 1, "many", 5.0, 6.0), "'many'"),
    ("non-finite", "monetary_value_7", (900, 1, 1, float("inf"), 6.0), "inf"),
    ("negative", "monetary_value_30", (900, 1, 1, 5.0, -6.0), "-6.0"),
    ("negative", "recency_7", (900, -1, 1, 5.0, 6.0), "-1"),
    ("too-large", "frequency_7", (900, 1, 10_001, 5.0, 6.0), "10001"),
    ("too-large", "recency_7", (900, 8, 1, 5.0, 6.0), "8"),
    ("fraction", "recency_7", (900, 1.5, 1, 5.0, 6.0), "1.5"),
    ("recency-without-rides", FEATURES, (900, 3, 0, 0.0, 6.0), "recency_7=3, frequency_7=0, "),
    ("money-without-rides", FEATURES, (900, 0, 0, 5.0, 6.0), "recency_7=0, frequency_7=0, "),
    ("rides-without-recency", FEATURES, (900, 0, 2, 5.0, 6.0), "recency_7=0, frequency_7=2, "),
]


@pytest.mark.parametrize(
    ("code", "column", "row", "shown"), LEFT_OUT, ids=lambda value: str(value)[:24]
)
def test_rows_that_break_a_rule_are_left_out_counted_and_shown(code, column, row, shown):
    again = row if row[0] is None else (901, *row[1:])
    history = read(row, again)
    assert (len(history), history.rows_read) == (300, 302)
    (finding,) = history.findings
    assert (finding.severity, finding.code, finding.column) == ("left out", code, column)
    assert finding.rows == 2
    assert [example.split(" holds ")[0] for example in finding.examples] == ["row 301", "row 302"]
    assert shown in finding.examples[0]
    assert finding.action == "These rows are not used."
    assert str(finding).startswith(f"{column}: ")


def test_the_same_row_again_is_used_once():
    history = read(good(7), good(7), good(8))
    assert len(history) == 300
    (finding,) = history.findings
    assert (finding.severity, finding.code, finding.column) == ("left out", "duplicate", "id")
    assert (finding.rows, finding.examples) == (3, ("id 7", "id 8"))
    assert "The first of each is used" in finding.action


def test_rows_of_one_id_that_differ_are_all_left_out():
    history = read((7, 1, 1, 5.0, 6.0), good(7), good(8))
    assert len(history) == 299
    assert "7" not in history.ids
    findings = {finding.code: finding for finding in history.findings}
    assert {code: finding.rows for code, finding in findings.items()} == {
        "duplicate": 1,
        "conflicting-duplicate": 3,
    }
    assert findings["conflicting-duplicate"].examples == ("id 7",)
    assert "keep one row an id" in findings["conflicting-duplicate"].action


def test_only_a_few_examples_are_shown_however_many_there_are():
    history = read(*((1_000 + row, 9, 1, 5.0, 6.0) for row in range(100)))
    (finding,) = history.findings
    assert finding.rows == 100
    assert len(finding.examples) == 3


# ---------------------------------------------------------------- rows that are kept


def test_less_money_by_the_horizon_than_in_the_first_week_is_kept_and_said():
    history = read((900, 1, 1, 30.0, 12.5), (901, 1, 1, 30.0, 0.0))
    (finding,) = history.findings
    assert (finding.severity, finding.code) == ("kept", "outcome-below-spend")
    assert (finding.column, finding.rows) == ("monetary_value_30", 2)
    assert finding.examples == ("id 900: 12.5 after 30", "id 901: 0 after 30")
    assert "Kept as they are" in finding.action
    assert len(history) == 302
    assert history.increment[-2:].tolist() == [0.0, 0.0]


def test_a_column_of_one_value_is_kept_and_said():
    history = read(rows=[(row, 2, 1, row / 4, row) for row in range(1, 301)])
    constant = {finding.column: finding for finding in history.findings}
    assert set(constant) == {"recency_7", "frequency_7"}
    for column, value in (("recency_7", 2), ("frequency_7", 1)):
        assert (constant[column].severity, constant[column].code) == ("kept", "constant")
        assert constant[column].rows == 300
        assert f"every value is {value}" in constant[column].says


# ---------------------------------------------------------------- tables that stop a training


def test_an_empty_table_is_refused():
    assert refused(rows=[]) == "'memory' holds no rows. Give a table with customers in it."


@pytest.mark.parametrize("rows", [1, 5, MIN_ROWS - 1])
def test_too_few_rows_are_refused(rows):
    says = refused(rows=GOOD[:rows])
    assert f"{rows} of {rows} rows can be used" in says
    assert says.endswith("Training needs at least 200; give a longer history.")


def test_just_enough_rows_are_enough():
    assert len(read(rows=GOOD[:MIN_ROWS])) == MIN_ROWS


def test_a_table_that_is_mostly_unusable_is_refused_with_the_cause():
    says = refused(*((1_000 + row, 9, 1, 5.0, 6.0) for row in range(301)))
    assert "only 300 of 601 rows can be used" in says
    assert "give the right one with --data and --table" in says
    assert "recency_7: too large; expected a whole number from 0 to 7" in says
    assert "(301 rows). For example row 301 holds 9; row 302 holds 9; row 303 holds 9." in says


def test_half_a_table_is_enough():
    assert len(read(*((1_000 + row, 9, 1, 5.0, 6.0) for row in range(300)))) == 300


def test_outcomes_that_are_all_equal_are_refused():
    says = refused(rows=[(*row[:4], 12.0) for row in GOOD])
    assert "monetary_value_30: every customer has the same outcome (300 rows)." in says
    assert "give customers whose horizon has passed" in says


def test_a_horizon_in_which_nobody_spent_is_refused():
    says = refused(rows=[(*row[:4], row[3]) for row in GOOD])
    assert "nobody spent anything after the observation window" in says


def test_whatever_is_wrong_is_said_at_once():
    rows = [(*row[:4], 12.0) for row in GOOD]
    says = refused(
        (900, 8, "x", 5.0, 6.0), *[(1_000 + row, 1, 1, -1.0, 0.0) for row in range(400)], rows=rows
    )
    for part in ("only 300 of 701", "same outcome", "too large", "not a number", "negative"):
        assert part in says


# ---------------------------------------------------------------- laws

ODD = [None, -1, 0, 1, 2, 7, 8, 2.5, -0.5, 1e12, float("nan"), float("inf"), "x", "3"]
WHOLE = (True, True, False, False)
HIGH = (7, MAX_FREQUENCY, MAX_MONETARY, MAX_MONETARY)


def number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def broken_rules(row: Row) -> list[tuple[str, str]]:
    """The contract once more, one row at a time, as (code, column)."""
    found = [("null", "id")] if row[0] is None else []
    for name, value, whole, high in zip(COLUMNS[1:], row[1:], WHOLE, HIGH, strict=True):
        if value is None:
            found.append(("null", name))
        elif value == "x":
            found.append(("not-a-number", name))
        elif not np.isfinite(number(value)):
            found.append(("non-finite", name))
        else:
            rules = {
                "negative": number(value) < 0,
                "too-large": number(value) > high,
                "fraction": whole and number(value) % 1 != 0,
            }
            found += [(code, name) for code, broken in rules.items() if broken]
    recency, frequency, monetary = map(number, row[1:4])
    contradictions = {
        "recency-without-rides": frequency == 0 and recency > 0,
        "money-without-rides": frequency == 0 and monetary > 0,
        "rides-without-recency": frequency > 0 and recency == 0,
    }
    return found + [(code, FEATURES) for code, holds in contradictions.items() if holds]


def expected_of(rows: Sequence[Row]) -> tuple[list[str], Counter[tuple[str, str]]]:
    """Ids that are used, and rows by finding."""
    counts: Counter[tuple[str, str]] = Counter()
    same_id = defaultdict(list)
    for position, row in enumerate(rows):
        broken = broken_rules(row)
        counts.update(broken)
        if not broken:
            same_id[str(row[0])].append((position, tuple(map(number, row[1:]))))
    used = []
    for name, of_id in same_id.items():
        if len({values for _, values in of_id}) > 1:
            counts["conflicting-duplicate", "id"] += len(of_id)
        else:
            used.append((of_id[0][0], name))
            if len(of_id) > 1:
                counts["duplicate", "id"] += len(of_id) - 1
    return [name for _, name in sorted(used)], counts


dirty_rows = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(1, 5), st.integers(900, 903)),
        *(st.sampled_from(ODD) for _ in range(4)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(dirty_rows, st.integers(20, 400))
def test_every_row_is_used_or_counted_in_a_finding(dirty, batch_rows):
    rows = [*GOOD[:120], *dirty, *GOOD[120:]]
    history = read_history(InMemorySource(rows, batch_rows=batch_rows), Window())
    used, counts = expected_of(rows)
    left_out = {
        (finding.code, finding.column): finding.rows
        for finding in history.findings
        if finding.severity == "left out"
    }
    assert history.rows_read == len(rows)
    assert history.ids.tolist() == used
    assert left_out == counts
    assert len(used) + sum(left_out.values()) >= len(rows)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(dirty_rows)
def test_whatever_is_used_keeps_the_contract(dirty):
    history = read(*dirty)
    recency, frequency, monetary = history.activity.matrix().T
    assert len(set(history.ids)) == len(history.ids)
    assert np.isin(recency, range(8)).all()
    assert ((frequency >= 0) & (frequency <= MAX_FREQUENCY) & (frequency % 1 == 0)).all()
    assert ((monetary >= 0) & (monetary <= MAX_MONETARY)).all()
    assert ((history.outcome >= 0) & (history.outcome <= MAX_MONETARY)).all()
    np.testing.assert_array_equal(frequency == 0, recency == 0)
    assert not monetary[frequency == 0].any()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 299), st.integers(1, 4), st.sampled_from([1, 2, 3]))
def test_the_fingerprint_changes_when_any_value_changes(row, column, by):
    history = read()
    cells = list(GOOD[row])
    cells[column] = (cells[column] + by) % 7 + 1 if column == 1 else cells[column] + by
    changed = read(rows=[*GOOD[:row], tuple(cells), *GOOD[row + 1 :]])
    assert changed.fingerprint() != history.fingerprint()


def test_the_fingerprint_is_that_of_the_rows_and_not_of_the_way_they_were_read():
    history = read_history(InMemorySource(GOOD, name="elsewhere", batch_rows=7), Window())
    assert history.fingerprint() == read().fingerprint()
    assert read((900, 9, 1, 5.0, 6.0)).fingerprint() == read().fingerprint()
    assert read(rows=GOOD[::-1]).fingerprint() == read().fingerprint()


def test_a_part_of_a_history_is_a_history():
    history = read()
    part = history[history.activity.recency == 7]
    assert set(part.activity.recency) == {7}
    assert len(part.ids) == len(part.outcome) == len(part) < len(history)


def test_what_a_finding_says_fits_on_a_line():
    finding = Finding("left out", "null", "id", 1_234, "empty", "Not used.", ("row 1", "row 2"))
    assert str(finding) == "id: empty (1,234 rows). For example row 1; row 2. Not used."
    assert str(replace(finding, examples=())) == "id: empty (1,234 rows). Not used."


def test_the_public_names_are_there():
    assert all(hasattr(checks, name) for name in checks.__all__)


# ---------------------------------------------------------------- the real passengers


@pytest.mark.skipif(not PASSENGERS.exists(), reason=f"no real passengers at {PASSENGERS}")
def test_all_real_passengers_are_used_and_only_refunds_are_odd():
    with open_source(PASSENGERS) as source:
        history = read_history(source, Window())
    assert (history.rows_read, len(history)) == (58_206, 58_206)
    (finding,) = history.findings
    assert (finding.severity, finding.code) == ("kept", "outcome-below-spend")
    assert finding.rows == 247


def test_to_compare_predictions_with_outcomes_a_few_customers_are_enough():
    few = read_history(InMemorySource(GOOD[:5]), Window(), to_train=False)
    assert len(few) == 5
    with pytest.raises(DataError, match="none of 2 rows can be used"):
        read_history(InMemorySource([(1, 9, 1, 1, 1), (2, 9, 1, 1, 1)]), Window(), to_train=False)


@dataclass
class DatedSource(InMemorySource):
    """As above, with rides by day 30 and dates of registration."""

    @property
    def columns(self) -> list[str]:
        return [*COLUMNS, "frequency_30", "registered_at"]


def test_dates_and_returns_stay_with_their_customers() -> None:
    dates = [f"2026-03-{1 + row % 28:02d}" if row % 10 else "some day" for row in range(1, 301)]
    rows = [(*good(row), row % 3 + 1 + row % 2, dates[row - 1]) for row in range(1, 301)]
    bad = (*good(400)[:1], -1, *good(400)[2:], 5, "2026-03-05")
    found = read_history(DatedSource([bad, *rows]), Window())
    assert found.registered_at is not None
    assert len(found.registered_at) == len(found.returned) == len(found) == 300
    some = found[found.ids.astype(int) % 2 == 1]
    assert some.returned.all()
    assert some.registered_at is not None
    expected = [f"2026-03-{1 + int(name) % 28:02d}" for name in some.ids]
    days = np.where(
        np.isnat(some.registered_at), "none", some.registered_at.astype("M8[D]").astype(str)
    )
    assert days.tolist() == expected
    undated = next(one for one in found.findings if one.code == "no-registration-date")
    assert (undated.severity, undated.rows, undated.column) == ("kept", 30, "registered_at")
    assert "2026-11-01" in undated.says
    assert "id 10" in undated.examples


def test_a_placeholder_is_no_registration_date() -> None:
    dates = ["1970-01-01" if row % 10 == 0 else f"2026-03-{1 + row % 28:02d}" for row in range(300)]
    rows = [(*good(row + 1), row % 3 + 1, dates[row]) for row in range(300)]
    found = read_history(DatedSource(rows), Window())
    assert found.registered_at is not None
    assert np.isnat(found.registered_at).sum() == 30
    (said,) = (one for one in found.findings if one.code == "placeholder-registration")
    assert (said.severity, said.rows, said.column) == ("kept", 30, "registered_at")
    old = [(*row[:-1], "1970-01-05") for row in rows[:150]]
    kept = read_history(DatedSource([*old, *rows[150:]]), Window())
    assert kept.registered_at is not None
    assert not np.isnat(kept.registered_at).any()


def test_without_dates_there_are_none() -> None:
    assert read().registered_at is None
    assert read().returned.tolist() == [row % 5 > 0 for row in range(1, 301)]
