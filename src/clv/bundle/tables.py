"""A table of customers in memory, of pandas, Polars or Arrow, as what a prediction takes."""

from typing import Any

import numpy as np

from clv.errors import DataError
from clv.schema import Activity, Window, require_valid

__all__ = ["activity_of"]


def activity_of(table: Any, window: Window) -> Activity:
    """The activity in a table's columns, found by their names.

    Raises
    ------
    DataError
        If it is no table, a column is missing, or a value is not valid; names it and its row.
    """
    import pyarrow as pa  # noqa: PLC0415 - only who gives a table needs it

    from clv.data.conform import read_numbers  # noqa: PLC0415

    wanted = ", ".join(column.name for column in window.features)
    if not (hasattr(table, "__arrow_c_stream__") or isinstance(table, dict)):
        raise DataError(
            f"A {type(table).__name__} cannot be used for predictions. Expected "
            f"clv.schema.Activity, or a pandas, Polars or Arrow table with the columns {wanted}."
        )
    read = pa.table(table)
    numbers = []
    for column in window.features:
        name = next((one for one in column.names if one in read.column_names), None)
        if name is None:
            raise DataError(
                f"Column '{column.name}' ({column.meaning}) is missing; the table has "
                f"{', '.join(map(repr, read.column_names))}. Rename the column that holds it."
            )
        values, problems = read_numbers(read.column(name).combine_chunks(), name, column)
        for problem in problems:
            row = int(np.argmax(problem.rows))
            value = problem.values[row]
            raise DataError(f"Column '{name}' holds {value!r} in row {row}: {problem.says}.")
        numbers.append(values)
    activity = Activity(*numbers)
    require_valid(activity, window)
    return activity
