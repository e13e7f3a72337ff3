"""Subtitles in SubRip (.srt) and WebVTT (.vtt): what is spoken, without numbers, times and markup.

Captions that are made by machine often roll: each cue repeats the lines that still stand on the screen. Where
most cues do so, these lines come once; elsewhere a repeated line was said twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from itertools import pairwise

from bhasa.documents.encodings import decode
from bhasa.documents.records import Text, quarantined

LINE_END = re.compile("\r\n?|\n")
TIMES = re.compile(r"\s*(?:\d+:)?\d+:\d+[.,]\d+\s*-->\s*(?:\d+:)?\d+:\d+[.,]\d+")
NOT_SPOKEN = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")  # first words of blocks in WebVTT
TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|<\d[\d:.]{0,20}>|\{\\[^{}]{0,200}\}")  # the last as in .ass
ROLLING = 0.5  # of the cues

Cue = list[str]


def read(content: bytes, name: str) -> Iterator[Text]:
    decoded = decode(content)
    cues = list(_cues(LINE_END.split(decoded.text)))
    if not cues:
        raise quarantined("subtitles without a cue")
    lines = _unrolled(cues) if _roll(cues) else [line for cue in cues for line in cue]
    if not lines:
        raise quarantined("subtitles without text")
    yield Text("\n".join(lines), {"cues": len(cues), **decoded.meta})


def _cues(lines: list[str]) -> Iterator[Cue]:
    """The lines between times and the next empty line; a number before the next times belongs to those."""
    cue: Cue | None = None
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if TIMES.match(line):
            if cue is not None:
                yield cue
            cue = []
        elif cue is None or (line.strip().isdecimal() and TIMES.match(following)):
            continue
        elif not line.strip():
            if cue:
                yield cue
                cue = None
        elif spoken := " ".join(unescape(TAG.sub("", line)).split()):
            cue.append(spoken)
    if cue is not None:
        yield cue


def _roll(cues: list[Cue]) -> bool:
    spoken = [cue for cue in cues if cue]
    repeating = sum(_overlap(before, cue) > 0 for before, cue in pairwise(spoken))
    return len(spoken) > 2 and repeating > ROLLING * (len(spoken) - 1)


def _unrolled(cues: list[Cue]) -> list[str]:
    lines: list[str] = []
    before: Cue = []
    for cue in filter(None, cues):
        lines += cue[_overlap(before, cue) :]
        before = cue
    return lines


def _overlap(before: Cue, cue: Cue) -> int:
    """How many lines at the beginning of a cue are those at the end of the one before."""
    longest = min(len(before), len(cue), 8)
    return next((n for n in range(longest, 0, -1) if before[-n:] == cue[:n]), 0)
