"""The rules of C4: Raffel et al. 2020, JMLR 21 (140), section 2.2, and its code in tensorflow_datasets."""

from __future__ import annotations

import re

CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s|$)")
LINE_ENDS = (".", "?", "!", '"', "'")
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
MIN_SENTENCES = 5
MIN_WORDS = 3  # of a line
MAX_WORD = 1_000  # characters


def quality(text: str, language: str) -> str:
    sentences = 0
    for line in text.splitlines():
        words = line.split()
        line = CITATION.sub("", line.strip())
        lower = line.lower()
        if not _is_sentence(line, words):
            continue
        if "lorem ipsum" in lower:
            return "c4: lorem ipsum"
        if "javascript" in lower:
            continue
        if "{" in line:
            return "c4: curly bracket"
        if not any(phrase in lower for phrase in POLICY):
            sentences += max(1, len(SENTENCE_END.findall(line)))
    return "c4: too few sentences" if sentences < MIN_SENTENCES else ""


def _is_sentence(line: str, words: list[str]) -> bool:
    ends = line.endswith(LINE_ENDS) and not line.endswith("...")
    return ends and len(words) >= MIN_WORDS and max(map(len, words)) <= MAX_WORD
