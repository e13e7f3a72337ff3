"""From bytes to text: which encoding they are in, and what to do where some of them are damaged.

A byte order mark decides, then valid UTF-8, then UTF-8 with a few wrong bytes, which are replaced and
counted: a text whose sequences are nearly all UTF-8 is in no code page. Then come 16 and 32 bits, seven bits,
and code pages, which are a guess (`code_pages.py`). A wrong guess would put garbage into the corpus where
nobody sees it, while a quarantined file is named in the report and mended by saving it as UTF-8.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter

import chardet

from bhasa.documents.code_pages import ASCII, Decoded, guess, is_plausible, mended
from bhasa.documents.records import quarantined

# UTF-32 first: its little-endian mark begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
REPLACEMENT = "\ufffd".encode()
# What a sequence of several bytes looks like in UTF-8, valid or not, and a last one that is cut.
SEQUENCE = re.compile(rb"[\xc0-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf7][\x80-\xbf]{3}")
CUT = re.compile(rb"(?:[\xe0-\xef][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{1,2})\Z")
MOST = 0.9  # of all sequences are valid in a text that is damaged UTF-8

WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
SAMPLE_CHARACTERS = 1_000
PRINTABLE = re.compile("[\t\n\r -~]")
EAST_ASIA = re.compile("[\u3000-\u9fff\uac00-\ud7ff\uff00-\uffef]")
HOLES = re.compile(rb"\0{16,}")  # what a crash leaves in a log: blocks that were never written
FEW = 0.01  # of all bytes: so few that the text is worth keeping without them

# Escape sequences of ISO 2022, the braces of HZ, the shifts of UTF-7: text in seven bits that is not ASCII.
SEVEN_BITS = re.compile(rb"\x1b\$|\x1b\([IJ]|~\{|\+[A-Za-z0-9+/]{3,}-")
SEVEN_BIT_CODECS = ("iso2022", "hz", "utf-7")
SHIFTS = re.compile(rb"\x1b\$\).*\x0e", re.DOTALL)
SHIFTED_OUT = re.compile(rb"\x0e([^\x0f\r\n]*)\x0f?")


def decode(content: bytes) -> Decoded:
    """The text without its byte order mark; raises `Refused` when the encoding cannot be told."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return _announced(content[len(mark) :], encoding)
    if b"\0" in content:
        return _without_nuls(content) or _wide(content)
    if content.isascii() and SEVEN_BITS.search(content):
        return _seven_bits(content)
    try:
        return Decoded(content.decode(), "utf-8")
    except UnicodeDecodeError:
        return damaged_utf8(content) or _code_page(content)


def _announced(content: bytes, encoding: str) -> Decoded:
    decoded = mended(content, encoding)
    if decoded.replaced > (1 - MOST) * len(decoded.text):
        raise quarantined(f"not the {encoding} that its first bytes announce")
    return decoded


def _seven_bits(content: bytes) -> Decoded:
    """ISO-2022, HZ or UTF-7 where they decode to something, else the ASCII that it is as well."""
    encoding = chardet.detect(content, compat_names=False)["encoding"] or "ascii"
    if encoding.startswith(SEVEN_BIT_CODECS):
        decoded = mended(content, encoding)
        if decoded.replaced <= 1 and not decoded.text.isascii() and is_plausible(decoded.text):
            return decoded
    return _iso2022_cn(content) if SHIFTS.search(content) else Decoded(content.decode(), "utf-8")


def _iso2022_cn(content: bytes) -> Decoded:
    """As far as it shifts to GB 2312, by the rules of RFC 1922: Python has no codec for it."""
    plain = content.replace(b"\x1b$)A", b"")
    shifted = SHIFTED_OUT.sub(lambda run: bytes(byte | 0x80 for byte in run[1]), plain)
    decoded = mended(shifted, "gb18030")
    if b"\x1b" in shifted or decoded.replaced > 1:
        raise quarantined("unknown encoding")
    return decoded._replace(encoding="iso2022_cn")


def _without_nuls(content: bytes) -> Decoded | None:
    """UTF-8 with holes or a stray NUL; None where the NULs are part of the encoding, or the data binary."""
    written = HOLES.sub(b"", content)
    text = written.replace(b"\0", b"")
    if not text or len(written) - len(text) > FEW * len(text):
        return None
    try:
        text.decode()
    except UnicodeDecodeError:
        return None
    return decode(text)


def _wide(content: bytes) -> Decoded:
    """UTF-16 or UTF-32 without a mark.

    With the wrong size or order of bytes its blanks and line ends become rare characters and its letters
    those of many scripts.
    """
    found = [mended(content, encoding) for encoding in WIDE]
    found = [
        one for one in found if one.replaced <= min(1, len(one.text) / 10) and _is_of_few_scripts(one.text)
    ]
    found = [one for one in found if is_plausible(one.text) and any(map(str.isspace, one.text))]
    if not found:
        raise quarantined("binary data")
    return max(found, key=lambda one: len(PRINTABLE.findall(one.text)))


def _is_of_few_scripts(text: str) -> bool:
    """Whether the characters are of one alphabet: from three blocks of 256, or of East Asia, and ASCII."""
    sample = text[:SAMPLE_CHARACTERS] + text[-SAMPLE_CHARACTERS:]
    blocks = Counter("East Asia" if EAST_ASIA.match(one) else ord(one) >> 8 for one in sample)
    if blocks["East Asia"] > (1 - MOST) / 2 * len(sample):
        return blocks["East Asia"] + blocks[0x00] + blocks[0x20] >= MOST * len(sample)
    return sum(sorted(blocks.values())[-3:]) >= MOST * len(sample)


def damaged_utf8(content: bytes) -> Decoded | None:
    """None where it is some other encoding."""
    sequences = SEQUENCE.findall(content) + CUT.findall(content)
    strays = len(content.translate(None, ASCII)) - sum(map(len, sequences))
    if strays > (1 - MOST) * (len(sequences) + strays) and not (strays == 1 and len(sequences) > 1):
        return None
    text = content.decode("utf-8", "replace")
    replaced = text.count("\ufffd") - content.count(REPLACEMENT)
    if replaced > 1 and replaced > (1 - MOST) * (len(sequences) + strays):
        raise quarantined("UTF-8 that is too damaged")
    return Decoded(text, "utf-8", replaced)


def _code_page(content: bytes) -> Decoded:
    """Where only a few bytes among many are in doubt, they are replaced and the rest is taken as ASCII."""
    decoded = guess(content)
    if decoded is not None:
        return decoded
    doubtful = len(content.translate(None, ASCII))
    if doubtful > FEW * len(content) or SEVEN_BITS.search(content):
        raise quarantined("unknown encoding")
    return Decoded(content.decode("ascii", "replace"), "ascii", doubtful)
