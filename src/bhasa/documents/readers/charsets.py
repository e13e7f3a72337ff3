"""Text whose encoding is declared, as in HTML and mail, where declarations are often wrong.

A byte order mark is certain, and so is UTF-8, also with some wrong bytes, unlike a declaration: pages and
mails outlive the servers that said otherwise. The declared encoding comes next, and a guess where it does not
fit.
"""

from __future__ import annotations

import codecs
from encodings import aliases, normalize_encoding

from bhasa.documents.code_pages import Decoded, mended
from bhasa.documents.encodings import MARKS, damaged_utf8, decode

SEVEN_BIT = {"iso2022_jp", "iso2022_kr", "hz"}  # look like ASCII, so only a declaration tells
# What browsers read where a label is declared (WHATWG Encoding Standard, section 4.2): the larger encoding
# that pages with this label are in.
BROWSERS_READ = {
    **{
        "ascii": "cp1252",
        "latin_1": "cp1252",
        "iso8859_9": "cp1254",
        "iso8859_11": "cp874",
        "tis_620": "cp874",
    },
    **{"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "euc_kr": "cp949"},
}
ENCODINGS = {
    *SEVEN_BIT,
    *BROWSERS_READ.values(),
    *("koi8_r", "koi8_u", "mac_roman", "mac_cyrillic", "euc_jp", "johab", "cp437", "cp850", "cp866"),
    *(f"iso8859_{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    *(f"cp{number}" for number in range(1250, 1259)),
}
for encoding in ENCODINGS:
    codecs.lookup(encoding)  # loads it: later no file can be opened
BEGINNINGS = tuple(mark for mark, _ in MARKS)
MAX_DAMAGE = 0.001  # of the characters in the declared encoding; more than that is another one


def decode_declared(content: bytes, label: str | None) -> Decoded:
    """Raises `Refused` where no encoding fits."""
    declared = _codec(label)
    if declared in SEVEN_BIT and content.isascii():
        return mended(content, declared)
    if content.startswith(BEGINNINGS) or b"\0" in content:
        return decode(content)
    try:
        return Decoded(content.decode(), "utf-8")
    except UnicodeDecodeError:
        pass
    if found := damaged_utf8(content):
        return found
    if declared:
        found = mended(content, declared)
        if found.replaced <= MAX_DAMAGE * len(found.text):
            return found
    return decode(content)


def _codec(label: str | None) -> str | None:
    """Python's name of a declared encoding; None for one that is not taken on a declaration alone."""
    name = normalize_encoding((label or "").strip().lower()[:40])
    name = aliases.aliases.get(name, name)
    name = BROWSERS_READ.get(name, name)
    return name if name in ENCODINGS else None
