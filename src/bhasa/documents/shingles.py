"""A text as the set of its shingles, some words in a row, each a 64-bit number.

A word is a run of letters, digits, underscores and bytes beyond ASCII; A to Z are as a to z, and punctuation
and white space count for nothing. A character from U+3000 to U+9FFF or beyond U+FFFF is a word by itself,
since Chinese and Japanese write no spaces. A text of fewer words is one shingle, one without words has none.

Words are hashed all at once: a prefix sum of b[i] P^i over the bytes b of a block, from which the sum over a
word is one difference, moved to a common place by P^-start (mod 2^64, where every odd P has an inverse).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

Number = TypeVar("Number", np.uint64, np.int64)

WORDS = 5
BLOCK = 1 << 16  # bytes hashed at once: what a core's cache holds the sums of; a longer word is divided
BYTE_BASE, WORD_BASE = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95  # odd
LICENCE_BYTES = 1 << 14  # where a licence is looked for
COMMENT = re.compile(
    rb"\s*(?:/\*.*?\*/|<!--.*?-->|\"{3}.*?\"{3}|'{3}.*?'{3}|(?:(?:#|//|--|;|%)[^\n]*\n\s*)+)", re.DOTALL
)
OF_LICENCE = re.compile(rb"copyright|licen[cs]e|spdx-", re.IGNORECASE)


def _powers(base: int, count: int) -> Hashes:
    powers: Hashes = np.full(count, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _byte_values() -> Hashes:
    """Of each byte in a word, with capitals as small letters; 0 for what is between words."""
    values: Hashes = np.arange(256, dtype=np.uint64)
    for byte in range(128):
        character = chr(byte)
        values[byte] = ord(character.lower()) if character.isalnum() or character == "_" else 0
    return values


VALUES = _byte_values()
ALONE = np.zeros(256, bool)  # bytes that begin a character which is a word by itself
ALONE[0xE3:0xEA] = ALONE[0xF0:0xF5] = True
POWERS = _powers(BYTE_BASE, BLOCK)
INVERSES = _powers(pow(BYTE_BASE, -1, 1 << 64), BLOCK)


def shingles(encoded: bytes) -> Iterator[Hashes]:
    """Those of a text in UTF-8, repeated ones too, in order, block by block."""
    return in_a_row(word_hashes(encoded), WORDS)


def word_hashes(encoded: bytes) -> Iterator[Hashes]:
    """Of each word one, block by block."""
    for begin, end in _blocks(encoded):
        yield _word_hashes(np.frombuffer(encoded, np.uint8, end - begin, begin))


def in_a_row(blocks: Iterable[Hashes], count: int) -> Iterator[Hashes]:
    """From the hashes of words to those of so many in a row."""
    hashes = np.empty(0, np.uint64)
    whole = True  # nothing has been yielded yet
    for block in blocks:
        hashes = np.concatenate([hashes, block])
        if len(hashes) >= count:
            yield _in_a_row(hashes, count)
            hashes, whole = hashes[len(hashes) - count + 1 :], False
    if whole and len(hashes):
        yield _in_a_row(hashes, len(hashes))


def shingle_set(encoded: bytes, *, one_in: int = 1) -> Hashes:
    """Each once, ascending; of `one_in` about one is taken, by its value, so alike in every text."""
    blocks = (block if one_in == 1 else block[block % np.uint64(one_in) == 0] for block in shingles(encoded))
    return distinct(np.concatenate([np.empty(0, np.uint64), *blocks]))


def distinct(values: NDArray[Number]) -> NDArray[Number]:
    """Each once, ascending: `np.unique`, which may not be called in a worker, since it imports a module."""
    values = np.sort(values)
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return values[first]


def jaccard(one: Hashes, other: Hashes) -> float:
    """Size of the intersection by that of the union, of two shingle sets; 0 when both are empty."""
    union = len(distinct(np.concatenate([one, other])))
    return (len(one) + len(other) - union) / max(1, union)


def without_licence(encoded: bytes) -> bytes:
    """The text without a comment or docstring at its beginning that speaks of a licence, which makes no two
    files alike."""
    comment = COMMENT.match(encoded, 0, LICENCE_BYTES)
    return encoded[comment.end() :] if comment and OF_LICENCE.search(comment.group()) else encoded


def mix(hashes: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of the result depends on every bit."""
    hashes = hashes ^ (hashes >> np.uint64(30))
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> np.uint64(31)
    return hashes


def _blocks(encoded: bytes) -> Iterator[tuple[int, int]]:
    """Ranges of at most `BLOCK` bytes that end at a space or the end of a line where one is there."""
    begin = 0
    while begin < len(encoded):
        end = min(begin + BLOCK, len(encoded))
        if end < len(encoded):
            gap = max(encoded.rfind(b" ", begin, end), encoded.rfind(b"\n", begin, end))
            end = gap + 1 or end
        yield begin, end
        begin = end


def _word_hashes(block: NDArray[np.uint8]) -> Hashes:
    values = VALUES[block]
    sums = np.zeros(len(block) + 1, np.uint64)
    np.cumsum(values * POWERS[: len(block)], out=sums[1:])
    starts, ends = _words(block, values > 0)
    return (sums[ends] - sums[starts]) * INVERSES[starts]


def _words(block: NDArray[np.uint8], inside: NDArray[np.bool_]) -> tuple[Places, Places]:
    """Where words start and where they end."""
    padded = np.zeros(len(block) + 2, bool)
    padded[1:-1] = inside
    borders = np.flatnonzero(padded[1:] != padded[:-1])
    alone = np.flatnonzero(ALONE[block])
    if not len(alone):
        return borders[::2], borders[1::2]
    after = np.minimum(alone + np.where(block[alone] >= 0xF0, 4, 3), len(block))
    borders = distinct(np.concatenate([borders, alone, after]))
    starts, ends = borders[:-1], borders[1:]
    return starts[inside[starts]], ends[inside[starts]]


def _in_a_row(hashes: Hashes, count: int) -> Hashes:
    total = len(hashes) - count + 1
    rows = np.zeros(total, np.uint64)
    for place in range(count):
        rows *= np.uint64(WORD_BASE)
        rows += hashes[place : place + total]
    return mix(rows)
