"""A prediction for each row, in its order, whole or not at all."""

import csv
import errno
import os
import resource
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.bundle import Predictions, Predictor
from clv.data.findings import Finding
from clv.data.numbers import NumberFormat
from clv.data.sources import BATCH_ROWS, open_source
from clv.errors import DataError, OutputError, UsageError
from clv.schema import DEFAULT_TABLE, Activity
from clv.scoring import Scored, score
from support.rights import without_rights

COLUMNS = ["id", "recency_7", "frequency_7", "monetary_value_7"]
PREDICTED = {
    "monetary_30": pa.float64(),
    "expected_increment": pa.float64(),
    "p_return": pa.float64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "score_bin": pa.int16(),
    "in_support": pa.bool_(),
}
KINDS = ("out.csv", "out.parquet")


@dataclass
class InMemorySource:
    """A `Source` of an Arrow table, a few rows a batch; `read` counts the batches."""

    table: pa.Table
    batch_rows: int = 100
    name: str = "memory"
    file: Path | None = None
    read: list[int] = field(default_factory=list)
    numbers: NumberFormat = NumberFormat()  # noqa: RUF009
    findings: Sequence[Finding] = ()
    repeated: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def texts(self, columns: Sequence[str]) -> list[str]:
        return [name for name in columns if pa.types.is_string(self.table.schema.field(name).type)]

    @property
    def columns(self) -> list[str]:
        return list(self.table.column_names)

    def count(self) -> int:
        return len(self.table)

    def batches(self, columns: Sequence[str], rows: int = 0) -> Iterator[pa.RecordBatch]:
        selected = self.table.select(list(columns)).combine_chunks()
        for batch in selected.to_batches(max_chunksize=rows or self.batch_rows):
            self.read.append(batch.num_rows)
            yield batch


def table_of(*rows: Sequence[Any]) -> pa.Table:
    return pa.table([list(column) for column in zip(*rows, strict=True)], names=COLUMNS)


SIX = table_of(
    (1, 1, 1, 8.5),
    (2, 0, 0, 0.0),
    (3, 7, 4, 90.0),
    (4, 2, 2, 17.25),
    (5, 7, 20, 600.0),
    (6, 3, 1, 3.0),
)


def with_values(column: str, values: dict[int, Any]) -> pa.Table:
    """`SIX` with other values in some rows."""
    changed = SIX[column].to_pylist()
    for row, value in values.items():
        changed[row] = value
    return SIX.set_column(COLUMNS.index(column), column, pa.array(changed))


@pytest.fixture(params=KINDS)
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path)
    return pyarrow.csv.read_csv(
        path,
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={**PREDICTED, "model_version": pa.string()}
        ),
    )


def activity_of(table: pa.Table) -> Activity:
    return Activity.of(*(table[name].to_numpy() for name in COLUMNS[1:]))


def answers(predictions: Predictions) -> dict[str, list[Any]]:
    """What is to be written of them, by column."""
    said = predictions.in_cents()
    attributes = ["monetary", *list(PREDICTED)[1:]]
    return {
        column: getattr(said, attribute).tolist()
        for column, attribute in zip(PREDICTED, attributes, strict=True)
    }


def assert_scored(path: Path, table: pa.Table, predictor: Predictor, **options: float) -> None:
    """Every row once, in its order, with the predictor's own answer to the cent."""
    found = read(path)
    assert found.column_names == ["id", *PREDICTED, "model_version"]
    assert found["id"].to_pylist() == table["id"].to_pylist()
    said = answers(predictor.predict(activity_of(table), **options))
    for name, expected in said.items():
        assert found[name].to_pylist() == expected, name
    assert set(found["model_version"].to_pylist()) == {predictor.version}


# ---------------------------------------------------------------- what is written


def test_every_row_gets_its_prediction_in_order_beyond_one_batch(
    activity_file, predictor, output, tmp_path
):
    table = pyarrow.parquet.read_table(activity_file)
    table = pa.concat_tables([table] * 17).slice(0, BATCH_ROWS + 1_000)
    table = table.set_column(0, "id", pa.array(range(len(table), 0, -1)))
    pyarrow.parquet.write_table(table, tmp_path / "many.parquet")
    with open_source(tmp_path / "many.parquet") as source:
        scored = score(source, predictor, output)
    assert (scored.rows, scored.blank) == (BATCH_ROWS + 1_000, 0)
    assert_scored(output, table, predictor)


@settings(max_examples=20, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 7), st.integers(1, 50), st.floats(0, 5_000)),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 31),
)
def test_how_rows_fall_into_batches_changes_nothing(predictor, rows, batch_rows):
    table = table_of(*((row, *values) for row, values in enumerate(rows)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.parquet"
        score(InMemorySource(table, batch_rows), predictor, path)
        assert_scored(path, table, predictor)


def test_csv_and_parquet_hold_the_same(predictor, activity_file, tmp_path):
    for name in KINDS:
        with open_source(activity_file) as source:
            score(source, predictor, tmp_path / name)
    csv, parquet = (read(tmp_path / name) for name in KINDS)
    assert csv.equals(parquet)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_any_source_scores_the_same(suffix, predictor, activity_file, tmp_path):
    table = pyarrow.parquet.read_table(activity_file)
    given = tmp_path / f"given.{suffix}"
    write = pyarrow.csv.write_csv if suffix == "csv" else pyarrow.parquet.write_table
    write(table.select(COLUMNS[::-1]), given)
    with open_source(given) as source:
        score(source, predictor, tmp_path / "out.parquet")
    assert_scored(tmp_path / "out.parquet", table, predictor)


def test_a_database_scores_the_same_as_a_file(postgres_url, predictor, tmp_path):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS to_score")
        connection.execute(
            "CREATE TABLE to_score (monetary_value_7 numeric, frequency_7 int, recency_7 bigint, "
            "id bigint)"
        )
        for row in zip(*(SIX[name].to_pylist() for name in COLUMNS[::-1]), strict=True):
            connection.execute("INSERT INTO to_score VALUES (%s, %s, %s, %s)", row)
        with open_source(postgres_url, "to_score") as source:
            score(source, predictor, tmp_path / "out.parquet")
        connection.execute("DROP TABLE to_score")
    assert_scored(tmp_path / "out.parquet", SIX, predictor)


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param(list(range(2**40, 2**40 + 6)), id="large numbers"),
        pytest.param([-1, 0, 1, 1, 1, 2], id="repeated numbers"),
        pytest.param(["a", 'b "c"', "d, e", "f\ng", "ü", "'"], id="text with signs"),
    ],
)
def test_ids_come_out_as_they_went_in(ids, predictor, output):
    table = SIX.set_column(0, "id", pa.array(ids))
    score(InMemorySource(table, 2), predictor, output)
    if output.suffix == ".csv":
        parsed = pyarrow.csv.read_csv(
            output, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
        )
        assert parsed["id"].to_pylist() == ids
    else:
        assert read(output).column("id").equals(table.column("id"))


def test_ids_of_text_that_look_like_numbers_stay_text(predictor, tmp_path):
    table = SIX.set_column(0, "id", pa.array(["007", "7", "1e3", "00", "0", "-0"]))
    score(InMemorySource(table, 2), predictor, tmp_path / "out.parquet")
    assert read(tmp_path / "out.parquet")["id"].to_pylist() == table["id"].to_pylist()
    score(InMemorySource(table, 2), predictor, tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == [
        f'"{name}"' for name in table["id"].to_pylist()
    ]


def test_money_in_a_csv_file_has_at_most_two_decimals_and_a_probability_four(predictor, tmp_path):
    score(InMemorySource(SIX), predictor, tmp_path / "out.csv")
    for line in (tmp_path / "out.csv").read_text().splitlines()[1:]:
        _, monetary, increment, p_return, low, high, score_bin, in_support, _ = line.split(",")
        for cell in (monetary, increment, low, high):
            assert len(cell.partition(".")[2]) <= 2
        assert len(p_return.partition(".")[2]) <= 4
        assert score_bin.isdigit()
        assert in_support in ("true", "false")


def test_a_parquet_file_says_what_kind_each_column_is(predictor, tmp_path):
    score(InMemorySource(SIX), predictor, tmp_path / "out.parquet")
    schema = pyarrow.parquet.read_schema(tmp_path / "out.parquet")
    assert {name: schema.field(name).type for name in PREDICTED} == PREDICTED


@pytest.mark.parametrize("level", [0.5, 0.8, 0.99])
def test_intervals_are_of_the_level_that_is_asked_for(level, predictor, output):
    score(InMemorySource(SIX, 4), predictor, output, level=level)
    assert_scored(output, SIX, predictor, level=level)


@pytest.mark.parametrize("level", [0.49, 0.991, 0, 1, 90, float("nan")])
def test_a_level_out_of_range_is_refused_and_nothing_is_written(level, predictor, output, tmp_path):
    output.write_text("what was there before")
    with pytest.raises(DataError, match=r"level=.*: expected a number from 0\.5 to 0\.99"):
        score(InMemorySource(SIX), predictor, output, level=level)
    untouched(tmp_path, output)


def test_no_interval_is_negative_or_ends_before_it_begins(predictor, activity_file, output):
    with open_source(activity_file) as source:
        score(source, predictor, output)
    found = {name: np.array(read(output)[name].to_pylist()) for name in PREDICTED}
    assert (found["low"] >= 0).all()
    assert (found["high"] >= found["low"]).all()
    assert ((found["p_return"] > 0) & (found["p_return"] < 1)).all()
    assert found["score_bin"].min() == 1


def test_what_it_came_to_is_the_sum_of_the_predictions(predictor, output):
    steps: list[int] = []
    scored = score(InMemorySource(SIX, 4), predictor, output, on_rows=steps.append)
    expected = predictor.predict(activity_of(SIX))
    assert 0 < (~expected.in_support).sum() < 6
    assert scored == Scored(
        6,
        0,
        (~expected.in_support).sum(),
        pytest.approx(expected.monetary.sum()),
        pytest.approx(expected.expected_increment.sum()),
    )
    assert steps == [4, 2]


def test_a_missing_folder_is_said_and_not_made(predictor, output, tmp_path):
    path = tmp_path / "new" / "folder" / output.name
    with pytest.raises(OutputError, match=r"there is no folder .*make the folder"):
        score(InMemorySource(SIX), predictor, path)
    assert list(tmp_path.iterdir()) == []


def test_text_that_a_spreadsheet_would_run_is_escaped_unless_raw(predictor, tmp_path):
    ids = ["=cmd|'/C calc'!A0", "+1+1", "@SUM(1)", "-5", "plain", "'=x"]
    table = SIX.set_column(0, "id", pa.array(ids))
    safe, raw = tmp_path / "safe.csv", tmp_path / "raw.csv"
    score(InMemorySource(table), predictor, safe)
    score(InMemorySource(table), predictor, raw, raw=True)
    cells = {
        path: [row[0] for row in csv.reader(path.read_text().splitlines())][1:]
        for path in (safe, raw)
    }
    assert cells[raw] == ids
    assert cells[safe] == ["'=cmd|'/C calc'!A0", "'+1+1", "'@SUM(1)", "-5", "plain", "''=x"]
    with open_source(safe, ids=("id",)) as source:
        (batch,) = source.batches(["id"])
        assert batch.column(0).to_pylist() == ids


def test_a_pipe_gets_the_table_as_csv(predictor, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        score(InMemorySource(SIX), predictor, pipe)
        lines = read.result().splitlines()
    assert lines[0].startswith('"id","monetary_30"')
    assert len(lines) == 1 + SIX.num_rows
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("way", ["the same name", "another way to it", "a link to it"])
def test_predictions_never_take_the_place_of_their_input(name, way, predictor, tmp_path):
    path, output = tmp_path / name, tmp_path / f"other-{name}"
    write = pyarrow.csv.write_csv if path.suffix == ".csv" else pyarrow.parquet.write_table
    write(SIX, path)
    before = path.read_bytes()
    if way == "a link to it":
        output.symlink_to(path)
    else:
        output = path if way == "the same name" else tmp_path / ".." / tmp_path.name / name
    with open_source(path) as source, pytest.raises(UsageError) as refused:
        score(source, predictor, output)
    assert f"The output '{output}' is the input '{path}' itself" in str(refused.value)
    assert path.read_bytes() == before


def test_they_may_take_that_of_a_copy(predictor, tmp_path):
    for name in ("given.csv", "copy.csv"):
        pyarrow.csv.write_csv(SIX, tmp_path / name)
    with open_source(tmp_path / "given.csv") as source:
        score(source, predictor, tmp_path / "copy.csv")
    assert_scored(tmp_path / "copy.csv", SIX, predictor)


@pytest.mark.parametrize("location", ["sqlite:///{}", "{}"])
def test_nor_that_of_a_database_whatever_it_is_called(location, predictor, tmp_path):
    path = tmp_path / "crm.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {DEFAULT_TABLE} ({', '.join(COLUMNS)})")
    connection.execute(f"INSERT INTO {DEFAULT_TABLE} VALUES (1, 1, 1, 8.5)")
    connection.commit()
    connection.close()
    (tmp_path / "out.csv").symlink_to(path)
    before = path.read_bytes()
    given = location.format(path)
    with open_source(given) as source, pytest.raises(UsageError, match=f"the input '{given}'"):
        score(source, predictor, tmp_path / "out.csv")
    assert path.read_bytes() == before


# ---------------------------------------------------------------- rows that cannot be scored


def untouched(folder: Path, output: Path) -> None:
    """Nothing lies in the folder but the output of before."""
    assert [path.name for path in folder.iterdir()] == [output.name]
    assert output.read_text() == "what was there before"


WORD = SIX.set_column(3, COLUMNS[3], pa.array(["1", "0", "3", "4", "5", "much"]))


@pytest.mark.parametrize(
    ("table", "row", "says"),
    [
        (with_values("recency_7", {4: 9}), 5, "recency_7 holds 9: too large; expected a whole"),
        (with_values("recency_7", {3: None, 5: -1}), 4, "recency_7 holds nothing: empty; expected"),
        (
            with_values("frequency_7", {2: 0}),
            3,
            "holds recency_7=7, frequency_7=0, monetary_value_",
        ),
        (
            WORD,
            6,
            "column monetary_value_7 holds 'much': not a number; expected a number from 0 to",
        ),
    ],
    ids=["too large", "the first of two", "contradiction", "word"],
)
def test_a_row_that_cannot_be_scored_is_named_and_nothing_is_written(
    table, row, says, predictor, output, tmp_path
):
    output.write_text("what was there before")
    with pytest.raises(DataError) as refused:
        score(InMemorySource(table, 2), predictor, output)
    start = f"Row {row} of 'memory' (id {row}) cannot be scored: column "
    assert str(refused.value).startswith(start)
    assert says in str(refused.value)
    assert str(refused.value).endswith(
        "Correct it, or use --on-invalid blank to leave such rows without a prediction. "
        "Nothing was written."
    )
    untouched(tmp_path, output)


def test_blank_leaves_exactly_these_rows_without_a_prediction(predictor, output):
    table = with_values("recency_7", {1: 8, 2: None, 3: -1, 4: 1.5})
    usable = np.array([True, False, False, False, False, True])
    scored = score(InMemorySource(table, 2), predictor, output, on_invalid="blank")
    assert (scored.rows, scored.blank) == (6, 4)
    found = read(output)
    assert found["id"].to_pylist() == [1, 2, 3, 4, 5, 6]
    expected = predictor.predict(activity_of(SIX)[usable])
    for name, values in answers(expected).items():
        column = np.array(found[name].to_pylist(), dtype=object)
        assert all(value is None for value in column[~usable])
        assert column[usable].tolist() == values
    assert scored.out_of_support == (~expected.in_support).sum()
    assert scored.expected_spend == pytest.approx(expected.monetary.sum())
    assert set(found["model_version"].to_pylist()) == {predictor.version}


def test_blank_without_a_single_usable_row_is_all_blank(predictor, output):
    table = with_values("recency_7", dict.fromkeys(range(6), 8))
    scored = score(InMemorySource(table), predictor, output, on_invalid="blank")
    assert scored == Scored(6, 6, 0, 0.0, 0.0)
    assert [read(output)[name].null_count for name in PREDICTED] == [6] * 7


def test_ids_that_turn_from_numbers_to_text_are_refused_whatever_the_kind(
    predictor, output, tmp_path
):
    class Turning(InMemorySource):
        def batches(self, columns: Sequence[str], *_: object) -> Iterator[pa.RecordBatch]:
            first, second = super().batches(columns, 3)
            yield first
            yield second.set_column(0, "id", pa.array(["x,y", "5", "6"]))

    output.write_text("what was there before")
    with pytest.raises(DataError, match="The ids have different types: int64 first, string later"):
        score(Turning(SIX), predictor, output)
    untouched(tmp_path, output)


# ---------------------------------------------------------------- whole or not at all


class Ghost(InMemorySource):
    """A source that must not be read."""

    def batches(self, *_: object) -> Iterator[pa.RecordBatch]:
        raise AssertionError("read")


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.csv.gz", "out.sqlite"])
def test_an_output_of_no_known_kind_is_refused_before_any_row_is_read(name, predictor, tmp_path):
    with pytest.raises(OutputError, match=r"^Unsupported file type: .*\.csv or \.par"):
        score(Ghost(SIX), predictor, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_so_is_an_input_without_the_columns(predictor, output):
    with pytest.raises(DataError, match=r"'frequency_7' .* is missing .*Did you mean 'freqency_7'"):
        score(Ghost(SIX.rename_columns({"frequency_7": "freqency_7"})), predictor, output)


def test_an_empty_input_is_refused_and_nothing_is_made(predictor, output, tmp_path):
    with pytest.raises(DataError, match="'memory' holds no rows, so there is nothing to score"):
        score(InMemorySource(SIX.slice(0, 0)), predictor, output)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_an_interrupted_run_leaves_what_was_there(failure, predictor, output, tmp_path):
    def interrupt(rows: int) -> None:
        parts = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        assert len(parts) == 1
        raise failure

    output.write_text("what was there before")
    with pytest.raises(failure):
        score(InMemorySource(SIX, 2), predictor, output, on_rows=interrupt)
    untouched(tmp_path, output)


def test_a_source_that_breaks_off_leaves_what_was_there(predictor, output, tmp_path):
    class Breaking(InMemorySource):
        def batches(self, columns: Sequence[str], *_: object) -> Iterator[pa.RecordBatch]:
            yield from list(super().batches(columns, 2))[:2]
            raise DataError("The server went away.")

    output.write_text("what was there before")
    with pytest.raises(DataError, match=r"The server went away\."):
        score(Breaking(SIX), predictor, output)
    untouched(tmp_path, output)


@pytest.mark.parametrize("error", [pa.ArrowInvalid("odd bytes"), OSError(errno.EIO, "gone")])
def test_what_fails_while_reading_is_not_blamed_on_the_output(error, predictor, output, tmp_path):
    class Breaking(InMemorySource):
        def batches(self, columns: Sequence[str], *_: object) -> Iterator[pa.RecordBatch]:
            yield from list(super().batches(columns, 2))[:2]
            raise error

    output.write_text("what was there before")
    with pytest.raises(type(error)) as raised:
        score(Breaking(SIX), predictor, output)
    assert raised.value is error
    untouched(tmp_path, output)


def test_a_disk_that_fails_at_the_last_moment_leaves_what_was_there(
    predictor, output, tmp_path, monkeypatch
):
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    output.write_text("what was there before")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=r"cannot be written: .*Input/output error\. Nothing was"):
        score(InMemorySource(SIX), predictor, output)
    untouched(tmp_path, output)


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """As on a disk with no more room."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_told_and_leaves_what_was_there(predictor, output, tmp_path, activity_file):
    output.write_text("what was there before")
    with (
        open_source(activity_file) as source,
        no_file_beyond(4_096),
        pytest.raises(
            OutputError, match=rf"{output.name}' cannot be written: .*too large.*changed"
        ),
    ):
        score(source, predictor, output)
    untouched(tmp_path, output)


@pytest.mark.parametrize("name", KINDS)
def test_a_folder_that_may_not_be_written_to_is_told(name, predictor):
    # Not in pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="clv-read-only-") as folder:
        Path(folder).chmod(0o555)
        output = Path(folder) / name
        with without_rights(), pytest.raises(OutputError, match=r"cannot be written: .*ermission"):
            score(InMemorySource(SIX), predictor, output)
        Path(folder).chmod(0o755)
        assert list(Path(folder).iterdir()) == []


def test_so_is_one_that_is_a_file(predictor, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"out\.csv' cannot be written: .*Nothing was changed"):
        score(InMemorySource(SIX), predictor, tmp_path / "file" / "out.csv")


def test_so_is_an_output_that_is_a_folder(predictor, tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OutputError, match=r"out\.csv' cannot be written: it is a folder"):
        score(InMemorySource(SIX), predictor, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
