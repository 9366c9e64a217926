"""One sheet of a workbook to CSV, in a process of its own: `python sheet.py REQUEST`, as JSON.

A workbook of a few kilobytes can ask for terabytes (a cell in the last row, repeated cells, XML
that unpacks without end), on which the reader dies. Here it dies alone, within a limit of memory.
Only the standard library and the reader are imported.
"""

import contextlib
import csv
import datetime
import decimal
import json
import math
import sys
from typing import Any

_MOST_MEMORY = 2 * 2**30
_MOST_SECONDS = 300
_LOOKED_AT = 40


def main() -> int:
    """Write the sheet and print what was found: sheets, sheet, or error."""
    asked = json.loads(sys.argv[1])
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has limits
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415 - within limits

    try:
        # Not by its name, which may be that of another kind.
        with (
            open(asked["path"], "rb") as file,  # noqa: PTH123
            CalamineWorkbook.from_filelike(file) as workbook,
        ):
            _say(_written(workbook, asked))
    except CalamineError as error:
        _say({"error": str(error) or type(error).__name__})
    return 0


def _written(workbook: Any, asked: dict[str, Any]) -> dict[str, Any]:
    visible = [one.name for one in workbook.sheets_metadata if "WorkSheet" in str(one.typ)]
    sheets = visible or list(workbook.sheet_names)
    name = asked["sheet"] if asked["sheet"] in sheets else None
    if name is None and asked["required"]:
        return {"sheets": sheets, "sheet": None}
    if name is None:
        name = next((one for one in sheets if _has_id(workbook, one, asked["ids"])), None)
        name = name or next((one for one in sheets if _rows(workbook, one)), None)
    rows = 0
    if name is not None:
        with open(asked["output"], "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
            writer = csv.writer(file)
            for row in _rows(workbook, name):
                cells = [_text(cell) for cell in row]
                if any(cells):
                    writer.writerow(cells)
                    rows += 1
    return {"sheets": sheets, "sheet": name, "rows": rows}


def _rows(workbook: Any, name: str, most: int | None = None) -> Any:
    sheet = workbook.get_sheet_by_name(name)
    return sheet.to_python(nrows=most) if most else (sheet.iter_rows() if sheet.height else [])


def _has_id(workbook: Any, name: str, ids: list[str]) -> bool:
    for row in _rows(workbook, name, _LOOKED_AT):
        if any(str(cell).strip().lower() in ids for cell in row):
            return True
    return False


def _text(cell: Any) -> str:
    """As a program writes it: whole floats whole, dates in ISO 8601."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return _number(cell) if math.isfinite(cell) else ""
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()
    if isinstance(cell, (datetime.datetime, datetime.date, datetime.time)):
        return cell.isoformat()
    return str(cell)


def _number(value: float) -> str:
    """A number without a decimal mark, 85e-1 for 8.5: how text is written is another matter."""
    if value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    sign, digits, exponent = decimal.Decimal(repr(value)).as_tuple()
    return f"{'-' if sign else ''}{''.join(map(str, digits))}e{exponent}"


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    sys.exit(main())
