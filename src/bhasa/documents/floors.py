"""What every text must have, whatever it is: something to read, in pieces that somebody wrote.

The floors take one pass over the bytes each.
"""

from __future__ import annotations

from bhasa.documents.cleaning import in_runs_of_marks
from bhasa.documents.records import Refused, filtered, skipped

BLANKS = b" \t\n"
MIN_DENSITY = 0.02  # of the characters are no blanks; tables in columns have a tenth and more
PIECE = 10_000  # characters without a blank, which no word, address or minified line often has
MOST = 0.5


def below_floor(text: str, encoded: bytes, min_characters: int) -> Refused | None:
    """Why a cleaned text is left out, or None. `encoded` is the text in UTF-8."""
    blanks = len(encoded) - len(encoded.translate(None, BLANKS))
    characters = len(text) - blanks
    if characters < min_characters:
        return skipped("shorter than min_characters")
    if characters < MIN_DENSITY * len(text):
        return filtered("nearly all blanks")
    if not text.isascii() and in_runs_of_marks(text) > MOST * len(text):
        return filtered("mostly combining marks or signs")
    if _without_blanks(text) > MOST * len(text):
        return filtered("mostly without blanks")
    return None


def _without_blanks(text: str) -> int:
    """Characters in blocks without a blank, by blocks of half a piece: a run of a piece has at least one."""
    size = PIECE // 2
    blocks = (text[start : start + size] for start in range(0, len(text) - size + 1, size))
    return sum(size for block in blocks if block.split(maxsplit=1) == [block])
