import numpy as np
import pytest

from benchmarks.corpora import exchange, prose
from bhasa.documents.minhash import BANDS, BYTES, ROWS, bands, lower, minima, no_minima, packed
from bhasa.documents.shingles import jaccard, shingle_set, shingles


def minima_of(text: bytes) -> bytes:
    least = no_minima()
    for block in shingles(text):
        lower(least, block)
    return packed(least)


@pytest.mark.parametrize("share", [0.01, 0.03, 0.1])
def test_the_share_of_equal_minima_is_the_similarity(share: float) -> None:
    texts = [prose(n, 600) for n in range(40)]
    pairs = [(text.encode(), exchange(text, share, 1).encode()) for text in texts]
    exact = np.mean([jaccard(shingle_set(one), shingle_set(other)) for one, other in pairs])
    one, other = (minima(b"".join(minima_of(pair[side]) for pair in pairs)) for side in (0, 1))
    assert float(np.mean(one == other)) == pytest.approx(float(exact), abs=0.03)


def test_each_band_has_minima_of_its_own() -> None:
    text = prose("text", 300).encode()
    whole = minima_of(text)
    assert len(whole) == BYTES == 2 * BANDS * ROWS
    first, other = bands(whole + minima_of(prose("other", 300).encode())).T.tolist()
    assert len({*first, *other}) == 2 * BANDS
    assert bands(whole).T.tolist() == [first]
    changed = bytes([whole[0] ^ 1]) + whole[1:]
    assert [n for n in range(BANDS) if bands(changed)[n, 0] != first[n]] == [0]
