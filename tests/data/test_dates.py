"""Notations of dates: the whole column decides, and what it leaves open is refused."""

from datetime import UTC, datetime

import duckdb
import ibis
import pyarrow as pa
import pytest

from clv.data.conform import choose_notation, read_instants
from clv.data.dates import NOTATIONS, choose, notation_of, shapes_of
from clv.errors import DataError, UsageError
from clv.features.times import instant

WRITTEN = {
    "2026-03-02T10:30+01": datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    " 2026-03-02 15:15:00.000 +05:45 ": datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    "2026/03/02": datetime(2026, 3, 2, tzinfo=UTC),
    "3/25/2014 11:30 PM": datetime(2014, 3, 25, 23, 30, tzinfo=UTC),
    "25.3.2014 12:15 am": datetime(2014, 3, 25, 0, 15, tzinfo=UTC),
    "11-Feb-17": datetime(2017, 2, 11, tzinfo=UTC),
    "Jan 01, 2026 12:00 AM": datetime(2026, 1, 1, tzinfo=UTC),
    "Tue, March 3 2026": datetime(2026, 3, 3, tzinfo=UTC),
    "20140301": datetime(2014, 3, 1, tzinfo=UTC),
    "20140301.0": datetime(2014, 3, 1, tzinfo=UTC),
    "3 Sept. 2026": datetime(2026, 9, 3, tzinfo=UTC),
    "20140301T083000": datetime(2014, 3, 1, 8, 30, tzinfo=UTC),
    "1393632000": datetime(2014, 3, 1, tzinfo=UTC),
    "1393632000.25": datetime(2014, 3, 1, 0, 0, 0, 250_000, tzinfo=UTC),
    "1393632000123": datetime(2014, 3, 1, 0, 0, 0, 123_000, tzinfo=UTC),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_column_that_can_be_read_in_one_way_is_read_by_itself(text: str) -> None:
    assert choose("Column 'date'", shapes_of([text])).read(text) == WRITTEN[text]


def test_an_engine_reads_what_python_reads_in_every_notation() -> None:
    texts = [*WRITTEN, "2026-02-30", "yesterday", "", "11/02/17", "03/04/2025"]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE MACRO timestamp_micros(m) AS make_timestamptz(m)")
        connection.register("texts", pa.table({"text": texts}))
        table = ibis.table({"text": "string"}, name="texts")
        for notation in NOTATIONS:
            expression = table.select(read=instant(table.text, notation))
            sql = str(ibis.to_sql(expression, dialect="duckdb"))
            read = connection.sql(sql).to_arrow_table()["read"].to_pylist()
            assert read == [notation.read(text) for text in texts]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["03/02/2025", "04/11/2025"], r"'04/11/2025' is 4 November 2025 if day first, 11 April"),
        (["11/02/17"], "can be read in 3 ways"),
        (["2014-03-01", "05/03/2014"], "two notations: 1 written year first .* and 1 written day"),
        (["31/01/2024", "01/31/2024", "02/03/2024"], "two notations: 2 written"),
    ],
)
def test_a_column_that_can_be_read_in_two_ways_is_refused(texts: list[str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        choose("Column 'date'", shapes_of(texts))


def test_one_telling_value_decides_for_all() -> None:
    chosen = choose("Column 'date'", shapes_of(["03/02/2025", "04/11/2025", "04/13/2025"]))
    assert chosen.read("03/02/2025") == datetime(2025, 3, 2, tzinfo=UTC)


def test_a_format_that_is_given_is_read_with_or_without_a_time_of_day() -> None:
    given = notation_of("--date-format", "%d.%m.%Y")
    assert given.read("2.3.2025") == datetime(2025, 3, 2, tzinfo=UTC)
    assert given.read("2.3.2025 14:05") == datetime(2025, 3, 2, 14, 5, tzinfo=UTC)
    assert given.read("2025-03-02") is None
    assert notation_of("--date-format", "epoch-s").read("86400") == datetime(1970, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("value", ["%q/%m/%d", "%Y", "%d/%m/%Y %d", "monday"])
def test_a_format_that_names_no_day_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="--date-format"):
        notation_of("--date-format", value)


def test_dates_of_an_activity_table_are_read_by_their_whole_column() -> None:
    batches = [pa.array(["03/02/2025", None]), pa.array(["25/02/2025"])]
    notation = choose_notation("Column 'registered_at'", batches)
    assert str(read_instants(batches[0], notation)[0]) == "2025-02-03T00:00:00.000000"
    with pytest.raises(DataError, match="Write dates as 2026-11-30"):
        choose_notation("Column 'registered_at'", batches[:1])


@pytest.mark.parametrize("text", ["13 janv. 2025", "13 marraskuuta 2025", "2 mars 2025"])
def test_names_of_months_in_other_languages_are_not_read_by_their_beginning(text):
    assert shapes_of([text])[0].fits == ()
