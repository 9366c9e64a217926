"""The champion as SQL says what the `Predictor` says, to the last bit, in warehouses at hand."""

from typing import Any, get_args

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
import sqlglot
from sklearn.linear_model import Ridge

from bundle.making import bundle_of
from clv.bundle import Predictions, Predictor
from clv.errors import DataError, UsageError
from clv.schema import MONETARY, Activity
from clv.scoring import warehouse
from clv.scoring.warehouse import Dialect, sql_script
from clv.sql import with_driver

COLUMNS = ("recency_7", "frequency_7", "monetary_value_7")
SAID = {
    "monetary_30": "monetary",
    **{name: name for name in ("expected_increment", "p_return", "low", "high")},
    "score_bin": "score_bin",
    "in_support": "in_support",
}


def customers(predictor: Predictor, count: int = 3_000) -> pa.Table:
    """Customers on both sides of every amount at which anything changes, and many others."""
    rng = np.random.default_rng(0)
    splits = np.concatenate(
        [predictor.scorer.cells.thresholds[MONETARY], predictor.surroundings.edges[MONETARY]]
    )
    beside = [splits, np.nextafter(splits, np.inf), np.nextafter(splits, -np.inf)]
    spent = np.concatenate([*beside, np.round(rng.exponential(30, count), 2)])
    spent = np.append(spent[spent >= 0], [0.0, 1e9, 5e-324])
    days, rides = rng.integers(1, 8, len(spent)), rng.geometric(0.4, len(spent))
    columns = (np.append(column, 0) for column in (days, rides, spent))  # one without a ride
    return pa.table({"id": np.arange(len(spent) + 1), **dict(zip(COLUMNS, columns, strict=True))})


def activity_of(table: pa.Table) -> Activity:
    return Activity.of(*(table[name].to_numpy() for name in COLUMNS))


def assert_says(found: dict[str, Any], said: Predictions, version: str) -> None:
    for column, attribute in SAID.items():
        assert np.asarray(found[column]).tolist() == getattr(said, attribute).tolist(), column
    assert set(found["model_version"]) == {version}


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """One that is no tree, and predicts totals."""
    rng = np.random.default_rng(3)
    X = np.column_stack(
        (rng.integers(1, 8, 300), rng.integers(1, 5, 300), rng.exponential(30, 300))
    )
    model = Ridge().fit(X, 1.2 * X[:, MONETARY] + X[:, 0] - 9)
    return Predictor.load(bundle_of(model, tmp_path_factory.mktemp("linear") / "bundle"))


def in_duckdb(predictor: Predictor, table: pa.Table, **options: Any) -> dict[str, Any]:
    with duckdb.connect() as connection:
        connection.register("given", table)
        connection.execute("CREATE TABLE passenger_activity_after_registration AS FROM given")
        for _ in range(2):  # it may be run again
            connection.execute(sql_script(predictor, "duckdb", **options))
        found = connection.sql("FROM clv_predictions ORDER BY id").to_arrow_table()
    return dict(found.to_pydict())


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_duckdb_says_what_the_predictor_says(predictor: Predictor, level: float) -> None:
    table = customers(predictor)
    said = predictor.predict(activity_of(table), level=level)
    assert_says(in_duckdb(predictor, table, level=level), said, predictor.version)


def test_so_it_does_of_a_model_that_is_no_tree(linear: Predictor) -> None:
    table = customers(linear)
    assert_says(in_duckdb(linear, table), linear.predict(activity_of(table)), linear.version)


def test_postgresql_says_what_the_predictor_says(
    predictor: Predictor, linear: Predictor, postgres_server: Any
) -> None:
    postgres_server.psql("CREATE DATABASE warehouse;")
    url = with_driver(sa.make_url(postgres_server.get_uri("warehouse")))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    for model in (predictor, linear):
        table = customers(model, 500)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP VIEW IF EXISTS clv_predictions")
            connection.exec_driver_sql("DROP TABLE IF EXISTS activity")
            connection.exec_driver_sql(
                "CREATE TABLE activity (id BIGINT, recency_7 BIGINT, frequency_7 BIGINT, "
                "monetary_value_7 DOUBLE PRECISION)"
            )
            rows = [tuple(row.values()) for row in table.to_pylist()]
            connection.exec_driver_sql("INSERT INTO activity VALUES (%s, %s, %s, %s)", rows)
            script = sql_script(model, "postgres", table="activity")
            for statement in script.split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
            found = connection.exec_driver_sql("SELECT * FROM clv_predictions ORDER BY id")
            columns = dict(zip(found.keys(), zip(*found.all(), strict=True), strict=True))
        assert_says(columns, model.predict(activity_of(table)), model.version)


# What is said differs by dialect, not by the size of the tables: the parser takes its time.
@pytest.mark.parametrize("model", ["linear", pytest.param("predictor", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_every_dialect_is_parsed_by_its_own_rules(
    request: pytest.FixtureRequest, model: str, dialect: Dialect
) -> None:
    script = sql_script(request.getfixturevalue(model), dialect, table="lake.activity")
    statements = sqlglot.parse(script, read=dialect)
    kinds = [type(one).__name__ for one in statements if one is not None]
    assert kinds.count("Create") == 4
    assert kinds.count("Insert") >= 3
    assert "lake.activity" in script.replace("`", "")
    view = next(one for one in reversed(statements) if one is not None)
    tables = {one.name for one in view.find_all(sqlglot.exp.Table)}
    assert tables >= {"clv_bands", "clv_cells", "clv_bins", "activity"}


def test_a_row_that_cannot_be_scored_has_no_prediction(predictor: Predictor) -> None:
    table = pa.table(
        {
            "id": [1, 2, 3, 4],
            "recency_7": [1, 8, 1, None],
            "frequency_7": [1, 1, -1, 1],
            "monetary_value_7": [8.5, 8.5, 8.5, 8.5],
        }
    )
    found = in_duckdb(predictor, table)
    assert found["id"] == [1, 2, 3, 4]
    assert found["p_return"][1:] == [None] * 3
    assert found["monetary_30"][0] == predictor.predict_one(1, 1, 8.5).monetary


def test_a_level_out_of_range_and_a_model_too_large_are_refused(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"level=0\.2"):
        sql_script(predictor, "duckdb", level=0.2)
    monkeypatch.setattr(warehouse, "MAX_CELLS", 10)
    with pytest.raises(UsageError, match=r"cells; a script holds at most 10\. Score with"):
        sql_script(predictor, "duckdb")
