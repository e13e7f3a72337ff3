import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.readers.rtf import read
from bhasa.documents.records import Refused

HEAD = r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Times;}{\f1\fcharset204 Arial;}{\f2\fcharset128 M;}}"


def text_of(body: str) -> str:
    (found,) = read(f"{HEAD}{body}}}".encode("latin-1"), "a.rtf")
    return found.text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"one {\b two}\par three\line four\tab five", "one two\n\nthree\nfour\tfive"),
        ("one\r\ntwo \\\nthree", "onetwo\n\nthree"),
        (r"\{a\\b\} c\~d\_e \'e9\'93x\rdblquote", "{a\\b} c\xa0d-e \xe9\u201cx\u201d"),
        (
            r"\u1076?\u-10179?\u-8704? {\uc0\u1076}\uc2\u1076 ab\u1076\'31\'32",
            "\u0434\U0001f600 \u0434\u0434\u0434",
        ),
        (r"\f2\uc2\u26085\'93\'fa b", "\u65e5 b"),
        (r"{\f1\'e4\'e0} \f2\'93\'fa\plain\'e9", "\u0434\u0430 \u65e5\xe9"),
        (r"{\listtext 1.\tab}one\par{\pntext 2.\tab}two", "1.\tone\n\n2.\ttwo"),
        (r"a{\footnote \chftn note}b", "a [note]b"),
        (r"a{\v no}b\v no\v0 c{\deleted no}\plain d", "abcd"),
        (r"a{\header no\par}{\*\unknown no}{\pict ffd8}{\*\shptxt box}", "abox"),
        (r"{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}", "link"),
        (r"a\bin5 }}\{{b", "ab"),
        (r"\trowd\cellx1 a\par\cell b\cell\row\trowd c\cell\trowd\cell\row d", "a\tb\nc\t\nd"),
        (r"\trowd a\cell open", "a\topen"),
    ],
)
def test_what_is_shown_comes_out(body: str, text: str) -> None:
    assert text_of(body) == text


def test_the_title_is_in_meta() -> None:
    (found,) = read(f"{HEAD}{{\\info{{\\title A  b}}{{\\author no}}}}text}}".encode(), "a.rtf")
    assert (found.text, found.meta) == ("text", {"title": "A b"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "no RTF"), (b"{\\rtf1 }", "RTF without text"), (b"{\\rtf1" + b"{" * 5000, "nested too deeply")],
)
def test_what_cannot_be_read_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        list(read(content, "a.rtf"))


WORDS = [
    *("par", "cell", "row", "trowd", "nestcell", "nestrow", "u65536", "u-1", "uc0", "uc9", "bin3", "bin-3"),
    *("v", "v0", "plain", "f1", "f9", "fonttbl", "fcharset204", "ansicpg932"),
]
OTHERS = ["{", "}", "{\\info", "{\\title ", "{\\footnote ", "{\\*", "\\'ff", "\\", "x"]


@given(st.lists(st.sampled_from([f"\\{word} " for word in WORDS] + OTHERS)))
def test_any_order_of_words_is_read_or_refused(pieces: list[str]) -> None:
    try:
        text_of("".join(pieces)).encode()
    except Refused:
        return
