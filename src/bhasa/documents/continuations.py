"""Pairs of a text's own pieces, for fine-tuning where there are no conversations: what comes after this?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bhasa.documents.records import Conversation

INSTRUCTION = "Continue: "


def continuations(text: str, *, max_characters: int) -> Iterator[Conversation]:
    """Each piece of the text with the next one as its answer.

    A piece is as many paragraphs as `max_characters` hold, else lines, else sentences, else words, else
    characters; a text that is one piece is cut in two.
    """
    found = list(pieces(text, max_characters))
    if len(found) == 1:
        found = list(pieces(text.strip(), len(text.strip()) * 2 // 3))
    for before, after in pairwise(found):
        yield Conversation((("user", INSTRUCTION + before), ("assistant", after)))


def pieces(text: str, size: int) -> Iterator[str]:
    """Pieces of at most `size` characters, without white space around them."""
    begin = 0
    while begin < len(text):
        end = _end(text, begin, size)
        piece = text[begin:end].strip()
        if piece:
            yield piece
        begin = end


def _end(text: str, begin: int, size: int) -> int:
    last = begin + max(1, size)
    if last >= len(text):
        return len(text)
    for mark in ("\n\n", "\n", ". ", " "):
        found = text.rfind(mark, begin + size // 3, last)
        if found > begin:
            return found + len(mark)
    return last
