"""Text whose encoding is declared, as in HTML and mail, where declarations are often wrong.

A byte order mark is certain, and so is UTF-8 that decodes, unlike a declaration: pages and mails outlive the
servers that said otherwise. The declared encoding comes next, and a guess where it does not fit.
"""

from __future__ import annotations

import codecs

from bhasa.documents.readers.plain import MARKS, decode

# What browsers read where a label is declared (WHATWG Encoding Standard, section 4.2): the larger encoding
# that pages with this label are in.
BROWSERS_READ = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
# Seven bits that look like ASCII: only a declaration tells.
STATEFUL = {"iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_3", "iso2022_kr", "hz"}
UNSAFE = {"utf-7", "unicode_escape", "raw_unicode_escape", "idna", "punycode", "undefined", "utf-8", "utf-8-sig"}
MAX_DAMAGE = 0.001  # of the characters; more than that is another encoding


def decode_declared(content: bytes, label: str | None) -> tuple[str, str]:
    """The text and the encoding it was in; raises `Refused` where no encoding fits."""
    declared = _codec(label)
    if declared in STATEFUL and content.isascii():
        return content.decode(declared, "replace"), declared
    if any(content.startswith(mark) for mark, _ in MARKS):
        return decode(content)
    try:
        return content.decode(), "utf-8"
    except UnicodeDecodeError:
        pass
    if declared:
        text = content.decode(declared, "replace")
        if text.count("\ufffd") <= MAX_DAMAGE * len(text):
            return text, declared
    return decode(content)


def _codec(label: str | None) -> str | None:
    """Python's name of a declared encoding; None for what it does not know or what is none of text."""
    try:
        info = codecs.lookup((label or "").strip()[:40])
    except (LookupError, ValueError):
        return None
    if info.name in UNSAFE or info.name.startswith(("utf-16", "utf-32")) or not info._is_text_encoding:
        return None
    return BROWSERS_READ.get(info.name, info.name)
