"""Simulated passengers: they resemble the real ones, they add up, and they are written whole."""

from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from clv.data.sample import write_sample
from clv.data.simulate import CHUNK, SampleChunk, SampleModel, simulate
from clv.errors import UsageError
from clv.schema import Window

ACTIVITY_BY_SQL = """
    SELECT a.id,
        coalesce(max(day) FILTER (day <= {observation}), 0) AS recency,
        count(*) FILTER (day <= {observation}) AS frequency,
        coalesce(sum(cents) FILTER (day <= {observation}), 0)::BIGINT AS cents,
        count(*) FILTER (day <= {horizon}) AS frequency_due,
        coalesce(sum(cents) FILTER (day <= {horizon}), 0)::BIGINT AS cents_due
    FROM activity AS a LEFT JOIN (
        SELECT passenger_id, round(amount * 100)::BIGINT AS cents,
            (epoch_us(ridden_at) - epoch_us(registered_at)) // 86400000000 + 1 AS day
        FROM rides JOIN activity ON passenger_id = id
    ) ON passenger_id = a.id
    GROUP BY a.id ORDER BY a.id
"""


@cache
def sample(passengers: int = CHUNK, seed: int = 7, window: Window | None = None) -> SampleChunk:
    chunks = list(simulate(passengers, seed=seed, window=window or Window()))
    return SampleChunk(
        pa.concat_tables(chunk.activity for chunk in chunks),
        pa.concat_tables(chunk.rides for chunk in chunks),
    )


@pytest.fixture(params=[7, 2024], ids="seed {}".format)
def features(request):
    """Columns of 20,000 passengers, and what each spends after week 1."""
    table = sample(seed=request.param).activity
    columns = {name: table[name].to_numpy() for name in table.column_names}
    increment = np.round(columns["monetary_value_30"] - columns["monetary_value_7"], 2)
    return columns | {"increment": increment}


def test_about_78_percent_never_ride_again_after_week_one(features):
    assert np.mean(features["increment"] == 0) == pytest.approx(0.78, abs=0.02)


def test_passengers_spend_33_in_week_one_and_46_by_day_30(features):
    assert features["monetary_value_7"].mean() == pytest.approx(33, abs=2)
    assert features["monetary_value_30"].mean() == pytest.approx(46, abs=2)


def test_a_tenth_of_the_passengers_holds_most_of_the_spend_to_come(features):
    richest_first = np.sort(features["increment"])[::-1]
    share = richest_first[: richest_first.size // 10].sum() / richest_first.sum()
    assert 0.78 <= share <= 0.90


def test_the_more_recent_the_last_ride_the_likelier_is_another(features):
    returns = np.array(
        [np.mean(features["increment"][features["recency_7"] == day] > 0) for day in range(1, 8)]
    )
    assert returns[0] == pytest.approx(0.16, abs=0.08)
    assert returns[6] == pytest.approx(0.63, abs=0.08)
    assert np.all(np.diff(returns) > 0)


def test_most_passengers_ride_once_and_on_their_first_day(features):
    assert np.mean(features["recency_7"] == 1) == pytest.approx(0.62, abs=0.03)
    for rides, share, within in (
        (1, 0.70, 0.03),
        (2, 0.17, 0.02),
        (3, 0.06, 0.01),
        (4, 0.03, 0.01),
    ):
        assert np.mean(features["frequency_7"] == rides) == pytest.approx(share, abs=within)


def test_about_two_percent_do_not_ride_in_week_one_and_show_only_zeros(features):
    absent = features["frequency_7"] == 0
    assert np.mean(absent) == pytest.approx(0.02, abs=0.005)
    assert not features["recency_7"][absent].any()
    assert not features["monetary_value_7"][absent].any()
    assert 0 < np.mean(features["increment"][absent] > 0) < 0.3


def test_there_is_something_to_learn_from_recency_and_from_spend(features):
    increment, spent = features["increment"], features["monetary_value_7"]
    by_day = [increment[features["recency_7"] == day].mean() for day in (0, 1, 3, 5, 7)]
    assert np.all(np.diff(by_day) > 0)
    quarter = np.digitize(spent, np.quantile(spent, [0.25, 0.5, 0.75]))
    assert np.all(np.diff([increment[quarter == q].mean() for q in range(4)]) > 0)


@pytest.mark.parametrize("window", [Window(), Window(14, 40)], ids=["7 to 30", "14 to 40"])
def test_the_activity_table_is_what_sql_makes_of_the_ride_log(window):
    made = sample(window=window)
    with duckdb.connect() as connection:
        connection.register("activity", made.activity)
        connection.register("rides", made.rides)
        query = ACTIVITY_BY_SQL.format(
            observation=window.observation_days, horizon=window.horizon_days
        )
        expected = connection.execute(query).fetchnumpy()
    names = [column.name for column in window.features]
    names += [f"frequency_{window.horizon_days}", window.outcome.name]
    assert made.activity.column_names == ["id", "registered_at", *names]
    for name, sql_name in zip(["id", *names], expected, strict=True):
        scale = 100 if name.startswith("monetary") else 1
        # Dividing cents, as the table does, gives the one float that is nearest.
        np.testing.assert_array_equal(made.activity[name].to_numpy(), expected[sql_name] / scale)


def test_tables_have_the_promised_types_and_order():
    made, instant = sample(), pa.timestamp("us", tz="UTC")
    assert made.activity.schema.types == [
        pa.int64(), instant, pa.int64(), pa.int64(), pa.float64(), pa.int64(), pa.float64()
    ]  # fmt: skip
    assert made.rides.schema == pa.schema(
        {"passenger_id": pa.int64(), "ridden_at": instant, "amount": pa.float64()}
    )
    assert made.activity["id"].to_pylist() == list(range(1, CHUNK + 1))
    assert np.all(np.diff(made.rides["ridden_at"].to_numpy()) >= np.timedelta64(0))
    amounts = made.rides["amount"].to_numpy()
    assert amounts.min() >= SampleModel().minimum_fare
    np.testing.assert_array_equal(amounts, np.round(amounts, 2))


def test_the_log_goes_beyond_the_horizon_and_those_rides_do_not_count():
    made = sample()
    counted = pc.sum(made.activity["frequency_30"]).as_py()
    assert counted < made.rides.num_rows * 0.99
    registered = made.activity["registered_at"].to_numpy()
    elapsed = (
        made.rides["ridden_at"].to_numpy() - registered[made.rides["passenger_id"].to_numpy() - 1]
    )
    assert np.count_nonzero(elapsed < np.timedelta64(30, "D")) == counted
    assert elapsed.min() >= np.timedelta64(0)
    assert np.timedelta64(44, "D") < elapsed.max() < np.timedelta64(45, "D")


def test_registrations_cover_26_weeks():
    registered = sample().activity["registered_at"].to_numpy()
    assert registered.min() >= np.datetime64("2025-01-06")
    spread = registered.max() - registered.min()
    assert np.timedelta64(181, "D") < spread < np.timedelta64(182, "D")


@pytest.mark.parametrize("fewer", [1, 500, CHUNK, CHUNK + 1])
def test_asking_for_more_passengers_keeps_the_earlier_ones(fewer):
    small, large = sample(fewer), sample(CHUNK + 700)
    assert small.activity.num_rows == fewer
    assert small.activity.equals(large.activity.slice(0, fewer))
    earlier = large.rides.filter(pc.less_equal(large.rides["passenger_id"], fewer))
    assert small.rides.combine_chunks().equals(earlier.combine_chunks())


def test_a_chunk_holds_20000_passengers_and_the_last_one_the_rest():
    sizes = [chunk.activity.num_rows for chunk in simulate(2 * CHUNK + 1)]
    assert sizes == [20_000, 20_000, 1]


def test_no_two_chunks_are_alike():
    first, second = simulate(2 * CHUNK)
    assert not first.rides["amount"].equals(second.rides["amount"])


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, file_format):
    def written(folder: str, seed: int) -> tuple[bytes, bytes]:
        files = write_sample(tmp_path / folder, passengers=300, seed=seed, file_format=file_format)
        return files.activity.read_bytes(), files.rides.read_bytes()

    again, other = written("again", 7), written("other", 8)
    assert written("first", 7) == again
    assert again[0] != other[0]
    assert again[1] != other[1]


def test_csv_and_parquet_hold_the_same(tmp_path):
    parquet = write_sample(tmp_path, passengers=2_000)
    csv = write_sample(tmp_path, passengers=2_000, file_format="csv")
    assert (csv.activity.name, csv.rides.name) == ("activity.csv", "rides.csv")
    with duckdb.connect() as connection:
        for one, other in ((parquet.activity, csv.activity), (parquet.rides, csv.rides)):
            here, there = f"SELECT * FROM '{one}'", f"SELECT * FROM '{other}'"
            types = [connection.sql(query).types for query in (here, there)]
            assert types[0] == types[1]
            for query in (f"{here} EXCEPT ALL {there}", f"{there} EXCEPT ALL {here}"):
                assert connection.sql(query).fetchall() == []


def test_instants_in_csv_are_iso_8601_in_utc(tmp_path):
    files = write_sample(tmp_path, passengers=5, file_format="csv")
    instant = files.rides.read_text().splitlines()[1].split(",")[1].strip('"')
    assert (
        instant
        == sample(5).rides["ridden_at"].cast(pa.timestamp("us")).to_numpy()[0].astype(str) + "Z"
    )


def test_files_hold_what_is_reported_and_progress_adds_up(tmp_path):
    steps: list[int] = []
    files = write_sample(tmp_path / "new" / "folder", passengers=CHUNK + 1, on_chunk=steps.append)
    assert steps == [CHUNK, 1]
    assert files.activity_rows == pq.read_metadata(files.activity).num_rows == CHUNK + 1
    assert files.ride_rows == pq.read_metadata(files.rides).num_rows
    assert pq.read_table(files.rides).equals(sample(CHUNK + 1).rides)
    assert sorted(path.name for path in files.rides.parent.iterdir()) == [
        "activity.parquet",
        "rides.parquet",
    ]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_earlier_files_and_nothing_else(tmp_path, failure):
    def interrupt(passengers: int) -> None:
        raise failure

    files = write_sample(tmp_path, passengers=50)
    before = {path: path.read_bytes() for path in (files.activity, files.rides)}
    with pytest.raises(failure):
        write_sample(tmp_path, passengers=90, on_chunk=interrupt)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"passengers": 0}, "passengers=0: expected a whole number from 1 to 100,000,000"),
        ({"passengers": 100_000_001}, "passengers=100000001: expected a whole number from 1"),
        ({"passengers": 2.5}, "passengers=2.5: expected a whole number"),
        ({"passengers": True}, "passengers=True: expected a whole number"),
        ({"passengers": 5, "seed": -1}, "seed=-1: expected a whole number from 0"),
        ({"passengers": 5, "file_format": "xlsx"}, "'xlsx': expected 'parquet' or 'csv'"),
    ],
)
def test_a_bad_argument_is_named_with_what_was_expected(tmp_path, arguments, says):
    with pytest.raises(UsageError, match=says):
        write_sample(tmp_path / "never", **arguments)
    assert not (tmp_path / "never").exists()


def test_a_bad_argument_is_told_before_the_first_chunk():
    with pytest.raises(UsageError, match="passengers=0"):
        simulate(0)
    with pytest.raises(UsageError, match="horizon_days=60: expected at most 45"):
        simulate(5, window=Window(7, 60))


def test_a_place_that_cannot_hold_the_files_is_named_and_nothing_is_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file' cannot be made"):
        write_sample(tmp_path / "file", passengers=5)
    (tmp_path / "rides.parquet").mkdir()
    with pytest.raises(UsageError, match=r"rides.parquet' is a folder"):
        write_sample(tmp_path, passengers=5)
    assert not Path(tmp_path / "activity.parquet").exists()


@pytest.mark.parametrize(
    "change", [{"idle_share": 1.0}, {"mean_fare": -1.0}, {"rate_shape": float("nan")}], ids=str
)
def test_a_model_without_meaning_cannot_be_made(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))}=.*: expected a"):
        SampleModel(**change)
