"""Near duplicates are found among the documents of a spool and marked there, up to a ceiling per source."""

from __future__ import annotations

from itertools import islice

import numpy as np
from numpy.typing import NDArray

from bhasa.documents.config import NearDuplicatesConfig
from bhasa.documents.minhash import BANDS, BYTES, bands
from bhasa.documents.near_duplicates import Numbers, find
from bhasa.documents.spool import Spool
from bhasa.errors import UserError

FEWEST = 20  # documents of a source that has a ceiling: of two files one may well be a copy


def leave_out(spool: Spool, config: NearDuplicatesConfig) -> None:
    """Mark what is nearly the same as an earlier document.

    Raises `UserError` when that is too large a share of a source.
    """
    texts = SignedTexts(spool)
    for found in find(texts, config.threshold):
        spool.leave_out(int(texts.places[found.place]), int(texts.places[found.like]), found.similarity)
    for domain, documents, left_out in spool.count_left_out():
        if documents >= FEWEST and left_out > config.most_of_a_source * documents:
            raise UserError(_too_many(spool, config, domain, documents, left_out))


class SignedTexts:
    """The documents of a spool that have a signature, numbered from 0 on in the order in which they came."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.places: NDArray[np.int64] = np.fromiter(spool.signed(), np.int64)

    def bands(self) -> list[Numbers]:
        found = [np.empty(len(self.places), np.uint32) for _ in range(BANDS)]
        done = 0
        for packed in self._spool.signatures(BYTES):
            numbers = bands(packed)
            for band, part in zip(found, numbers, strict=True):
                band[done : done + len(part)] = part
            done += numbers.shape[1]
        return found

    def minima(self, place: int) -> bytes:
        return self._spool.signature(int(self.places[place]), BYTES)

    def encoded(self, place: int) -> bytes:
        return self._spool.text(int(self.places[place])).encode()


def _too_many(spool: Spool, config: NearDuplicatesConfig, domain: str, documents: int, left_out: int) -> str:
    pairs = islice(spool.near_duplicates(domain), 2)
    samples = "; ".join(f"{source} like {like} ({similarity:.2f})" for source, like, similarity in pairs)
    return (
        f"ingest.near_duplicates: of {documents:,} documents of source '{domain}' {left_out:,} are nearly "
        f"the same as an earlier one, more than most_of_a_source ({config.most_of_a_source:g}) allows, such "
        f"as {samples}. If they are copies, raise ingest.near_duplicates.most_of_a_source; if they only have "
        f"a form in common, raise ingest.near_duplicates.threshold ({config.threshold:g}) or set "
        "ingest.near_duplicates: null"
    )
