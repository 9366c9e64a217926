"""The champion as SQL: a table of its cells and a view, for warehouses that data does not leave.

The cells are those of the model, cut once more where the counts of similar customers change.
Numbers are written with every digit and compared as the `Predictor` compares them, so the view says
what it says, before rounding to cents.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import sqlglot

from clv.bundle import DEFAULT_LEVEL, Cells, Predictor
from clv.errors import UsageError
from clv.schema import DEFAULT_TABLE, FEATURES, Floats

__all__ = ["MAX_CELLS", "Dialect", "sql_script"]

Dialect = Literal["duckdb", "postgres", "spark", "bigquery", "snowflake"]

#: A script of more cells is too long for the editors and limits of warehouses.
MAX_CELLS = 200_000
_ROWS_AT_A_TIME = 1_000
_TABLES = {
    "clv_bands": "feature VARCHAR, band INT, above DOUBLE, upto DOUBLE",
    "clv_cells": "recency INT, frequency INT, monetary INT, expected DOUBLE, p_return DOUBLE, "
    "alike INT",
    "clv_bins": "score_bin INT, lowest DOUBLE, below DOUBLE, low DOUBLE, high DOUBLE",
}
# Beyond every number, for the outer ends.
_FAR = 1e308


def sql_script(
    predictor: Predictor,
    dialect: Dialect,
    *,
    table: str = DEFAULT_TABLE,
    level: float = DEFAULT_LEVEL,
) -> str:
    """Statements that make three small tables and the view `clv_predictions`.

    Parameters
    ----------
    predictor : Predictor
    dialect : {'duckdb', 'postgres', 'spark', 'bigquery', 'snowflake'}
    table : str
        The activity table there.
    level : float
        Of the intervals.

    Raises
    ------
    DataError
        Where the level is out of range.
    UsageError
        Where the model has too many cells.
    """
    splits, around = predictor.scorer.cells.thresholds, predictor.surroundings.edges
    cuts = [
        # A customer is in the next cell of those from `edge` on: beyond the number before it.
        np.union1d(mine, np.nextafter(np.array(edges), -np.inf))
        for mine, edges in zip(splits, around, strict=True)
    ]
    if Cells.count(cuts) > MAX_CELLS:
        raise UsageError(
            f"Version {predictor.version} has {Cells.count(cuts):,} cells; a script holds at most "
            f"{MAX_CELLS:,}. Score with `clv score`, or train a model of fewer and larger trees."
        )
    rows = {
        "clv_bands": list(_bands(cuts)),
        "clv_cells": list(_cells(predictor, cuts)),
        "clv_bins": list(_bins(predictor, level)),
    }
    model = f"{predictor.manifest.model}, version {predictor.version}"
    head = f"-- {model}, intervals of {level:g}. Run it all; then read clv_predictions.\n"
    statements = [_in(dialect, "DROP VIEW IF EXISTS clv_predictions")]
    for name, columns in _TABLES.items():
        statements.append(_in(dialect, f"DROP TABLE IF EXISTS {name}"))
        made = _in(dialect, f"CREATE TABLE {name} ({columns})")
        statements.append(f"{made} USING PARQUET" if dialect == "spark" else made)
        for at in range(0, len(rows[name]), _ROWS_AT_A_TIME):
            values = ",\n".join(rows[name][at : at + _ROWS_AT_A_TIME])
            statements.append(f"INSERT INTO {name} VALUES\n{values}")
    view = f"CREATE VIEW clv_predictions AS {_query(predictor, table)}"
    statements.append(_in(dialect, view))
    return head + ";\n".join(statements) + ";\n"


def _in(dialect: Dialect, statement: str) -> str:
    """A statement of DuckDB's dialect in another."""
    return sqlglot.transpile(statement, read="duckdb", write=dialect, pretty=True)[0]


def _query(predictor: Predictor, table: str) -> str:
    features = dict(zip(FEATURES, predictor.window.features, strict=True))
    joins = " ".join(
        f"LEFT JOIN clv_bands AS {name}_band ON {name}_band.feature = '{name}' "
        f"AND activity.{column.name} BETWEEN {_double(column.low)} AND {_double(column.high)} "
        f"AND activity.{column.name} > {name}_band.above "
        f"AND activity.{column.name} <= {name}_band.upto"
        for name, column in features.items()
    )
    spent = f"CAST(activity.{features['monetary'].name} AS DOUBLE)"
    weights = predictor.scorer.cells.weights
    linear = " + ".join(
        f"{_double(weight)} * CAST(activity.{column.name} AS DOUBLE)"
        for weight, column in zip(weights, features.values(), strict=True)
    )
    total = f"cells.expected + ({linear})" if any(weights) else "cells.expected"
    nothing = _double(0)
    increment = (
        "cells.expected"
        if predictor.scorer.target == "increment"
        else f"GREATEST({total} - {spent}, {nothing})"
    )
    scale = f"GREATEST(said.expected_increment, {_double(predictor.calibration.floor)})"
    return f"""
        WITH said AS (
            SELECT activity.id, {spent} AS spent, {increment} AS expected_increment,
                   cells.p_return, cells.alike
            FROM {table} AS activity {joins}
            LEFT JOIN clv_cells AS cells ON cells.recency = recency_band.band
                AND cells.frequency = frequency_band.band AND cells.monetary = monetary_band.band
        )
        SELECT said.id, said.spent + said.expected_increment AS {predictor.window.prediction},
               said.expected_increment, said.p_return,
               GREATEST(said.spent + bins.low * {scale}, {nothing}) AS low,
               GREATEST(said.spent + bins.high * {scale}, {nothing}) AS high,
               bins.score_bin, said.alike >= {predictor.surroundings.needed} AS in_support,
               '{predictor.version}' AS model_version
        FROM said LEFT JOIN clv_bins AS bins
            ON said.expected_increment >= bins.lowest AND said.expected_increment < bins.below
    """  # noqa: S608 - names of the schema, and the user's own table


def _bands(cuts: Sequence[Floats]) -> Iterator[str]:
    for name, ends in zip(FEATURES, cuts, strict=True):
        outer = [-_FAR, *ends.tolist(), _FAR]
        for band, (above, upto) in enumerate(pairwise(outer)):
            yield f"('{name}', {band}, {_double(above)}, {_double(upto)})"


def _cells(predictor: Predictor, cuts: Sequence[Floats]) -> Iterator[str]:
    model = predictor.scorer.cells
    rows = Cells.representatives(cuts)
    cells, similar = model.of(rows), predictor.surroundings.similar(rows)
    bands = np.unravel_index(np.arange(len(rows)), [len(ends) + 1 for ends in cuts])
    columns = (
        *(band.tolist() for band in bands),
        model.expected[cells].tolist(),
        model.p_return[cells].tolist(),
        similar.tolist(),
    )
    for recency, frequency, monetary, expected, p_return, alike in zip(*columns, strict=True):
        numbers = f"{_double(expected)}, {_double(p_return)}, {alike}"
        yield f"({recency}, {frequency}, {monetary}, {numbers})"


def _bins(predictor: Predictor, level: float) -> Iterator[str]:
    low, high = predictor.scorer.intervals.bounds(level)
    outer = [-_FAR, *predictor.calibration.edges, _FAR]
    for number, (lowest, below) in enumerate(pairwise(outer)):
        bounds = ", ".join(map(_double, (lowest, below, low[number], high[number])))
        yield f"({number + 1}, {bounds})"


def _double(value: float) -> str:
    """Every digit, and an exponent: without one it would be a decimal, and rounded on its way."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"
