"""Which documents of the train split a tokenizer is learned from.

A document is in the sample when its id, a hash of its text, is below a threshold: an unbiased choice that
does not depend on the order of the rows. The threshold is the highest one within two bounds: of bytes, which
is of time, and of bytes in distinct words, which is of memory. Text in which words hardly ever repeat, such
as random letters or a language written without spaces, takes some 90 bytes of memory for each of those.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bhasa.tokens.corpus import IdentifiedText, document_files, read_columns, read_identified

DISTINCT_BYTES = 8 << 20  # in distinct words: 750 MB at most while merges are learned
DOCUMENT_CHARACTERS = 1 << 20  # of one document; no single one may use up the whole bound


class Sample(NamedTuple):
    """Documents by their ids."""

    folder: Path
    below: str | None
    """The first id, in the order of text, that is not in it; None: all are."""

    def texts(self) -> Iterator[str]:
        """What is learned from, a text for each document."""
        return (text for id_, text in self._documents())

    def within(self, distinct_bytes: int) -> "Sample":
        """The part of it that has so many bytes in distinct words."""
        words = _Words(distinct_bytes)
        for id_, text in self._documents():
            words.add(id_, text)
        return self if words.below() is None else Sample(self.folder, words.below())

    def _documents(self) -> Iterator[IdentifiedText]:
        files = document_files(self.folder, "train")
        for id_, text in chain.from_iterable(map(read_identified, files)):
            if self.below is None or id_ < self.below:
                yield IdentifiedText(id_, text[:DOCUMENT_CHARACTERS])


def draw(folder: Path, size: int, max_bytes: int) -> Sample:
    """Of the train split in `folder`, which has `size` bytes, at most `max_bytes` and one document."""
    sample = Sample(folder, None if size <= max_bytes else _id_after(folder, max_bytes))
    return sample if size <= DISTINCT_BYTES else sample.within(DISTINCT_BYTES)


def _id_after(folder: Path, max_bytes: int) -> str | None:
    """The id after the one with which the documents, in the order of ids, reach so many bytes."""
    ids, sizes = [], []
    for path in document_files(folder, "train"):
        for some_ids, some_sizes in read_columns(path, "id", "bytes"):
            ids.append(np.array(some_ids, "S64"))
            sizes.append(np.array(some_sizes, np.int64))
    all_ids = np.concatenate(ids)
    order = np.argsort(all_ids)
    reached = np.cumsum(np.concatenate(sizes)[order])
    place = int(np.searchsorted(reached, max_bytes)) + 1
    return str(all_ids[order[place]].decode()) if place < len(order) else None


class _Words:
    """The lowest id of a document with each word: how many words a lower threshold leaves follows from it."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._lowest: dict[bytes, str] = {}
        self._below: str | None = None

    def add(self, id_: str, text: str) -> None:
        if self._below is not None and id_ >= self._below:
            return
        lowest = self._lowest
        for word in set(text.encode().split()):
            known = lowest.get(word)
            if known is None:
                self.size += len(word)
            if known is None or id_ < known:
                lowest[word] = id_
        if self.size > 2 * self.limit:
            self._lower()

    def below(self) -> str | None:
        """The first id that goes over the limit; None: all documents are within it."""
        if self.size > self.limit:
            self._lower()
        return self._below

    def _lower(self) -> None:
        """Forget what is above the highest threshold that may still be the answer: text only adds words."""
        total = 0
        for id_, size in _by_id(self._lowest.items()):
            if total and total + size > self.limit:
                self._below = id_
                break
            total += size
        below = self._below
        self._lowest = {word: id_ for word, id_ in self._lowest.items() if below is None or id_ < below}
        self.size = total


def _by_id(words: Iterable[tuple[bytes, str]]) -> list[tuple[str, int]]:
    """Ids in order, each with the bytes of the words that come with it."""
    sizes: dict[str, int] = {}
    for word, id_ in words:
        sizes[id_] = sizes.get(id_, 0) + len(word)
    return sorted(sizes.items())
