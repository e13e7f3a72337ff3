import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.corpora import EDITS, exchange, form_letters, licensed_sources, near_copies, prose
from bhasa.documents import near_duplicates
from bhasa.documents.minhash import BANDS, BYTES, bands
from bhasa.documents.near_duplicates import Numbers, find
from bhasa.documents.shingles import jaccard, shingle_set
from bhasa.documents.signature import signature

THRESHOLD = 0.6


class Memory:
    """Texts that are in memory."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.signatures = [signature(text.encode()) for text in texts]

    def bands(self) -> list[Numbers]:
        return list(bands(b"".join(found[:BYTES] for found in self.signatures)))

    def minima(self, place: int) -> bytes:
        return self.signatures[place][:BYTES]

    def encoded(self, place: int) -> bytes:
        return self.texts[place].encode()


def found(texts: list[str], threshold: float = THRESHOLD) -> dict[int, int]:
    return {pair.place: pair.like for pair in find(Memory(texts), threshold)}


def by_brute_force(texts: list[str]) -> dict[int, list[int]]:
    """Of each that is dropped the earlier kept ones that it is like; every pair is compared."""
    sets = [shingle_set(text.encode()) for text in texts]
    kept: list[int] = []
    dropped: dict[int, list[int]] = {}
    for place, own in enumerate(sets):
        like = [other for other in kept if jaccard(own, sets[other]) >= THRESHOLD]
        if like:
            dropped[place] = like
        else:
            kept.append(place)
    return dropped


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_as_every_pair_compared(chance: random.Random) -> None:
    """Copies far above the threshold and texts far below it, so that the bands find all."""
    texts = [prose(n, chance.randint(150, 300)) for n in range(6)]
    copies = [exchange(chance.choice(texts), 0.01, n) for n in range(chance.randint(0, 8))]
    texts += copies
    chance.shuffle(texts)
    expected, dropped = by_brute_force(texts), found(texts)
    assert dropped.keys() == expected.keys()
    assert all(like in expected[place] for place, like in dropped.items())


def test_likeness_is_not_handed_on() -> None:
    """A is like B and B like C, but A is not like C: only B is dropped."""
    words = prose("chain", 300).split(" ")
    a, b, c = (" ".join(words[begin : begin + 200]) for begin in (0, 30, 60))
    sets = [shingle_set(text.encode()) for text in (a, b, c)]
    assert jaccard(sets[0], sets[1]) > THRESHOLD < jaccard(sets[1], sets[2])
    assert jaccard(sets[0], sets[2]) < THRESHOLD
    assert found([a, b, c]) == {1: 0}
    assert set(found([b, a, c])) == {1, 2}


def test_what_bands_propose_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every minimum equal all are candidates; only a true copy is dropped."""
    texts = [prose(n, 80) for n in range(6)]
    texts.append(exchange(texts[3], 0.02, 0))
    memory = Memory(texts)
    memory.signatures = [memory.signatures[0]] * len(texts)
    assert {pair.place: pair.like for pair in find(memory, THRESHOLD)} == {6: 3}


def test_a_text_has_a_bounded_number_of_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "CANDIDATES", 4)
    memory = Memory([prose(n, 30) for n in range(40)])
    memory.signatures = [memory.signatures[0]] * 40
    fetched: list[int] = []
    encoded = memory.encoded
    monkeypatch.setattr(memory, "encoded", lambda place: fetched.append(place) or encoded(place))
    assert list(find(memory, THRESHOLD)) == []
    assert len(fetched) <= 40 * (1 + 4)


def test_many_copies_of_one_text_leave_that_one() -> None:
    lines = prose("log", 400)
    copies = [f"number {n}\n{lines}" for n in range(300)]
    assert found(copies) == dict.fromkeys(range(1, 300), 0)


def test_long_texts_are_compared_by_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "WHOLE_BYTES", 2_000)
    text = prose("long", 3000)
    (pair,) = find(Memory([text, exchange(text, 0.02, 0)]), THRESHOLD)
    exact = jaccard(shingle_set(text.encode()), shingle_set(exchange(text, 0.02, 0).encode()))
    assert pair.similarity == pytest.approx(exact, abs=0.1)


def test_no_texts_have_no_near_duplicates() -> None:
    assert found([]) == {}
    assert bands(b"").shape == (BANDS, 0)


def test_near_copies_are_found() -> None:
    """100 texts with five kinds of edits each, 1 to 5 % of the words."""
    originals = [prose(n, 100 + 8 * n) for n in range(100)]
    dropped = found(originals + [copy for edit in EDITS for copy in near_copies(originals, edit)])
    assert len([n for n in range(500) if dropped.get(100 + n) == n % 100]) >= 475


@pytest.mark.parametrize("texts", [licensed_sources(500), form_letters(200)], ids=["licence", "form"])
def test_a_form_in_common_makes_no_near_duplicates(texts: list[str]) -> None:
    assert len(found(texts)) <= len(texts) // 100
