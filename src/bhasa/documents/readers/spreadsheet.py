"""Excel (.xlsx, .xlsm) through openpyxl: the visible sheets, row by row, the first row being the names.

openpyxl rather than pandas, which reads with it: a sheet goes row after row, and whole numbers stay whole.
Cells show what was last computed for them: no formula is evaluated, no macro run, no link to another file
followed. A file is a zip archive, so what it may grow to is limited before anything is parsed; a sheet may
name rows and columns far beyond those it has, so the cells that are made of it are counted.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from openpyxl import load_workbook

from bhasa.documents.readers.rows import read_table
from bhasa.documents.records import Outcome, Record, Refused, quarantined

MAX_UNPACKED = 100 << 20  # bytes of XML
MAX_RATIO = 100  # of unpacked to packed; numbers in long columns reach a third of it
MAX_CELLS = 20_000_000
OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # how .xls begins, and any file with a password

warnings.filterwarnings("ignore", module=r"openpyxl\.")  # it tells of each feature that it does not read


def read(content: bytes, name: str) -> Iterator[Record | Refused]:
    try:
        _check_size(content)
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        cells = _Cells()
        for sheet in book.worksheets:
            if sheet.sheet_state != "visible":
                yield Refused(Outcome.SKIPPED, "a hidden sheet", f"sheet {sheet.title}")
                continue
            sheet.reset_dimensions()  # what the file says of them need not be so
            rows = cells.of(sheet.iter_rows())
            if names := next(rows, None):
                yield from read_table(names, rows, sheet.title)
    except (Refused, MemoryError):
        raise
    except Exception as error:  # any fault of the parser is this file's alone
        raise quarantined(f"broken Excel file ({type(error).__name__})") from None


def _check_size(content: bytes) -> None:
    if content.startswith(OLE):
        raise quarantined("Excel file with a password or of before 2007")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > min(MAX_UNPACKED, MAX_RATIO * len(content)):
        raise quarantined("Excel file that unpacks to more than is allowed")


class _Cells:
    """Rows as they are seen, but for empty ones, as long as there are not too many cells in all sheets."""

    def __init__(self) -> None:
        self.left = MAX_CELLS

    def of(self, rows: Iterator[Sequence[Any]]) -> Iterator[list[object]]:
        for row in rows:
            self.left -= 1 + len(row)
            if self.left < 0:
                raise quarantined("Excel file with more cells than are allowed")
            if any(cell.value is not None for cell in row):
                yield [_seen(cell) for cell in row]


def _seen(cell: Any) -> object:
    value = cell.value
    if isinstance(value, int | float) and not isinstance(value, bool) and "%" in _number_format(cell):
        return f"{100 * value:.15g}%"
    return value


def _number_format(cell: Any) -> str:
    try:
        return str(cell.number_format)
    except (IndexError, KeyError, TypeError):  # a style that the file does not have
        return ""
