"""Plain text, markup and source code: the bytes are the text, once their encoding is known.

UTF-8, and UTF-16 and UTF-32 by their byte order mark, are certain. Anything else is a guess, and is taken
only on enough evidence: a wrong guess would put garbage into the corpus where nobody sees it, while a
quarantined file is named in the report and mended by saving it as UTF-8.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from charset_normalizer import from_bytes

from bhasa.documents.records import Text, quarantined

# UTF-32 first: its little-endian mark begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MIN_EVIDENCE = 8  # bytes outside ASCII; on fewer, one code page looks as good as another
MAX_CHAOS = 0.1  # charset-normalizer's share of implausible characters
WESTERN = "cp1252"  # what a file of unknown origin most often is, when it looks as good as the best


def read(content: bytes, name: str) -> Iterator[Text]:
    text, encoding = decode(content)
    yield Text(text, {"encoding": encoding})


def decode(content: bytes) -> tuple[str, str]:
    """The text and the encoding it was in, without the byte order mark."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return _decode_as(encoding, content[len(mark) :]), encoding
    if b"\0" in content:
        raise quarantined("binary data")
    try:
        return content.decode(), "utf-8"
    except UnicodeDecodeError:
        return _guess(content)


def _decode_as(encoding: str, content: bytes) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise quarantined(f"not the {encoding} that its first bytes announce") from None


def _guess(content: bytes) -> tuple[str, str]:
    evidence = len(content) - len(content.translate(None, bytes(range(128, 256))))
    matches = list(from_bytes(content)) if evidence >= MIN_EVIDENCE else []
    best = [(match.chaos, match.coherence) for match in matches[:1] if match.chaos <= MAX_CHAOS]
    equally_good = {match.encoding: str(match) for match in matches if (match.chaos, match.coherence) in best}
    if WESTERN in equally_good:
        return equally_good[WESTERN], WESTERN
    if len(set(equally_good.values())) != 1:
        raise quarantined("unknown encoding")
    encoding = min(equally_good)
    return equally_good[encoding], encoding
