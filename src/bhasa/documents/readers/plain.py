"""Plain text, markup and source code: the bytes are the text, once their encoding is known."""

from __future__ import annotations

from collections.abc import Iterator

from bhasa.documents import encodings
from bhasa.documents.records import Text


def read(content: bytes, name: str) -> Iterator[Text]:
    text, encoding, replaced = encodings.decode(content)
    yield Text(text, {"encoding": encoding} | ({"replaced": replaced} if replaced else {}))


def decode(content: bytes) -> tuple[str, str]:
    """The text and the encoding it was in, without the byte order mark, for the readers of other formats."""
    text, encoding, _ = encodings.decode(content)
    return text, encoding
