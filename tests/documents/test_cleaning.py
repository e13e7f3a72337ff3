import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.cleaning import clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne\n"),
        ("cafe\u0301", "caf\u00e9\n"),
        ("a\0\x07\x1b[0m\x7f\x9fb\ufeff", "a[0mb\n"),
        ("half \ud800 a pair", "half  a pair\n"),
        ("one  \t\ntwo \n\n\n", "one\ntwo\n"),
        ("page one\x0c\npage two", "page one\npage two\n"),
        ("", ""),
        (" \n\t\r\n ", ""),
    ],
)
def test_one_form(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_code_keeps_its_indentation_and_inner_spacing() -> None:
    code = "    def f(x):\n\treturn  x\n\n\n        # end\n"
    assert clean("\n\n" + code) == code


@pytest.mark.parametrize(
    "text",
    ["a" + "\u0300\u0316" * 200_000, "x" + " " * 1_000_000 + "x", "\r" * 500_000 + "\u00e9"],
    ids=["marks", "blanks", "line ends"],
)
def test_hostile_text_takes_no_longer_than_other_text(text: str) -> None:
    cleaned = clean(text)  # minutes, if a step were quadratic
    assert cleaned.strip("\n") == text.strip("\r")


@given(st.text(alphabet=st.characters()))
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert unicodedata.is_normalized("NFC", once)
    once.encode()
