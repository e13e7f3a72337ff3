"""A table from any format, row by row: as records where its columns are those of `shapes`, else as text.

As text it is lines of cells with a tab between them, first the names of the columns, in documents of at most
`MAX_ROWS` rows and about `MAX_CHARACTERS`; a line end or tab inside a cell becomes a space. What a cell shows
is kept (dates without a time of zero, 15 digits of a number as spreadsheets show them); bytes are left out.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from bhasa.documents.records import Record, Refused, Text
from bhasa.documents.shapes import are_records, record_of

SAMPLE = 100  # rows that decide
MAX_ROWS = 1000
MAX_CHARACTERS = 1_000_000
ONE_LINE = str.maketrans("\t\r\n", "   ")


def read_table(
    columns: Sequence[object], rows: Iterable[Sequence[object]], sheet: str = ""
) -> Iterator[Record | Refused]:
    names = [shown(column) for column in columns]
    rows = iter(rows)
    sample = list(islice(rows, SAMPLE))
    every = enumerate(chain(sample, rows), start=1)
    before = f"{sheet}, " if sheet else ""
    if sample and are_records([dict(zip(names, row, strict=False)) for row in sample]):
        for number, row in every:
            yield record_of(dict(zip(names, row, strict=False)), f"{before}row {number}")
    else:
        yield from _as_text(names, every, sheet, before)


def _as_text(
    names: Sequence[str], rows: Iterable[tuple[int, Sequence[object]]], sheet: str, before: str
) -> Iterator[Text]:
    head = [*filter(None, [sheet]), _line(names)]
    lines, size, first, number = [*head], 0, 1, 0
    for number, row in rows:
        if number - first == MAX_ROWS or size > MAX_CHARACTERS:
            yield Text("\n".join(lines), part=f"{before}rows {first}-{number - 1}")
            lines, size, first = [*head], 0, number
        lines.append(_line(row))
        size += len(lines[-1])
    yield Text("\n".join(lines), part=f"{before}rows {first}-{number}" if number else sheet)


def _line(cells: Sequence[object]) -> str:
    return "\t".join(shown(cell).translate(ONE_LINE) for cell in cells)


def shown(value: object) -> str:
    """A cell as a person sees it."""
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        has_time = value.time() != datetime.time.min
        return value.isoformat(sep=" ") if has_time else value.date().isoformat()
    if isinstance(value, list | Mapping):
        return json.dumps(value, ensure_ascii=False, default=shown)
    return str(value)
