"""What the whole corpus is compared by: a short extract of a text's words, made where the text is read.

A signature is the text's minima (`minhash`), by which near duplicates are found, and after them every 16th of
its runs of eight words, chosen by value, by which contamination is measured. A licence at the beginning is no
part of either.
"""

from __future__ import annotations

from itertools import tee, zip_longest

import numpy as np

from bhasa.documents.minhash import BYTES, lower, no_minima, packed
from bhasa.documents.shingles import WORDS, Hashes, distinct, in_a_row, without_licence, word_hashes

RUN = 8  # words
ONE_IN = 16  # a power of two
NONE: Hashes = np.empty(0, np.uint64)


def signature(encoded: bytes) -> bytes:
    """Of a text in UTF-8; empty for one without words."""
    least, runs = no_minima(), [NONE]
    empty = True
    one, other = tee(word_hashes(without_licence(encoded)))
    for shingles, of_eight in zip_longest(in_a_row(one, WORDS), in_a_row(other, RUN), fillvalue=NONE):
        empty = False
        lower(least, shingles)
        runs.append(of_eight[of_eight & np.uint64(ONE_IN - 1) == 0])
    return b"" if empty else packed(least) + distinct(np.concatenate(runs)).astype("<u8").tobytes()


def runs_of_words(signature: bytes) -> Hashes:
    """The hashes of its runs of words, each once, ascending."""
    return np.frombuffer(signature[BYTES:], "<u8").astype(np.uint64)
