"""JSON lines: a conversation, preference pair or text on each line, in any shape that `shapes` knows.

Each line is judged alone: a broken one is named with its number and the rest are read. Where the first line
is no value by itself, but begins one that ends on a later line, the file is read value by value instead, as
JSON that was printed over several lines; nothing after a broken value can be told apart then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from bhasa.documents.readers.plain import decode
from bhasa.documents.records import Record, Refused, quarantined
from bhasa.documents.shapes import record_of

MAX_REFUSED = 10_000  # lines before the first good one
DECODER = json.JSONDecoder()
BLANK = re.compile(r"[ \t\n]*")


class NotJson(Exception):
    """Why a value could not be read: `json` itself raises several kinds of errors."""


def read(content: bytes, name: str) -> Iterator[Record | Refused]:
    found = False
    for number, (line, value) in enumerate(values(decode(content)[0])):
        part = f"line {line}"
        record = quarantined(str(value), part) if isinstance(value, NotJson) else record_of(value, part)
        found = found or not isinstance(record, Refused)
        yield record
        if not found and number == MAX_REFUSED:
            break
    if not found:
        raise quarantined("no line is a conversation, preference or text")


def values(text: str) -> Iterator[tuple[int, object]]:
    """Each value with the number of the line where it begins; `NotJson` in place of a broken one."""
    # No JSON string holds a line end. Not splitlines(): it may hold the other characters that this cuts at.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    start = _skip_blanks(text, 0)
    value, end = _begin(text, start)
    spread = not isinstance(value, NotJson) and "\n" in text[start:end]
    return _spread(text) if spread else _by_line(text)


def _by_line(text: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _parse(line)


def _spread(text: str) -> Iterator[tuple[int, object]]:
    end, line = 0, 1
    while (start := _skip_blanks(text, end)) < len(text):
        line += text.count("\n", end, start)
        value, end = _begin(text, start)
        yield line, value
        line += text.count("\n", start, end)


def _parse(line: str) -> object:
    value, end = _begin(line, _skip_blanks(line, 0))
    return NotJson("not JSON") if line[end:].strip() else value


def _begin(text: str, start: int) -> tuple[object, int]:
    """The value that begins there, and where it ends: a broken one, at the end of the text."""
    try:
        return DECODER.raw_decode(text, start)
    except RecursionError:
        return NotJson("JSON nested too deeply"), len(text)
    except ValueError:  # a number of more digits than Python reads, too
        return NotJson("not JSON"), len(text)


def _skip_blanks(text: str, start: int) -> int:
    return BLANK.match(text, start).end()  # type: ignore[union-attr] # it matches anywhere
