"""The rules of FineWeb: Penedo et al. 2024, arXiv:2406.17557, section 3.6."""

from __future__ import annotations

from bhasa.documents.filters.words import repeated, words_of

MIN_ENDED = 0.12  # of the lines end a sentence
MAX_SHORT = 0.67  # of the lines have at most
SHORT = 30  # characters
MAX_IN_REPEATED = 0.01  # of the characters are in lines that came before
MAX_LINE_ENDS = 0.3  # for each word
# Full stops, question and exclamation marks of several scripts, and quotes.
LINE_ENDS = tuple(
    ".!?\u2026\"'\u201d\u3002\uff01\uff1f\uff0e\u0964\u0965\u061f\u06d4\u0589\u1362\u1367\u203c\u2047"
)


def quality(text: str, language: str) -> str:
    lines = [line for line in text.split("\n") if line.strip()]
    if sum(line.endswith(LINE_ENDS) for line in lines) < MIN_ENDED * len(lines):
        return "fineweb: too few lines end a sentence"
    if sum(len(line) <= SHORT for line in lines) > MAX_SHORT * len(lines):
        return "fineweb: too many short lines"
    if repeated(lines)[1] > MAX_IN_REPEATED * len(text.replace("\n", "")):
        return "fineweb: repeated lines"
    if text.count("\n") > MAX_LINE_ENDS * len(words_of(text)):
        return "fineweb: too many line ends"
    return ""
