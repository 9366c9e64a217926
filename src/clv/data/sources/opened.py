"""Text tables as programs write them, made into what DuckDB reads: UTF-8, the header first.

UTF-16, Windows-1252, a `sep=;` line, title lines above the header and workbooks are copied into a
temporary file once; a plain file is read where it is.
"""

import codecs
import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from clv.data.findings import Finding
from clv.data.sources.source import unreadable
from clv.errors import DataError

__all__ = [
    "DELIMITERS",
    "TextTable",
    "as_utf8",
    "begins",
    "is_gzip",
    "opened",
    "prepared",
    "require_sound_gzip",
]

DELIMITERS = ",;\t|"
# How far down a header is looked for.
_LOOKED_AT = 40
_PIECE = 2**20
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_NAMES = {"utf-16": "UTF-16", "utf-16-le": "UTF-16", "cp1252": "Windows-1252"}


@dataclass(frozen=True, slots=True)
class TextTable:
    """A file that DuckDB can read, and what was done to get it.

    Attributes
    ----------
    path : Path
        The file itself, or the copy.
    delimiter : str or None
        If a `sep=` line says it.
    lines_above : int
        Lines before the header, which are not in the copy.
    findings : tuple of Finding
    sheets : tuple of str
        Of a workbook.
    sheet : str or None
        The one that was copied.
    """

    path: Path
    delimiter: str | None = None
    lines_above: int = 0
    findings: tuple[Finding, ...] = ()
    sheets: tuple[str, ...] = ()
    sheet: str | None = None


def require_sound_gzip(path: Path, name: str) -> None:
    """Refuse a .gz file that is damaged: DuckDB does not compare its checksum.

    Raises
    ------
    DataError
    """
    try:
        with gzip.open(path) as file:
            while file.read(_PIECE):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"'{name}' cannot be read: it is damaged ({str(error).rstrip('.')}). "
            "Compress or transfer it again."
        ) from error


def prepared(path: Path, name: str, folder: Callable[[], Path]) -> TextTable:
    """A text table whose header is its first line; if it is not, a copy in `folder()`.

    Raises
    ------
    DataError
        If it begins like another kind of file.
    """
    try:
        with opened(path) as file:
            head = file.read(_PIECE)
    except (OSError, EOFError):  # DuckDB says what is wrong
        return TextTable(path)
    if head.startswith(b"%PDF"):
        raise unreadable(name, "it is a PDF; export the table as 'CSV UTF-8'")
    encoding = next((one for mark, one in _MARKS.items() if head.startswith(mark)), "utf-8-sig")
    if encoding == "utf-8-sig" and b"\0" in head:
        if head[1::2].count(0) < len(head) // 3 or head[::2].count(0):
            raise unreadable(name, "it is not text in UTF-8; save the table as 'CSV UTF-8'")
        encoding = "utf-16-le"
    text = head.decode(encoding, errors="replace")
    if "\0" in text:
        raise unreadable(name, "it is not text in UTF-8; save the table as 'CSV UTF-8'")
    above, delimiter, titles = _above_header(text)
    if encoding == "utf-8-sig" and not above:
        return TextTable(path)
    return _copied(path, folder(), encoding, (above, delimiter, titles))


def as_utf8(path: Path, folder: Path) -> TextTable:
    """A copy of a file that is not UTF-8, read as Windows-1252."""
    with opened(path) as file:
        above, delimiter, titles = _above_header(file.read(_PIECE).decode("cp1252", "replace"))
    return _copied(path, folder, "cp1252", (above, delimiter, titles))


def is_gzip(path: Path) -> bool:
    """Whether a file is packed by gzip, or says so by its name."""
    return path.name.lower().endswith(".gz") or begins(path, b"\x1f\x8b")


def begins(path: Path, *marks: bytes) -> bool:
    """Whether a file begins with one of these."""
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(marks)
    except OSError:  # whoever opens it next says what is wrong
        return False


def opened(path: Path) -> BinaryIO:
    """A file's bytes, unpacked if it is gzip's."""
    unpack = gzip.open if is_gzip(path) else open
    return cast("BinaryIO", unpack(path, "rb"))


def _copied(
    path: Path, folder: Path, encoding: str, header: tuple[int, str | None, str]
) -> TextTable:
    above, delimiter, titles = header
    findings = []
    copy = folder / "table.csv"
    try:
        with opened(path) as file, copy.open("w", encoding="utf-8", newline="") as target:
            lines = io.TextIOWrapper(file, encoding, errors="replace", newline="")
            for _ in range(above):
                lines.readline()
            while piece := lines.read(_PIECE):
                target.write(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(str(path), error) from error
    if name := _NAMES.get(encoding):
        action = "Save it as 'CSV UTF-8' if names or ids look wrong."
        findings.append(Finding("kept", "encoding", "all columns", 0, f"read as {name}", action))
    if delimiter:
        says = f"separated by '{delimiter}', as its first line says"
        findings.append(Finding("kept", "separator", "all columns", 0, says, ""))
    if titles:
        says = f"lines above the header were skipped, for example '{titles}'"
        findings.append(Finding("kept", "title-lines", "all columns", 0, says, ""))
    return TextTable(copy, delimiter, above, tuple(findings))


def _above_header(text: str) -> tuple[int, str | None, str]:
    """How many lines are above the header, the delimiter that one says, and a title line."""
    lines = list(itertools.islice(io.StringIO(text, newline=""), _LOOKED_AT))
    first, delimiter = 0, None
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].rstrip()) in (4, 5):
        delimiter = lines[0].rstrip("\r\n")[4:5] or None
        first = 1
    header = _header_of(lines[first:], delimiter)
    titles = [line for line in lines[first : first + header] if line.strip(" ,;\t|")]
    return first + header, delimiter, titles[0].strip(" ,;\t|\r\n")[:60] if titles else ""


def _header_of(lines: list[str], delimiter: str | None) -> int:
    """The line that holds the names: 0 unless it has fewer cells than the lines further down."""
    mark = delimiter or max(DELIMITERS, key=lambda one: sum(line.count(one) for line in lines))
    try:
        rows = [next(csv.reader([line.rstrip("\r\n")], delimiter=mark), []) for line in lines]
    except csv.Error:
        return 0
    filled = [[cell for cell in row if cell.strip()] for row in rows]
    if not rows:
        return 0
    cells = max(len(row) for row in rows)
    if len(filled[0]) == len(rows[0]) == cells or cells < 2:
        return 0
    for index, row in enumerate(rows[1:], 1):
        names = len(filled[index])
        if names > len(filled[0]) and names > 1 and not any(map(_is_number, row)):
            above = max(len(one) for one in filled[:index])
            below = max((len(one) for one in rows[index + 1 :]), default=names)
            return index if above < names and below == len(row) else 0
        if any(map(_is_number, row)):
            return 0
    return 0


def _is_number(cell: str) -> bool:
    return cell.strip()[:1].isdigit()
