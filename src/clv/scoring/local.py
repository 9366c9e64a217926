"""Score on this machine: stream a SOURCE through the `Predictor` to a file, whole or not at all."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from clv.bundle import DEFAULT_LEVEL, Predictor
from clv.data.conform import ColumnNames, Conformed, find_columns, settled
from clv.data.findings import Finding, shown_value
from clv.data.output import writing_tables, writing_to
from clv.data.sources import Source, require_other_file
from clv.errors import DataError
from clv.scoring.rows import BatchScorer, ScoredBatch
from clv.scoring.upsert import DatabaseTable, upserting

__all__ = ["OnInvalid", "Scored", "first_problem", "score"]

OnInvalid = Literal["stop", "blank"]

_THREADS = 2


@dataclass(frozen=True, slots=True)
class Scored:
    """What a batch came to.

    `blank` rows had no usable activity and carry no prediction; of those that carry one,
    `out_of_support` are of customers like whom too few were learnt from. `findings` say how the
    table was read, where that is not plain.
    """

    rows: int
    blank: int
    out_of_support: int
    expected_spend: float
    expected_increment: float
    findings: tuple[Finding, ...] = ()


def score(
    source: Source,
    predictor: Predictor,
    output: Path | DatabaseTable,
    *,
    level: float = DEFAULT_LEVEL,
    on_invalid: OnInvalid = "stop",
    raw: bool = False,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Scored:
    """Write a prediction for each row of `source`, in its order.

    The output has the columns `id`, `monetary_30` (by the model's horizon), `expected_increment`,
    `p_return`, `low`, `high`, `score_bin`, `in_support` and `model_version`, as `Predictions`
    describes them; money is rounded to cents, the probability to four decimals. It appears under
    its name when it is complete.

    Parameters
    ----------
    source : Source
    predictor : Predictor
    output : Path or DatabaseTable
        A `.csv` or `.parquet` file, replaced where it exists, unless it is what is read; or a table
        in which each customer has one row, the newest.
    level : float
        Share of customers whose spend their interval holds, from 0.5 to 0.99.
    on_invalid : {'stop', 'blank'}
        What a row means that cannot be scored: an error, or a row without a prediction.
    raw : bool
        Whether text in a CSV file stays as it is; otherwise what a spreadsheet would take for a
        formula begins with an apostrophe.
    on_rows : callable
        Told how many more rows are done.

    Raises
    ------
    DataError
        Where a column is missing, there are no rows, the level is out of range, or a row cannot be
        scored and `on_invalid` is 'stop'.
    OutputError
        Where the output cannot be written.
    UsageError
        Where the output is the file that `source` reads.
    """
    names = find_columns(source.name, source.columns, predictor.window, need_outcome=False)
    names, read_as = settled(source, names)
    score_batch = BatchScorer(predictor.scorer, predictor.window, predictor.version, names, level)
    totals = np.zeros(2)
    rows = blank = out_of_support = 0
    with _writing(source, output, raw=raw) as write:
        for scored in _in_order(score_batch, source.batches(names.all())):
            usable, predictions = scored.usable, scored.predictions
            if on_invalid == "stop" and not usable.all():
                row = rows + int(np.argmin(usable)) + 1
                raise first_problem(f"Row {row:,} of '{source.name}'", names, scored.conformed)
            write(pa.Table.from_batches([scored.rows]))
            totals += predictions.monetary.sum(), predictions.expected_increment.sum()
            out_of_support += int((~predictions.in_support).sum())
            rows += len(usable)
            blank += int((~usable).sum())
            on_rows(len(usable))
        if rows == 0:
            raise DataError(f"'{source.name}' holds no rows, so there is nothing to score.")
    return Scored(rows, blank, out_of_support, float(totals[0]), float(totals[1]), tuple(read_as))


def _writing(
    source: Source, output: Path | DatabaseTable, *, raw: bool
) -> AbstractContextManager[Callable[[pa.Table], None]]:
    if isinstance(output, DatabaseTable):
        return upserting(output)
    with writing_to(output):
        require_other_file(source, output)
    return writing_tables(output, raw=raw)


def _in_order(score_batch: BatchScorer, batches: Iterator[pa.RecordBatch]) -> Iterator[ScoredBatch]:
    """Score on threads while the next batch is read and the last one written, in their order.

    NumPy and Arrow release the interpreter lock for most of it. Only so many batches are under way
    that memory does not grow with the table.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="score") as pool:
        under_way: deque[Future[ScoredBatch]] = deque()
        for batch in batches:
            under_way.append(pool.submit(score_batch, batch))
            if len(under_way) > _THREADS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def first_problem(where: str, names: ColumnNames, conformed: Conformed) -> DataError:
    """Say of the first row that cannot be scored which it is, and why; `where` begins it."""
    problem = min(conformed.problems, key=lambda problem: int(np.argmax(problem.rows)))
    row = int(np.argmax(problem.rows))
    return DataError(
        f"{where} ({names.id} {shown_value(conformed.ids[row].as_py())}) cannot be scored: "
        f"column {problem.column} holds {problem.shown(row)}: {problem.says}. Correct it, or use "
        "--on-invalid blank to leave such rows without a prediction. Nothing was written."
    )
