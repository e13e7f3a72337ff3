"""Numbers of list items as they are shown, for HTML, DOCX and ODT."""

from __future__ import annotations

DECIMAL, LOWER_LETTER, UPPER_LETTER, LOWER_ROMAN, UPPER_ROMAN = "1", "a", "A", "i", "I"
"""Styles, named as in HTML's `type` and ODF's `num-format`."""

ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc")),
    *((50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
MAX_ROMAN = 3999
MAX_LETTERS = 26**3


def numeral(value: int, style: str) -> str:
    """Values that a style has no numeral for are decimal, as browsers show them."""
    if style in (LOWER_LETTER, UPPER_LETTER) and 0 < value <= MAX_LETTERS:
        text = _letters(value)
    elif style in (LOWER_ROMAN, UPPER_ROMAN) and 0 < value <= MAX_ROMAN:
        text = _roman(value)
    else:
        return str(value)
    return text.upper() if style in (UPPER_LETTER, UPPER_ROMAN) else text


def integer(text: str | None, default: int) -> int:
    """Of an attribute; the default where it is missing, no number or one that nobody counts to."""
    try:
        value = int(text or "")
    except ValueError:
        return default
    return value if abs(value) < 10**9 else default


def _letters(value: int) -> str:
    """a to z, then aa, ab, ..."""
    text = ""
    while value:
        value, rest = divmod(value - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def _roman(value: int) -> str:
    text = ""
    for worth, letters in ROMAN:
        count, value = divmod(value, worth)
        text += letters * count
    return text
