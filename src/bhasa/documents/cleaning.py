"""One form for every text: NFC, `\\n` line ends, no control characters, no blanks at line ends.

Indentation and inner spacing stay, since code and tables mean something by them. Cleaning what is clean
changes nothing.
"""

from __future__ import annotations

import re
import unicodedata

LINE_END = re.compile("\r\n?|\u2028|\u2029|\x85")
# Control characters but tab and newline, halves of surrogate pairs, byte order marks.
UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")
BLANKS_AT_LINE_END = re.compile("[ \t]+$", re.MULTILINE)


def clean(text: str) -> str:
    """The text in its one form, ending in one newline; empty when nothing but blanks is left."""
    text = UNWANTED.sub("", LINE_END.sub("\n", text))
    text = BLANKS_AT_LINE_END.sub("", unicodedata.normalize("NFC", text)).strip("\n")
    return text + "\n" if text else ""
