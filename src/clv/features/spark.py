"""Features on the user's Spark, where a log has outgrown this machine."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ibis

from clv.data.kinds import TEXT_FILES
from clv.data.numbers import NumberFormat
from clv.features.engine import Engine, Opened
from clv.spark import failures_told, read_table, spark_session, write_whole

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["spark_engine"]

_KINDS = {
    "bigint": "int64", "int": "int64", "smallint": "int64", "tinyint": "int64",
    "string": "string", "double": "float64", "float": "float64", "date": "date",
    "timestamp": "timestamp('UTC')", "timestamp_ntz": "timestamp",
}  # fmt: skip


@contextmanager
def spark_engine(master: str | None) -> Iterator[Engine]:
    """An engine on a cluster; what it keeps meanwhile is given back.

    Parameters
    ----------
    master : str, optional
        As for `clv.spark.spark_session`.
    """
    with spark_session(master) as session:
        # Ibis knows how to speak to Spark once it has loaded this, which imports pandas.
        _ = ibis.pyspark
        engine = _Spark(session)
        try:
            yield engine
        finally:
            engine.forget()


class _Spark:
    def __init__(self, session: "SparkSession") -> None:
        self._session = session
        self._views: list[str] = []
        self._kept: list[DataFrame] = []

    def open(
        self,
        location: str,
        table: str,  # noqa: ARG002
        *,
        text: Sequence[str],  # noqa: ARG002
        numbers: NumberFormat = NumberFormat(),  # noqa: ARG002, B008 - all columns are text
    ) -> Opened:
        view = f"clv_opened_{len(self._views)}"
        read = read_table(self._session, location)
        kinds = {name: _kind(kind) for name, kind in read.dtypes}
        self._name(view, read)
        return Opened(location, view, kinds, location.lower().endswith(TEXT_FILES))

    def view(self, name: str, expression: ibis.Table) -> None:
        self._name(name, self._frame(expression))

    def fetch(self, expression: ibis.Table) -> list[dict[str, Any]]:
        with failures_told("Spark"):
            return [row.asDict() for row in self._frame(expression).collect()]

    def keep(self, name: str, expression: ibis.Table) -> None:
        frame = self._frame(expression).persist()
        self._kept.append(frame)
        self._name(name, frame)

    def write(self, expression: ibis.Table, output: str) -> None:
        with failures_told(f"'{output}' cannot be written by Spark"):
            write_whole(self._frame(expression), output)

    def forget(self) -> None:
        """Give back memory and names, in the user's own session."""
        for frame in self._kept:
            frame.unpersist()
        for view in self._views:
            self._session.catalog.dropTempView(view)

    def _name(self, view: str, frame: "DataFrame") -> None:
        frame.createOrReplaceTempView(view)
        self._views.append(view)

    def _frame(self, expression: ibis.Table) -> "DataFrame":
        with failures_told("Spark"):
            return self._session.sql(str(ibis.to_sql(expression, dialect="pyspark")))


def _kind(name: str) -> str | None:
    return name if name.startswith("decimal") else _KINDS.get(name)
