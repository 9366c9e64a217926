"""Text that a spreadsheet would run: escaped in CSV outputs, and read back as it was.

Excel, LibreOffice and Google Sheets take a cell that begins with one of these characters for a
formula, which can send the sheet elsewhere or start a program (CWE-1236). An apostrophe before it
makes it text. Text that has apostrophes before such a character gets one more, so that taking one
away again always gives back what was written. Numbers stay as they are.

Source: OWASP, CSV Injection; the last four are the full-width forms of the first.
"""

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["escaped", "escaped_sql", "unescaped_sql"]

# After a minus there is more than a number: -5 is what a spreadsheet shows of it.
_BEGINS = r"(?:[=+@\t\r\n＝＋－＠]|-[0-9.]*[^0-9.])"
# RE2 for Arrow and DuckDB alike.
_FORMULA = rf"^'*{_BEGINS}"
_ESCAPED = rf"^'+{_BEGINS}"


def escaped(table: pa.Table) -> pa.Table:
    """The table as it is safe in a CSV file: an apostrophe before text that begins a formula."""
    for index, field in enumerate(table.schema):
        if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
            continue
        column = table.column(index)
        runs = pc.match_substring_regex(column, _FORMULA)
        if pc.any(runs).as_py():
            empty = pa.scalar("", field.type)
            quoted = pc.binary_join_element_wise(pa.scalar("'", field.type), column, empty)
            table = table.set_column(index, field, pc.if_else(runs, quoted, column))
    return table


def escaped_sql(column: str) -> str:
    """As `escaped`, in DuckDB's SQL, of a quoted column of text."""
    return f"if(regexp_matches({column}, {_literal(_FORMULA)}), '''' || {column}, {column})"


def unescaped_sql(column: str) -> str:
    """What was written, in DuckDB's SQL, of a quoted column of text read from a CSV file."""
    return f"if(regexp_matches({column}, {_literal(_ESCAPED)}), substr({column}, 2), {column})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
