"""Guesses at which code page a text is in.

`chardet` ranks what it may be by models of languages and by what markup declares; signs that nobody writes
inside a word lower a rank; and the best one is taken when the evidence is enough. The limits were set on the
test files of the chardet project and on pieces of 60 to 800 characters of them (`benchmarks/encodings.py`).
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import chardet

# Each set of characters with the one that has it and more, which is what people write under its name.
WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift_jis_2004": "cp932",
    "euc_jis_2004": "euc_jp",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "tis-620": "cp874",
}
NEVER = ("cp1006", "utf-7")  # where bytes outside ASCII are garbage
# In which a byte or a pair may mean nothing, so that one wrong byte would rule out the true one.
WITH_GAPS = (
    *("gb18030", "big5", "cp932", "euc_jp", "cp949"),
    *("cp1252", "cp1253", "iso8859-7", "cp1255", "iso8859-8", "iso8859-6", "cp874"),
)
OUTSIDE_ASCII = re.compile(rb"[\x80-\xff]")
NOT_ASCII = re.compile("[^\x00-\x7f]")
CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
ASCII = bytes(range(128))

SAMPLE_BYTES = 200_000  # what a guess is made from
HEAD_BYTES = 1_000  # of it, for what markup declares
CANDIDATES = 6
CHECKED_CHARACTERS = 1_000  # of each candidate, outside ASCII
MAX_MISPLACED = 0.1  # of the characters outside ASCII, where no writer would put them
MIN_EVIDENCE = 8  # bytes outside ASCII, or
MIN_BYTES = 500  # of text, whose language tells much, with more than
RARE = 1e-4  # of them outside ASCII; else the second best must be clearly worse
CLEARLY = 0.9
MIN_SCORE = 0.005
MENDED = 0.8  # of the score that a text would have without its damage
MAX_DAMAGE = 0.01  # characters replaced, of those outside ASCII
SIGNS_IN_WORDS = frozenset("\xb0\xa0\xb7\xa9\xae\u20ac\u2122")  # written beside a letter by many

chardet.detect("A caf\xe9".encode("latin-1"))  # loads its models: readers run where no file can be opened


class Decoded(NamedTuple):
    text: str
    encoding: str
    replaced: int = 0
    """Characters that stand as U+FFFD for bytes that mean nothing in the encoding."""

    @property
    def meta(self) -> dict[str, Any]:
        """What is said of it beside the text."""
        return {"encoding": self.encoding} | ({"replaced": self.replaced} if self.replaced else {})


class Candidate(NamedTuple):
    score: float
    encoding: str
    sample: str


def guess(content: bytes) -> Decoded | None:
    """None where nothing is likely enough."""
    evidence = len(content.translate(None, ASCII))
    candidates = _candidates(content)
    if candidates and _is_sure(candidates, evidence, len(content)):
        decoded = mended(content, candidates[0].encoding)
        if decoded.replaced <= 1 + MAX_DAMAGE * evidence:
            return decoded
    return None


def mended(content: bytes, encoding: str) -> Decoded:
    """With U+FFFD for what cannot be decoded."""
    try:
        return Decoded(content.decode(encoding), encoding)
    except UnicodeDecodeError:
        text = content.decode(encoding, "replace")
        return Decoded(text, encoding, text.count("\ufffd"))


def is_plausible(text: str) -> bool:
    return not CONTROLS.search(text) and _misplaced(text) <= MAX_MISPLACED


def _is_sure(candidates: list[Candidate], evidence: int, size: int) -> bool:
    best = candidates[0]
    rival = max((other.score for other in candidates if other.sample != best.sample), default=0.0)
    enough = evidence >= MIN_EVIDENCE or MIN_BYTES <= size < evidence / RARE
    clear = enough or rival < CLEARLY * best.score
    return clear and best.score > MIN_SCORE and _misplaced(best.sample) <= MAX_MISPLACED


def _candidates(content: bytes) -> list[Candidate]:
    """The likeliest encodings, best first; equal ones in the order in which chardet has them."""
    sample = _sample(content)
    found = list(_ranked(sample))
    for encoding in WITH_GAPS:
        found += _ranked_when_mended(sample, encoding)
    return sorted(found, key=lambda candidate: -candidate.score)


def _sample(content: bytes) -> bytes:
    """The beginning, or the lines around the first byte outside ASCII with the head before them."""
    first = OUTSIDE_ASCII.search(content)
    if first is None or first.start() < SAMPLE_BYTES // 2:
        return content[:SAMPLE_BYTES]
    start = content.rfind(b"\n", 0, first.start()) + 1
    return content[:HEAD_BYTES] + b"\n" + content[start : start + SAMPLE_BYTES - HEAD_BYTES - 1]


def _ranked(sample: bytes) -> Iterator[Candidate]:
    ranked = chardet.detect_all(
        sample,
        ignore_threshold=True,
        max_bytes=len(sample) + 1,
        compat_names=False,
        exclude_encodings=NEVER,
    )
    for one in ranked[:CANDIDATES]:
        for encoding in _widest_first(one["encoding"] or ""):
            text = _tried(sample, encoding)
            if text is not None:
                yield Candidate(one["confidence"] * (1 - _misplaced(text)) ** 2, encoding, text)
                break


def _ranked_when_mended(sample: bytes, encoding: str) -> Iterator[Candidate]:
    """The rank of an encoding in which a few bytes mean nothing, as if they were not there."""
    text = sample.decode(encoding, "replace")
    damage = text.count("\ufffd")
    if 0 < damage <= 1 + MAX_DAMAGE * len(NOT_ASCII.findall(text)):
        rest = text.replace("\ufffd", "").encode(encoding, "ignore")
        for candidate in _ranked(rest):
            if candidate.encoding == encoding:
                yield candidate._replace(score=MENDED * candidate.score)


def _widest_first(name: str) -> Iterator[str]:
    try:
        name = codecs.lookup(name).name
    except LookupError:
        return
    if name in WIDER:
        yield WIDER[name]
    yield name


def _tried(sample: bytes, encoding: str) -> str | None:
    """None where it is not in the encoding; a last character may be cut by the sample's end."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample, len(sample) < SAMPLE_BYTES)
    except UnicodeDecodeError:
        return None


def _misplaced(text: str) -> float:
    """Share of the first characters outside ASCII that stand where no writer would put them.

    These are capitals after small letters, letters of two alphabets in a word, signs between letters, and
    control characters, unassigned and private ones.
    """
    text = f"\n{text}\n"
    places = [match.start() for match in islice(NOT_ASCII.finditer(text), CHECKED_CHARACTERS)]
    wrong = 0.0
    for place in places:
        before, here, after = text[place - 1], text[place], text[place + 1]
        wrong += _is_wrong(before, here) + (_is_wrong(here, after) if after.isascii() else 0.0)
    return min(1.0, wrong / len(places)) if places else 0.0


def _is_wrong(before: str, here: str) -> float:
    if unicodedata.category(here) in ("Cc", "Co", "Cn") and here not in "\t\n\r":
        return 1.0
    if before.isalpha() and here.isalpha():
        foreign = here if before.isascii() else before
        mixed = before.isascii() != here.isascii() and _is_other_alphabet(foreign)
        return float(mixed or (before.islower() and here.isupper()))
    if not before.isalpha() and not here.isalpha():
        return 0.0
    sign = here if before.isalpha() else before
    odd = not sign.isascii() and sign not in SIGNS_IN_WORDS and unicodedata.category(sign)[0] in "SNC"
    return 0.5 * odd


def _is_other_alphabet(letter: str) -> bool:
    """Not Latin, and not of East Asia, whose scripts stand beside Latin letters without a blank."""
    return ord(letter) < 0x2E80 and "LATIN" not in unicodedata.name(letter, "")
