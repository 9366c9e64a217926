"""Score on the user's Spark: the model travels with the job.

Executors need NumPy and Arrow and nothing of ours: what computes a prediction is sent to them as
code, by value, with the table of the model. It is the code that scores here.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import clv
from clv.bundle import DEFAULT_LEVEL, Predictor
from clv.data.conform import ColumnNames, find_columns
from clv.data.findings import Finding
from clv.data.numbers import NumberCounts, NumberFormat, count_numbers, decide
from clv.errors import DataError
from clv.scoring.local import OnInvalid, Scored, first_problem
from clv.scoring.rows import BatchScorer
from clv.spark import failures_told, read_table, spark_session, write_whole

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["score_on_spark"]

_ROWS_LOOKED_AT = 10_000


def score_on_spark(
    location: str,
    predictor: Predictor,
    output: str,
    *,
    master: str | None = None,
    level: float = DEFAULT_LEVEL,
    on_invalid: OnInvalid = "stop",
    numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
) -> Scored:
    """Write a prediction for each row of a table, as `clv.scoring.score` does.

    Parameters
    ----------
    location : str
        Parquet, CSV, or a table of the catalog, as the executors see it.
    predictor : Predictor
    output : str
        A folder of Parquet files, which must not exist yet.
    master : str, optional
        As for `clv.spark.spark_session`.
    level, on_invalid
        As for `clv.scoring.score`.
    numbers : NumberFormat
        How the numbers of a text file are written; by default each column decides.

    Raises
    ------
    DataError, OutputError, UsageError
        As `clv.scoring.score`; and where there is no such cluster.
    """
    predictor.scorer.intervals.bounds(level)  # refuses a level that is none, before anything runs
    with spark_session(master) as session:
        table = read_table(session, location)
        names = find_columns(location, table.columns, predictor.window, need_outcome=False)
        table = _with_whole_ids(table.select(*names.all()), names.id)
        names, read_as = _settled(table, names, numbers)
        score_batch = BatchScorer(
            predictor.scorer, predictor.window, predictor.version, names, level
        )
        told: list[Scored] = []

        def check(written: "DataFrame") -> None:
            scored = _sum_up(written, predictor.window.prediction)
            if not scored.rows:
                raise DataError(f"'{location}' holds no rows, so there is nothing to score.")
            if scored.blank and on_invalid == "stop":
                raise _why(location, table, written, score_batch)
            told.append(replace(scored, findings=tuple(read_as)))

        with _sent_by_value(), failures_told(f"'{location}' cannot be scored by Spark"):
            said = table.mapInArrow(_job(score_batch), _schema(table, score_batch))
            write_whole(said, output, check)
    return told[0]


def _settled(
    table: "DataFrame", names: ColumnNames, told: NumberFormat
) -> tuple[ColumnNames, list[Finding]]:
    """As `clv.data.conform.settled`, each batch of text counted where it is."""
    kinds = dict(table.dtypes)
    texts = [name for name in names.numbers if kinds[name] == "string"]
    counts = dict.fromkeys(texts, NumberCounts())
    if texts:
        with _sent_by_value(), failures_told("The numbers cannot be read by Spark"):
            job = table.select(*texts).mapInArrow(_count, "name string, counts string")
            for name, text in job.toLocalIterator():
                counts[name] += NumberCounts.from_json(text)
    notations, findings = {}, []
    for name, counted in counts.items():
        notation, found = decide(name, counted, told)
        findings += found
        if notation is not None:
            notations[name] = notation
    return replace(names, notations=notations), findings


def _count(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    """The numbers of each column of a batch by notation; what each executor runs on its part."""
    for batch in batches:
        texts = [count_numbers(column).to_json() for column in batch.columns]
        yield pa.RecordBatch.from_pydict({"name": batch.schema.names, "counts": texts})


def _with_whole_ids(table: "DataFrame", name: str) -> "DataFrame":
    """Ids that are floats as whole numbers, or as text if they are not whole."""
    if dict(table.dtypes)[name] not in ("float", "double"):
        return table
    from pyspark.sql import functions  # noqa: PLC0415 - few have it

    column = table[name]
    fraction = table.filter(f"NOT isnan(`{name}`) AND `{name}` <> floor(`{name}`)")
    kind = "bigint" if fraction.isEmpty() else "string"
    known = column.cast(kind)
    return table.withColumn(name, functions.when(~functions.isnan(column), known))


def _job(
    score_batch: BatchScorer,
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """What each executor runs on its part of the table."""

    def score(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            yield score_batch(batch).rows

    return score


@contextmanager
def _sent_by_value() -> Iterator[None]:
    """Send our code itself and not its name, by which an executor would look for the package."""
    from pyspark import cloudpickle  # noqa: PLC0415 - few have it

    cloudpickle.register_pickle_by_value(clv)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(clv)  # type: ignore[no-untyped-call]


def _schema(table: "DataFrame", score_batch: BatchScorer) -> str:
    """What a batch of predictions looks like, in Spark's words."""
    empty = pa.RecordBatch.from_pydict(
        {name: pa.array([], pa.float64()) for name in score_batch.names.all()}
    )
    spark = {pa.float64(): "double", pa.int16(): "smallint", pa.bool_(): "boolean"}
    said = score_batch(empty).rows.schema
    columns = {field.name: spark.get(field.type, "string") for field in said}
    columns["id"] = dict(table.dtypes)[score_batch.names.id]
    return ", ".join(f"`{name}` {kind}" for name, kind in columns.items())


def _sum_up(written: "DataFrame", prediction: str) -> Scored:
    """As `Scored` of what was written, where money is in whole cents."""
    row: Any = written.selectExpr(
        "count(*) AS rows",
        "count_if(p_return IS NULL) AS blank",
        "count_if(NOT in_support) AS out_of_support",
        f"coalesce(sum(`{prediction}`), 0) AS expected_spend",
        "coalesce(sum(expected_increment), 0) AS expected_increment",
    ).first()
    return Scored(**row.asDict())


def _why(
    location: str, table: "DataFrame", written: "DataFrame", score_batch: BatchScorer
) -> DataError:
    """Look at one of the rows without a prediction, here."""
    names = score_batch.names
    blank: Any = written.filter("p_return IS NULL").first()
    # Another row of the same customer may be fine.
    rows = table.filter(table[names.id].eqNullSafe(blank["id"])).limit(_ROWS_LOOKED_AT).collect()
    columns = {name: pa.array([row[name] for row in rows]) for name in names.all()}
    conformed = score_batch(pa.RecordBatch.from_pydict(columns)).conformed
    return first_problem(f"A row of '{location}'", names, conformed)
