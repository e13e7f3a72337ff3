"""JSON: a list of records, or JSON lines under this name, as records; any other as the text that it is.

A list counts as records as `shapes.are_records` says, and so does one conversation in a file. Configuration,
JSON with comments and broken JSON are kept as they are, so nothing that a person sees in them is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bhasa.documents.readers.json_lines import NotJson, values
from bhasa.documents.readers.plain import decode
from bhasa.documents.records import Record, Refused, Text
from bhasa.documents.shapes import are_records, has_messages, record_of

SAMPLE = 100  # rows that decide


def read(content: bytes, name: str) -> Iterator[Record | Refused]:
    text, encoding = decode(content)
    rows = _rows(text)
    if rows and are_records(rows[:SAMPLE]):
        for number, row in enumerate(rows, start=1):
            yield record_of(row, f"record {number}")
    else:
        yield Text(text, {"encoding": encoding}, language="json")


def _rows(text: str) -> list[object]:
    """Of a list or of several values; none where the text is anything else."""
    found = []
    for _, value in values(text):
        if isinstance(value, NotJson):
            return []
        found.append(value)
    if len(found) != 1:
        return found
    if isinstance(found[0], Mapping):
        return found if has_messages(found[0]) else []
    return found[0] if isinstance(found[0], list) else []
