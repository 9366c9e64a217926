"""Predictions into a table: a row a customer, the newest, and all or none of them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from clv.bundle import Predictor
from clv.data.sources import open_source
from clv.errors import DataError, OutputError, UsageError
from clv.schema import Activity
from clv.scoring import DatabaseTable, Scored, score
from clv.sql import database_url

COLUMNS = ("id", "recency_7", "frequency_7", "monetary_value_7")


def csv(path: Path, *rows: tuple[Any, ...]) -> Path:
    path.write_text("\n".join(",".join(map(str, row)) for row in (COLUMNS, *rows)) + "\n")
    return path


def scored(path: Path, predictor: Predictor, url: str, **options: Any) -> Scored:
    table = options.pop("table", "predictions")
    with open_source(path) as source:
        return score(source, predictor, DatabaseTable(url, table), **options)


def rows_of(url: str, table: str = "predictions") -> dict[Any, Any]:
    engine = sa.create_engine(database_url(url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY id")
        return {row.id: row for row in found}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'out.sqlite'}"
    server = request.getfixturevalue("postgres_server")
    name = f"scores_{abs(hash(request.node.nodeid)) % 10**9}"
    server.psql(f"CREATE DATABASE {name};")
    return str(server.get_uri(name))


def test_each_customer_has_one_row_the_newest(
    url: str, predictor: Predictor, tmp_path: Path
) -> None:
    scored(csv(tmp_path / "a.csv", (1, 1, 1, 8.5), (2, 7, 4, 90)), predictor, url)
    found = scored(
        csv(tmp_path / "b.csv", (2, 1, 1, 3), (3, 7, 4, 90), (3, 1, 1, 5)), predictor, url
    )
    assert found.rows == 3
    said = predictor.predict(Activity.of([1, 1, 1], [1, 1, 1], [8.5, 3, 5])).in_cents()
    rows = rows_of(url)
    assert list(rows) == [1, 2, 3]
    assert [row.monetary_30 for row in rows.values()] == said.monetary.tolist()
    assert [bool(row.in_support) for row in rows.values()] == said.in_support.tolist()
    assert {row.model_version for row in rows.values()} == {predictor.version}


def test_a_row_that_cannot_be_scored_leaves_all_as_it_was(
    url: str, predictor: Predictor, tmp_path: Path
) -> None:
    scored(csv(tmp_path / "a.csv", (1, 1, 1, 8.5)), predictor, url)
    before = rows_of(url)
    many = [(number, 1, 1, 9.5) for number in range(200_000)]
    with pytest.raises(DataError, match="Row 200,001"):
        scored(csv(tmp_path / "b.csv", *many, (7, 9, 1, 1)), predictor, url)
    assert rows_of(url) == before
    blank = scored(csv(tmp_path / "c.csv", (8, 9, 1, 1)), predictor, url, on_invalid="blank")
    assert blank.blank == 1
    assert rows_of(url)[8].p_return is None


def test_ids_of_text_and_a_schema_are_kept(predictor: Predictor, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'out.sqlite'}"
    scored(csv(tmp_path / "a.csv", ("007", 1, 1, 8.5)), predictor, url, table="main.mine")
    assert list(rows_of(url, "mine")) == ["007"]


def test_a_table_of_something_else_is_refused_and_left(
    url: str, predictor: Predictor, tmp_path: Path
) -> None:
    engine = sa.create_engine(database_url(url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE predictions (id BIGINT PRIMARY KEY, p_return REAL)"
        )
    with pytest.raises(OutputError, match=r"has no column 'monetary_30'.*Nothing was changed"):
        scored(csv(tmp_path / "a.csv", (1, 1, 1, 8.5)), predictor, url)
    assert rows_of(url) == {}


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("mysql://u:secret@localhost/x", UsageError, "to PostgreSQL and SQLite, not to mysql"),
        ("postgresql://u:secret@127.0.0.1:1/x", OutputError, r"cannot be written: connection"),
        ("sqlite:////no/such/folder/x.sqlite", OutputError, "unable to open database file"),
    ],
)  # fmt: skip
def test_a_database_that_cannot_be_written_is_told_without_its_password(
    url: str, error: type[Exception], says: str, predictor: Predictor, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says) as caught:
        scored(csv(tmp_path / "a.csv", (1, 1, 1, 8.5)), predictor, url)
    assert "secret" not in str(caught.value)


def test_a_row_without_an_id_has_no_place(predictor: Predictor, tmp_path: Path) -> None:
    table = pa.table({"id": [1, None], "recency_7": [1, 1], "frequency_7": [1, 1],
                      "monetary_value_7": [8.5, 8.5]})  # fmt: skip
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    url = f"sqlite:///{tmp_path / 'out.sqlite'}"
    with pytest.raises(DataError, match="A row has no id, so it has no place in a table"):
        scored(tmp_path / "a.parquet", predictor, url, on_invalid="blank")
