import unicodedata
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.cleaning import STEPS, CleanConfig, clean, cleaned, size_of


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne\n"),
        ("a\r\nb\rc", "a\nb\nc\n"),
        ("cafe\u0301", "caf\u00e9\n"),
        ("a\0\x07\x7f\x9fb\ufeff", "ab\n"),
        ("half \ud800 a pair", "half  a pair\n"),
        ("one  \t\ntwo \n\n\n", "one\ntwo\n"),
        ("page one\x0c\npage two", "page one\npage two\n"),
        ("one\n\n\n\n\n\ntwo\n\n\nthree", "one\n\n\ntwo\n\n\nthree\n"),
        ("so\u00adft, ze\u200bro, pri\ue000vate, \ufffenone", "soft, zero, private, none\n"),
        ("access\u202e level\u202c \u2066user\u2069", "access level user\n"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645\n",
        ),
        ("\x1b[31merror\x1b[0m: \x1b[1;4mno\x1b[m such file", "error: no such file\n"),
        ("\x1b]0;title\x07\x1b(Btext\x1b]8;;http://a\x1b\\link\x1b[2K\x1bM", "textlink\n"),
        ("B\x08Bo\x08ol\x08ld and _\x08under", "Bold and under\n"),
        ("array[31m] stays", "array[31m] stays\n"),
        ("", ""),
        (" \n\t\r\n ", ""),
    ],
)
def test_one_form(text: str, better: str) -> None:
    assert clean(text) == better


def test_code_keeps_its_indentation_and_inner_spacing() -> None:
    code = "    def f(x):\n\treturn  x\n\n\n        # end\n"
    assert clean("\n\n" + code) == code


@pytest.mark.parametrize(
    ("line", "goes"),
    [
        ("Accept all cookies", True),
        ("This website uses cookies to improve your experience.", True),
        ("- Privacy Policy", True),
        ("Skip to main content", True),
        ("\u00a9 2019-2024 Example Ltd. All rights reserved.", True),
        ("Cookies are baked at 180 degrees until they are brown.", False),
        ("The privacy policy of the state was debated for a year.", False),
        ("He would read more of it later.", False),
    ],
)
def test_boilerplate_is_a_whole_line_about_the_page(line: str, goes: bool) -> None:
    page = f"A first line.\n{line}\nA last line.\n"
    expected = "A first line.\nA last line.\n" if goes else page
    assert cleaned(page, CleanConfig(boilerplate=True).steps_for(prose=True)).text == expected
    assert cleaned(page, CleanConfig(boilerplate=True).steps_for(prose=False)).text == page
    assert clean(page) == page


def test_each_step_can_be_left_out() -> None:
    text = "\x1b[1mbold\x1b[m\u200b \nnext"
    assert cleaned(text, CleanConfig(terminal=False).steps_for(prose=True)).text == "[1mbold[m\nnext\n"
    assert cleaned(text, CleanConfig(unicode=False).steps_for(prose=True)).text == "bold\u200b\nnext\n"
    assert cleaned(text, CleanConfig(white_space=False).steps_for(prose=True)).text == "bold \nnext"


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\u0300\u0316" * 200_000,
        "x" + " " * 1_000_000 + "x",
        "\r" * 500_000 + "\u00e9",
        "\x1b[" * 300_000 + "1" * 300_000,
        "x \t" * 300_000 + "\n",
        ("\t" * 100_000 + "x\n") * 10,
    ],
    ids=["marks", "blanks", "line ends", "escapes", "blanks and tabs", "indented"],
)
def test_hostile_text_takes_no_longer_than_other_text(text: str) -> None:
    assert len(clean(text)) <= len(text) + 1  # minutes, if a step were quadratic


ALPHABET = st.one_of(
    st.characters(),
    st.sampled_from("\x1b\x1b\x1b[]()0;mK\x07\\ \t\n\n\r\x08_\u0301\u0316e\ud800\udc00\ufeff\u200b\u00ad"),
)
SWITCHES = [
    CleanConfig(**dict(zip(CleanConfig.model_fields, on, strict=True)))
    for on in product((False, True), repeat=4)
]


@given(text=st.text(ALPHABET), config=st.sampled_from(SWITCHES))
def test_what_is_clean_stays_as_it_is_and_every_byte_is_accounted_for(text: str, config: CleanConfig) -> None:
    steps = config.steps_for(prose=True)
    once, removed = cleaned(text, steps)
    assert cleaned(once, steps) == (once, {})
    assert len(once.encode()) + sum(removed.values()) == size_of(text)
    assert set(removed) <= set(steps) <= set(STEPS)


@given(st.text(ALPHABET))
def test_clean_text_is_composed(text: str) -> None:
    assert unicodedata.is_normalized("NFC", clean(text))
