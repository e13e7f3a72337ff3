"""datasketch and rensa, each in its best setting on one thread, with the 14 bands of 8 that FineWeb has."""

import importlib.util
import os
from collections.abc import Callable, Sequence

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # of rensa, as all here have one

BANDS, ROWS = 14, 8
MISSING = "not installed: pip install -c requirements.lock -e '.[peers]'"

Texts = Sequence[str]
Dropped = dict[int, int]
"""Of each text that is like an earlier one, which."""


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def five_words(text: str) -> set[str]:
    words = text.split()
    return {" ".join(words[n : n + 5]) for n in range(max(1, len(words) - 4))}


def datasketch_signatures(texts: Texts) -> list[object]:
    from datasketch import MinHash

    sets = ([shingle.encode() for shingle in five_words(text)] for text in texts)
    return list(MinHash.generator(sets, num_perm=BANDS * ROWS, seed=1))


def datasketch_drops(texts: Texts) -> Dropped:
    from datasketch import MinHashLSH

    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    dropped: Dropped = {}
    for place, sketch in enumerate(datasketch_signatures(texts)):
        _first(index.query(sketch), place, dropped, lambda key, new=sketch: index.insert(key, new))
    return dropped


def rensa_signatures(texts: Texts) -> object:
    from rensa import RMinHash

    return RMinHash.digest_matrix_from_token_sets([list(five_words(t)) for t in texts], BANDS * ROWS, 42)


def rensa_drops(texts: Texts) -> Dropped:
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=0.7, num_perm=BANDS * ROWS, num_bands=BANDS)
    sketches = RMinHash.from_token_sets([list(five_words(text)) for text in texts], BANDS * ROWS, 42)
    dropped: Dropped = {}
    for place, sketch in enumerate(sketches):
        _first(index.query(sketch), place, dropped, lambda key, new=sketch: index.insert(key, new))
    return dropped


def _first(like: Sequence[int], place: int, dropped: Dropped, keep: Callable[[int], object]) -> None:
    """Drop a text for the first kept one that shares a band with it, or keep it."""
    if like:
        dropped[place] = min(like)
    else:
        keep(place)


SIGNATURES: dict[str, Callable[[Texts], object]] = {
    "datasketch": datasketch_signatures,
    "rensa": rensa_signatures,
}
DROPS: dict[str, Callable[[Texts], Dropped]] = {"datasketch": datasketch_drops, "rensa": rensa_drops}
