from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.corpora import prose
from bhasa.documents.continuations import continuations, pieces


@given(st.text(alphabet="ab .\n", max_size=200), st.integers(1, 50))
def test_pieces_are_the_text_in_order(text: str, size: int) -> None:
    found = list(pieces(text, size))
    assert all(0 < len(piece) <= size and piece == piece.strip() for piece in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two\n\nthree four\n", ["one two", "three four"]),
        ("first line here\nsecond line\n", ["first line here", "second line"]),
        ("It is one. It is two.\n", ["It is one.", "It is two."]),
        ("just some words\n", ["just some", "words"]),
    ],
)
def test_a_piece_ends_where_the_text_does(text: str, expected: list[str]) -> None:
    (pair,) = continuations(text, max_characters=17 if len(expected[0]) > 10 else 14)
    assert pair.messages == (("user", f"Continue: {expected[0]}"), ("assistant", expected[1]))


def test_each_piece_answers_the_one_before_it() -> None:
    found = [pair.messages for pair in continuations(prose(0, 300), max_characters=200)]
    assert len(found) > 5
    for before, after in pairwise(found):
        assert after[0][1] == f"Continue: {before[1][1]}"


def test_one_word_is_cut_and_one_letter_gives_none() -> None:
    assert len(list(continuations("word\n", max_characters=3000))) == 1
    assert list(continuations("w\n", max_characters=3000)) == []
