import random
import string

import pytest

from bhasa.documents.cleaning import clean
from bhasa.documents.floors import below_floor

CODE = "def f(x):\n    return x + 1  # one more\n\n\n" * 40


def reason(text: str, min_characters: int = 64) -> str:
    text = clean(text)
    refusal = below_floor(text, text.encode(), min_characters)
    return f"{refusal.outcome.value}: {refusal.reason}" if refusal else ""


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        "\u8bed\u8a00\u6a21\u578b\uff0c" * 40 + "\n",
        "e\u0301t\u00e9 " * 200,
        "\u2500" * 300 + "\nA title between two lines of signs, as in a table\n" * 20 + "\u2500" * 300,
        "words " * 5_000 + "x" * 20_000,
        ("column" + " " * 200) * 40,
    ],
    ids=["code", "chinese", "marks", "signs", "one long word", "columns"],
)
def test_what_people_write_is_above_the_floors(text: str) -> None:
    assert reason(text) == ""


def test_blanks_do_not_count_as_characters() -> None:
    assert reason("x " * 63) == "skipped: shorter than min_characters"
    assert reason("x " * 64) == ""
    assert reason("\u00e9 " * 63) == "skipped: shorter than min_characters"
    assert reason("\u00e9 " * 64) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" " * 10_000_000 + "x", "skipped: shorter than min_characters"),
        ("x" * 64 + " " * 10_000_000 + "x" * 64, "filtered: nearly all blanks"),
        ("a" + "\u0300\u0316" * 3_000_000, "filtered: mostly combining marks or signs"),
        (
            "".join(random.Random(0).choices(string.ascii_letters, k=100_000)) * 50,
            "filtered: mostly without blanks",
        ),
    ],
    ids=["blanks", "blanks between", "combining marks", "no blank"],
)
def test_megabytes_of_nothing_are_left_out(text: str, expected: str) -> None:
    assert reason(text) == expected


def test_a_floor_has_two_sides() -> None:
    word, prose = "x" * 30_000, "words and more " * 2_000
    assert reason(word + " " + prose) == ""
    assert reason(word + " " + prose[:25_000]) == "filtered: mostly without blanks"
    dense = "x" * 100
    assert reason(dense + " " * 4_800 + dense) == ""
    assert reason(dense + " " * 9_900 + dense) == "filtered: nearly all blanks"
