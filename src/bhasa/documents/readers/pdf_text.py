"""From the pages of a PDF as a library gives them to running text, and what is wrong with a page.

A page shows where glyphs are, not what is a word or a paragraph. What is mended here is what is certain, and
each repair is counted. The order of lines, tables and columns is the library's.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from typing import NamedTuple

HYPHEN = "\x02"
"""What pdfium puts where a word is divided at the end of a line; both parts are on the first line then."""
LINE_END = re.compile(rf"(?<=[^\W\d_])[-\u00ad\u2010{HYPHEN}]\n[ \t]*(?=[^\W\d_])")
IN_WORD = re.compile(rf"(?<=\w){HYPHEN}(?=\w)")
DIVIDED = re.compile(rf"(?:(?<!\w)(\w++))?{HYPHEN}(\w*+)")  # possessive, so that no text takes long
CONJUNCTIONS = ("and", "or", "und", "oder")
WORD = re.compile(rf"([^\W\d_]*)(\w?){HYPHEN}((\w?)[^\W\d_]*)([.,;:!?)\]'\"\u201d\u2019]*)([ ]?)")
WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
LIGATURE = re.compile("[\ufb00-\ufb06\ufb13-\ufb17]")
NUMBER = re.compile(r"\d{1,6}")
GLYPH_NAME = re.compile(r"/[A-Za-z]{1,5}\d{1,5}(?!\w)|/uni[0-9A-F]{4}|\(cid:\d+\)")

MAX_HEAD_LINES = 50  # at either edge of a page: some print a number beside every line
SAME_HEAD, WITHIN = 3, 8
"""A running head stands on at least so many of so many pages in a row."""
MIN_JUDGED = 50  # characters, below which a page is too short to be judged
MAX_GLYPH_NAMES, MAX_MEANINGLESS, MAX_LATIN_1 = 0.3, 0.1, 0.4
"""Shares of the characters of a page. Of a French text 4 % are outside ASCII, of an Icelandic one 12 %; of
Chinese, Greek or Russian read as Latin-1 nearly all are."""
MEANINGLESS = {
    "control": re.compile("[\0-\x1f\x7f-\x9f]"),
    "private-use": re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]"),
    "replacement": re.compile("[\ufffd-\uffff]"),
}
LATIN_1 = re.compile("[\x80-\xff]")
MIN_LINES_OF_A_WORD = 20


class Head(NamedTuple):
    """A line at the top or the bottom of a page."""

    line: str
    counted: int | None = None
    """How far a number in it, which `line` has as `#`, is ahead of the page's."""


def fault_of(page: str) -> str:
    """Why the page's text is not what a person sees on it, or nothing."""
    shown = "".join(IN_WORD.sub("", page).split())
    if len(shown) < MIN_JUDGED:
        return ""
    if sum(map(len, GLYPH_NAME.findall(shown))) > MAX_GLYPH_NAMES * len(shown):
        return "PDF page of glyph names"
    if shown.isascii() and shown.isprintable():
        return ""
    counts = {kind: len(pattern.findall(shown)) for kind, pattern in MEANINGLESS.items()}
    if sum(counts.values()) > MAX_MEANINGLESS * len(shown):
        return f"PDF page of {max(counts, key=counts.__getitem__)} characters"
    if len(LATIN_1.findall(shown)) > MAX_LATIN_1 * len(shown):
        return "PDF page in a wrong encoding"
    return ""


def running_text(pages: Sequence[str]) -> tuple[str, dict[str, int]]:
    """One text of all pages, and how often each repair was made."""
    counts = Counter[str]()
    lines = [_lines(page, counts) for page in pages]
    for edge in (0, -1):
        counts["running heads"] += _drop_running_heads(lines, edge)
    text = _joined(["\n".join(page) for page in lines])
    text, counts["hyphens"] = _undivided(text)
    text, counts["ligatures"] = LIGATURE.subn(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return text, {name: count for name, count in counts.items() if count}


def _lines(page: str, counts: Counter[str]) -> list[str]:
    lines = [line.rstrip() for line in page.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")]
    if _has_a_word_a_line(lines):
        counts["pages of a word a line"] += 1
        return [" ".join(filter(None, lines))]
    return lines


def _has_a_word_a_line(lines: Sequence[str]) -> bool:
    """Whether it is prose nevertheless: mostly small letters, and commas and full stops at times."""
    words = [line for line in lines if line]
    single = [word for word in words if len(word.split()) == 1]
    if len(words) < MIN_LINES_OF_A_WORD or len(single) < 0.9 * len(words):
        return False
    small = sum(word[:1].islower() for word in single)
    ended = sum(word[-1] in ".,;" and word[:-1].isalpha() for word in single)
    return small > 0.5 * len(single) and ended > 0.02 * len(single)


def _drop_running_heads(pages: Sequence[list[str]], edge: int) -> int:
    """Take repeated lines from the top (0) or the bottom (-1) of pages; returns how many.

    A line that repeats as it is stays where it is first, so that nothing that was printed is lost; one
    with a number that grows with the pages goes everywhere.
    """
    dropped = 0
    seen: set[Head] = set()
    alive = [number for number, page in enumerate(pages) if any(page)]
    for _ in range(MAX_HEAD_LINES):
        places = defaultdict[Head, list[int]](list)
        for number in alive:
            for key in _heads(pages[number][edge], number):
                places[key].append(number)
        going = set[int]()
        for key, numbers in places.items():
            close = _close(numbers)
            if close and key.counted is None and key not in seen:
                seen.add(key)
                del close[0]
            going.update(close)
        alive = [number for number in sorted(going) if _drop(pages[number], edge)]
        dropped += len(alive)
    return dropped


def _drop(page: list[str], edge: int) -> bool:
    """Take away a line and blank ones behind it, but not the only one."""
    if len(page) < 2:
        return False
    del page[edge]
    while not page[edge]:
        del page[edge]
    return True


def _heads(line: str, page: int) -> list[Head]:
    """What the line may have in common with its like on other pages."""
    shown = line.strip()
    numbers = list(NUMBER.finditer(shown))[:4] if len(shown) < 200 else []
    counted = [Head(f"{shown[: n.start()]}#{shown[n.end() :]}", int(n[0]) - page) for n in numbers]
    return [Head(shown), *counted]


def _close(numbers: Sequence[int]) -> list[int]:
    """Those that are near enough to enough others."""
    close: set[int] = set()
    for start in range(len(numbers) - SAME_HEAD + 1):
        group = numbers[start : start + SAME_HEAD]
        if group[-1] - group[0] < WITHIN:
            close |= set(group)
    return sorted(close)


def _joined(pages: Sequence[str]) -> str:
    """A blank line between pages, but where a sentence goes on."""
    text = ""
    parts: list[str] = []
    for page in filter(None, pages):
        goes_on = text[-1:].isalpha() or text[-1:] in (",", "-", HYPHEN)
        parts += ["\n" if goes_on and page[:1].islower() else "\n\n"] if parts else []
        parts.append(page)
        text = page
    return "".join(parts)


def _undivided(text: str) -> tuple[str, int]:
    """Words that were divided at the end of a line, whole; and how many they are."""
    text = LINE_END.sub(HYPHEN, text)
    if HYPHEN not in text:
        return text, 0
    known = {word.lower() for word in WORD.findall(DIVIDED.sub("", text))}
    return DIVIDED.subn(lambda found: _whole(found[1] or "", found[2], known), text)


def _whole(left: str, right: str, known: Set[str]) -> str:
    """Both parts of a word.

    The hyphen goes, unless the text has the word with a hyphen elsewhere, or has both parts but not the
    whole as words of their own (`source-` `level`), or it divides no word (`Mac-` `OS`, `day-` `166`).
    """
    if right in CONJUNCTIONS:
        return f"{left}- {right}"
    whole, compound = left + right, f"{left}-{right}"
    if (left and not left[-1].isalpha()) or not right[:1].islower():
        return compound
    if whole.lower() in known:
        return whole
    return compound if compound.lower() in known or {left.lower(), right.lower()} <= known else whole
