"""One form for every text: NFC, `\\n` line ends, no control characters, no blanks at line ends.

Indentation and inner spacing stay, since code and tables mean something by them. Cleaning what is clean
changes nothing. Every step takes time in proportion to the text, whatever the text is.
"""

from __future__ import annotations

import re
import unicodedata

LINE_END = re.compile("\r\n?|\u2028|\u2029|\x85")
# Control characters but tab and newline, halves of surrogate pairs, byte order marks.
UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")
MARKS = re.compile(r"[^\w\s\x00-\x7f]+")  # combining marks, and signs outside ASCII
MAX_MARKS = 1000


def clean(text: str) -> str:
    """The text in its one form, ending in one newline; empty when nothing but blanks is left."""
    text = _composed(UNWANTED.sub("", LINE_END.sub("\n", text)))
    text = "\n".join(line.rstrip(" \t") for line in text.split("\n")).strip("\n")
    return text + "\n" if text else ""


def _composed(text: str) -> str:
    """NFC, but for a text with a run of marks that nobody wrote: sorting it takes quadratic time."""
    if text.isascii() or any(len(run.group()) > MAX_MARKS for run in MARKS.finditer(text)):
        return text
    return unicodedata.normalize("NFC", text)
