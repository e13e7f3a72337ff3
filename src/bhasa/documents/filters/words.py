"""What the rules count: words, lines and what comes twice among them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# A word with what an apostrophe joins to it, or one sign: close to what a tokenizer for English gives.
WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")


def words_of(text: str) -> list[str]:
    return WORD.findall(text)


def repeated(parts: Iterable[str]) -> tuple[int, int]:
    """How many parts are equal to an earlier one, and their characters."""
    seen: set[str] = set()
    count = characters = 0
    for part in parts:
        if part in seen:
            count, characters = count + 1, characters + len(part)
        seen.add(part)
    return count, characters
