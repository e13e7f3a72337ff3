"""What every reader in the registry promises."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.files import Outcome, Reading, Refused
from bhasa.documents.readers import READERS, SOURCE_CODE, format_of, plain

TEXT = "A state of fixed size remembers what matters.\n"


@pytest.fixture
def samples(text_pdf: bytes) -> dict[str, bytes]:
    """A sound file per format that is not plain text."""
    chat = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
    return {".pdf": text_pdf, ".jsonl": json.dumps(chat).encode()}


@pytest.mark.parametrize("suffix", READERS)
def test_reads_a_sound_file_the_same_way_each_time(suffix: str, samples: dict[str, bytes]) -> None:
    reader = READERS[suffix]
    content = TEXT.encode() if reader.read is plain.read else samples[suffix]
    reading = reader.read(content)
    assert reading.texts or reading.conversations
    assert not reading.problems
    assert all(text.text.strip() and json.dumps(text.meta) for text in reading.texts)
    assert reader.read(content) == reading


@pytest.mark.parametrize("suffix", {reader.read: suffix for suffix, reader in READERS.items()}.values())
@given(content=st.binary(max_size=200))
def test_reads_or_refuses_any_bytes(suffix: str, content: bytes) -> None:
    with suppress(Refused):
        assert isinstance(READERS[suffix].read(content), Reading)


@pytest.mark.parametrize("suffix", READERS)
def test_a_name_in_any_case_finds_its_format(suffix: str) -> None:
    assert format_of(f"raw/a.b/NAME{suffix.upper()}") is READERS[suffix]


def test_every_suffix_belongs_to_one_language() -> None:
    suffixes = [suffix for suffixes in SOURCE_CODE.values() for suffix in suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert READERS[".py"].language == "python"
    assert READERS[".md"].language == "und"


def test_an_unknown_suffix_is_skipped_and_named() -> None:
    with pytest.raises(Refused, match=r"unsupported format \.xyz") as caught:
        format_of("raw/a.xyz")
    assert caught.value.outcome == Outcome.SKIPPED
