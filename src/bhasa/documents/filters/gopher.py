"""The rules of Gopher: Rae et al. 2021, arXiv:2112.11446, section A.1.1 and table A1."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from bhasa.documents.filters.words import repeated, words_of

MIN_WORDS, MAX_WORDS = 50, 100_000
MIN_MEAN_LENGTH, MAX_MEAN_LENGTH = 3, 10
MAX_SIGNS_PER_WORD = 0.1
MAX_BULLETS, MAX_ELLIPSES = 0.9, 0.3  # of the lines
MIN_WITH_LETTERS = 0.8  # of the words
STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
MIN_STOP_WORDS = 2  # different ones, in English

MAX_REPEATED_LINES = MAX_REPEATED_PARAGRAPHS = 0.3
MAX_IN_REPEATED = 0.2  # of the characters
MAX_IN_COMMONEST = {2: 0.20, 3: 0.18, 4: 0.16}  # of the characters, by words in a row
MAX_IN_DUPLICATES = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}

PARAGRAPH_END, LINE_END = re.compile(r"\n{2,}"), re.compile(r"\n+")
ELLIPSES = ("...", "\u2026")
BULLETS = ("-", "\u2022")


def quality(text: str, language: str) -> str:
    words = words_of(text)
    real = [word for word in words if word[0].isalnum() or word[0] == "_"]
    if len(real) < MIN_WORDS:
        return "gopher: too few words"
    if len(real) > MAX_WORDS:
        return "gopher: too many words"
    mean = sum(map(len, real)) / len(real)
    if not MIN_MEAN_LENGTH <= mean <= MAX_MEAN_LENGTH:
        return "gopher: words too short or too long"
    if max(text.count("#"), sum(map(text.count, ELLIPSES))) > MAX_SIGNS_PER_WORD * len(words):
        return "gopher: too many hashes or ellipses"
    if sum(any(map(str.isalpha, word)) for word in words) < MIN_WITH_LETTERS * len(words):
        return "gopher: too few words with letters"
    if language == "en" and len(STOP_WORDS & set(words)) < MIN_STOP_WORDS:
        return "gopher: too few stop words"
    return _lines(text.splitlines())


def _lines(lines: list[str]) -> str:
    if sum(line.lstrip().startswith(BULLETS) for line in lines) > MAX_BULLETS * len(lines):
        return "gopher: too many bullets"
    if sum(line.rstrip().endswith(ELLIPSES) for line in lines) > MAX_ELLIPSES * len(lines):
        return "gopher: too many lines end in an ellipsis"
    return ""


def repetition(text: str, language: str) -> str:
    for kind, parts, most in (
        ("paragraphs", PARAGRAPH_END.split(text.strip()), MAX_REPEATED_PARAGRAPHS),
        ("lines", LINE_END.split(text.strip()), MAX_REPEATED_LINES),
    ):
        count, characters = repeated(parts)
        if count > most * len(parts) or characters > MAX_IN_REPEATED * len(text):
            return f"gopher: repeated {kind}"
    words = words_of(text)
    for length, most in MAX_IN_COMMONEST.items():
        if _in_commonest(words, length) > most * len(text):
            return f"gopher: one run of {length} words too often"
    for length, most in MAX_IN_DUPLICATES.items():
        if _in_duplicates(words, length) > most * len(text):
            return f"gopher: repeated runs of {length} words"
    return ""


def _in_commonest(words: list[str], length: int) -> int:
    """Characters of the run of words that comes most often, with its blanks."""
    runs = pairwise(words) if length == 2 else zip(*(words[n:] for n in range(length)), strict=False)
    counts = Counter(runs)
    if not counts:
        return 0
    run, count = max(counts.items(), key=lambda item: item[1])
    return count * (sum(map(len, run)) + length - 1)


def _in_duplicates(words: list[str], length: int) -> int:
    """Characters of runs that came before, without overlaps."""
    seen: set[tuple[str, ...]] = set()
    characters = place = 0
    while place <= len(words) - length:
        run = tuple(words[place : place + length])
        if run in seen:
            characters += sum(map(len, run))
            place += length
        else:
            seen.add(run)
            place += 1
    return characters
