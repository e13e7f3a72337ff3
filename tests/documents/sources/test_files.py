from functools import partial

import pytest

from bhasa.documents.readers import READERS
from bhasa.documents.records import Outcome, Refused, skipped
from bhasa.documents.sources.files import FileSource, InputFile


def file(name: str, content: bytes, refusal: Refused | None = None) -> InputFile:
    return InputFile(name, len(content), partial(bytes, content), refusal)


@pytest.mark.parametrize("suffix", READERS)
def test_a_name_in_any_case_finds_its_format(suffix: str) -> None:
    named = file(f"raw/a.b/NAME{suffix.upper()}", b"")
    assert (named.media_type, named.language) == (READERS[suffix].media_type, READERS[suffix].language)


def test_content_is_read_anew_each_time() -> None:
    text = file("raw/a.txt", b"text")
    assert text.content() == text.content() == b"text"
    assert text.module == READERS[".txt"].module


def refusal(input_file: InputFile) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        input_file.content()
    return caught.value.outcome.value, caught.value.reason


def test_what_cannot_be_taken_is_one_refusal() -> None:
    unknown = file("raw/a.xyz", b"text")
    assert (unknown.media_type, unknown.language) == ("unknown", "und")
    assert refusal(unknown) == ("skipped", "unsupported format .xyz")
    unwanted = file("raw/a.txt", b"text", skipped("hidden"))
    assert unwanted.media_type == "unknown"
    assert refusal(unwanted) == ("skipped", "hidden")


def test_a_source_of_files_has_their_size() -> None:
    files = [file("raw/a.txt", b"abc"), file("raw/b.txt", b"de")]
    source = FileSource(files)
    assert source.size == 5
    assert list(source.partitions()) == files
    assert Outcome.SKIPPED == "skipped"
