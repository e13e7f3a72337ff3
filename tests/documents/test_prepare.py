from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.cleaning import size_of
from bhasa.documents.config import IngestConfig
from bhasa.documents.prepare import Prepared, prepare
from bhasa.documents.records import EXCERPT_CHARACTERS, Refused, Text

PROSE = "A state of fixed size remembers what matters, and it forgets what does not matter to it.\n"


@dataclass(frozen=True)
class File:
    name: str = "raw/a.txt"
    media_type: str = "text/plain"
    language: str = "und"


FILE = File()


def config(**values: object) -> IngestConfig:
    return IngestConfig.parse({"sources": [{"kind": "folder", "path": "raw"}]} | values, "test")


def prepared(text: str, file: File = FILE, **values: object) -> Prepared:
    found = prepare(Text(text), file, "raw", config(**values))
    assert isinstance(found, Prepared)
    return found


def test_a_document_is_the_cleaned_text_and_what_is_known_of_it() -> None:
    found = prepared(f"\ufeff{PROSE} \r\n")
    assert found.document.text == PROSE
    assert found.document.bytes == len(PROSE)
    assert (found.document.source, found.document.domain, found.document.language) == (
        "raw/a.txt",
        "raw",
        "und",
    )
    assert found.counts == {"unicode": 4, "white_space": 2}


def test_switches_of_cleaning_reach_the_text() -> None:
    assert "\u200b" in prepared(PROSE + "\u200b", clean={"unicode": False}).document.text
    page = f"Accept all cookies\n{PROSE}"
    assert prepared(page, clean={"boilerplate": True}).document.text == PROSE
    assert prepared(page, File(language="python"), clean={"boilerplate": True}).document.text == page


def test_what_is_left_out_shows_how_it_began() -> None:
    for text, values in ((f"\ufeff{PROSE}", {"min_characters": 999}), (PROSE * 9, {"languages": ["fr"]})):
        found = prepare(Text(text), FILE, "raw", config(**values))
        assert isinstance(found, Refused)
        assert found.excerpt == text.removeprefix("\ufeff")[:EXCERPT_CHARACTERS]


@given(st.text(st.characters(), min_size=40))
def test_every_byte_is_in_the_document_or_in_the_account_of_a_step(text: str) -> None:
    found = prepare(Text(text), File(), "raw", config(min_characters=1))
    if not isinstance(found, Refused):
        assert found.document.bytes + sum(found.counts.values()) == size_of(text)


@pytest.mark.parametrize(
    ("text", "reason"), [("x", "shorter than min_characters"), (" " * 999, "shorter than min_characters")]
)
def test_what_is_left_out_says_why(text: str, reason: str) -> None:
    found = prepare(Text(text), File(), "raw", config())
    assert isinstance(found, Refused)
    assert found.reason == reason
