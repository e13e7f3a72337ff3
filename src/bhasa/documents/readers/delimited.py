"""CSV and TSV, row by row, each cell as it is spelt.

The `csv` module rather than pandas, which wants rows of one length and turns `007` into 7. The delimiter is
the one by which most of the first rows have the same number of cells, and more than one.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from bhasa.documents.readers.plain import decode
from bhasa.documents.readers.rows import read_table
from bhasa.documents.records import Record, Refused, quarantined

DELIMITERS = (",", "\t", ";", "|")
SAMPLE_CHARACTERS = 1 << 16
SAMPLE_ROWS = 50

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a field is at most the file, which is bounded


def read(content: bytes, name: str) -> Iterator[Record | Refused]:
    text, _ = decode(content)
    rows = (row for row in _rows(text, _delimiter(text)) if any(row))
    try:
        yield from read_table(next(rows, []), rows)
    except csv.Error:
        raise quarantined("broken CSV") from None


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _delimiter(text: str) -> str:
    return max(DELIMITERS, key=lambda delimiter: _rows_alike(text[:SAMPLE_CHARACTERS], delimiter))


def _rows_alike(text: str, delimiter: str) -> int:
    """How many of the first rows have the commonest number of cells; 0 when that is one."""
    widths = Counter(len(row) for row in islice(_rows(text, delimiter), SAMPLE_ROWS) if row)
    [(width, count)] = widths.most_common(1) or [(0, 0)]
    return count if width > 1 else 0
