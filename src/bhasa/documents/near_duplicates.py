"""Which documents are nearly the same as an earlier one: candidates by MinHash, each verified by its Jaccard.

Documents are taken in order. One is a near duplicate when it is verified against an earlier one that is kept
itself, so likeness is never handed on: of A like B like C, where A is not like C, A and C are kept. The
candidates of a document are, band by band, the nearest `NEIGHBOURS` kept ones before it with equal minima in
that band. Of these the `CANDIDATES` that share most bands are looked at, the earlier first, and verified in
the order of how many minima they share, where that leaves it possible that they are alike.

Memory is 4 bytes a document and band, and 16 bytes a document while one band is sorted. No texts but the two
that are compared are held; of long ones a part of the shingles is compared, chosen by value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bhasa.documents.minhash import BANDS, ROWS, minima
from bhasa.documents.shingles import jaccard, shingle_set, without_licence
from bhasa.progress import progress

NEIGHBOURS = 8
CANDIDATES = 16
MARGIN = 3 * (0.25 / (BANDS * ROWS)) ** 0.5  # three standard deviations of the share of equal minima
WHOLE_BYTES = 8 << 20  # of a text of n times as many one shingle in n is compared

Numbers = NDArray[np.uint32]
Links = list[NDArray[np.int32]]
"""Per band, of each document: the kept one before it with equal minima, or -1."""


class Texts(Protocol):
    """Documents that have a signature, by their place in the order, from 0 on."""

    def bands(self) -> list[Numbers]:
        """Of each band a number for each document's minima in it."""

    def minima(self, place: int) -> bytes:
        """Packed."""

    def encoded(self, place: int) -> bytes:
        """The text in UTF-8."""


@dataclass(frozen=True)
class NearDuplicate:
    place: int
    like: int
    """The place of the one that is kept."""
    similarity: float


def find(texts: Texts, threshold: float) -> Iterator[NearDuplicate]:
    """In order."""
    bands = texts.bands()
    links = [_links(bands.pop()) for _ in range(BANDS)]
    dropped = np.zeros(len(links[0]), bool)
    linked = _linked(links)
    if not linked:
        return
    with progress("comparing documents", len(linked), "documents") as bar:
        for place in linked:
            candidates = _candidates(links, dropped, place)
            alike = _first_alike(texts, place, _likely(texts, place, candidates, threshold), threshold)
            if alike is not None:
                dropped[place] = True
                yield alike
            bar.advance(1)


def _links(numbers: Numbers) -> NDArray[np.int32]:
    order = np.argsort(numbers, kind="stable").astype(np.int32)
    ordered = numbers[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    links = np.full(len(numbers), -1, np.int32)
    links[order[same + 1]] = order[same]
    return links


def _linked(links: Links) -> list[int]:
    """The documents that have any link."""
    found = np.zeros(len(links[0]), bool)
    for link in links:
        found |= link >= 0
    return np.flatnonzero(found).tolist()


def _candidates(links: Links, dropped: NDArray[np.bool_], place: int) -> list[int]:
    """Those to look at. The links of `place` pass over what is dropped from now on, as those of every place
    before it do already."""
    shared: Counter[int] = Counter()
    for link in links:
        before = int(link[place])
        if before >= 0 and dropped[before]:
            before = link[place] = int(link[before])
        for _ in range(NEIGHBOURS):
            if before < 0:
                break
            shared[before] += 1
            before = int(link[before])
    return sorted(shared, key=lambda before: (-shared[before], before))[:CANDIDATES]


def _likely(texts: Texts, place: int, candidates: list[int], threshold: float) -> list[int]:
    """Those whose minima do not speak against it, most equal ones first."""
    if not candidates:
        return []
    own = minima(texts.minima(place))
    others = minima(b"".join(map(texts.minima, candidates)))
    share = np.mean(own == others, axis=1)
    order = np.argsort(-share, kind="stable")
    return [candidates[n] for n in order if share[n] >= threshold - MARGIN]


def _first_alike(texts: Texts, place: int, likely: list[int], threshold: float) -> NearDuplicate | None:
    own = without_licence(texts.encoded(place)) if likely else b""
    for candidate in likely:
        similarity = _similarity(own, without_licence(texts.encoded(candidate)))
        if similarity >= threshold:
            return NearDuplicate(place, candidate, similarity)
    return None


def _similarity(one: bytes, other: bytes) -> float:
    one_in = 1 + max(len(one), len(other)) // WHOLE_BYTES
    return jaccard(shingle_set(one, one_in=one_in), shingle_set(other, one_in=one_in))
