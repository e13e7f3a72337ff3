"""Plain text, markup and source code: the bytes are the text, once their encoding is known."""

from __future__ import annotations

from collections.abc import Iterator

from bhasa.documents import encodings
from bhasa.documents.readers import format_of, source_code, suffix_of
from bhasa.documents.readers.languages import SHARED, of_beginning
from bhasa.documents.records import Text


def read(content: bytes, name: str) -> Iterator[Text]:
    decoded = encodings.decode(content)
    found = of_beginning(decoded.text, suffix_of(name)) if _is_open(name) else ""
    media_type = source_code(found).media_type if found else ""
    yield Text(decoded.text, decoded.meta, media_type=media_type, language=found)


def _is_open(name: str) -> bool:
    """Whether the beginning of the text may tell more than the name does."""
    known = format_of(name)
    return known is None or known.media_type == "text/plain" or suffix_of(name) in SHARED


def decode(content: bytes) -> tuple[str, str]:
    """The text and the encoding it was in, without the byte order mark, for the readers of other formats."""
    text, encoding, _ = encodings.decode(content)
    return text, encoding
