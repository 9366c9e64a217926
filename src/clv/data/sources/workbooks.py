"""Excel and OpenDocument workbooks: one sheet as a text table."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from clv.data.findings import Finding
from clv.data.sources.source import no_such_table, unreadable
from clv.schema import DEFAULT_RIDES, DEFAULT_TABLE

__all__ = ["sheet_to_csv"]

# Unpacked; a sheet of a million rows and ten columns has some 400 MB of XML.
_MOST_BYTES = 2**30
_PATIENCE_S = 330
_READER = Path(__file__).with_name("sheet.py")


def sheet_to_csv(
    path: Path, sheet: str, ids: Sequence[str], output: Path
) -> tuple[list[str], str, list[Finding]]:
    """Write one sheet of a workbook as CSV: the one asked for, or the first that has ids.

    Parameters
    ----------
    path : Path
    sheet : str
        Name of the sheet; a default table's name leaves the choice open.
    ids : sequence of str
        Names that the column of ids may have.
    output : Path

    Returns
    -------
    sheets : list of str
    sheet : str
        The one that was written.
    findings : list of Finding
        Which sheet was read, if there are several.

    Raises
    ------
    DataError
        If there is no such sheet, or the workbook is damaged, protected or too large.
    """
    _require_bounded(path)
    asked = {
        "path": str(path),
        "output": str(output),
        "sheet": sheet,
        "required": sheet not in (DEFAULT_TABLE, DEFAULT_RIDES),
        "ids": [name.lower() for name in ids],
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own file, no shell
            [sys.executable, "-I", str(_READER), json.dumps(asked)],
            capture_output=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
    except (subprocess.TimeoutExpired, ValueError):
        answer = {}
    if not answer:
        raise unreadable(
            str(path),
            "reading it takes too much memory or time; save the sheet as 'CSV UTF-8'",
        )
    if "error" in answer:
        raise unreadable(str(path), f"{_plain(answer['error'])}; save the sheet as 'CSV UTF-8'")
    sheets = [str(one) for one in answer["sheets"]]
    if answer["sheet"] is None and asked["required"]:
        raise no_such_table(str(path), sheet, sheets)
    if not answer.get("rows"):
        raise unreadable(str(path), "it has no rows")
    findings = []
    if len(sheets) > 1:
        others = ", ".join(one for one in sheets if one != answer["sheet"])
        says = f"sheet '{answer['sheet']}' was read; others: {others}"
        action = "Name another one with --table."
        findings.append(Finding("kept", "sheet", "all columns", 0, says, action))
    return sheets, str(answer["sheet"]), findings


def _require_bounded(path: Path) -> None:
    """Refuse what says itself that it unpacks to more than a table may have."""
    if not zipfile.is_zipfile(path):
        return  # .xls is not packed
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise unreadable(str(path), error) from error
    if size > _MOST_BYTES:
        raise unreadable(
            str(path),
            f"it unpacks to {size / 2**20:,.0f} MB, of at most {_MOST_BYTES / 2**20:,.0f}; "
            "save the sheet as 'CSV UTF-8'",
        )


def _plain(error: str) -> str:
    if "assword" in error:
        return "it is protected by a password"
    return f"it is not a readable Excel workbook ({error.splitlines()[0]})"
