import pytest

from bhasa.documents.readers.subtitles import read
from bhasa.documents.records import Refused


def text_of(content: str, name: str = "a.srt") -> str:
    (found,) = read(content.encode(), name)
    return found.text


def srt(*cues: str) -> str:
    return "\n".join(
        f"{number}\n00:00:{number:02},000 --> 00:00:{number + 1:02},000\n{cue}\n"
        for number, cue in enumerate(cues, start=1)
    )


def test_what_is_spoken_comes_without_numbers_times_and_tags() -> None:
    spoken = srt("<i>one</i> <font color='x'>two</font>\n{\\an8}three", "1999", "a &amp; b < c")
    assert text_of(spoken) == "one two\nthree\n1999\na & b < c"


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_any_line_ends_and_a_missing_empty_line(end: str) -> None:
    crowded = srt("a", "b").replace("\n\n", "\n")
    assert text_of(crowded.replace("\n", end)) == "a\nb"


def test_blocks_of_webvtt_that_are_not_spoken_are_left_out() -> None:
    content = (
        "WEBVTT - title\nKind: captions\n\nNOTE\nno --> way\n\nSTYLE\n::cue {}\n\nintro\n"
        "00:01.000 --> 00:02.000 align:start\n<v Fred><c.loud>Hi</c>&nbsp;<00:01.500>you\n\nNOTE no\n\n"
        "1:00:03.000 --> 1:00:04.000\nbye"
    )
    assert text_of(content, "a.vtt") == "Hi you\nbye"


def test_rolling_captions_come_once() -> None:
    assert text_of(srt("a", "a\nb", "b", "b\nc", "c\nd e")) == "a\nb\nc\nd e"


def test_what_is_said_twice_comes_twice() -> None:
    assert (
        text_of(srt("No.", "No.", "Yes.", "Never!", "Why?", "Why?")) == "No.\nNo.\nYes.\nNever!\nWhy?\nWhy?"
    )


@pytest.mark.parametrize("content", ["", "text alone", "00:01 --> 00:02\nx"])
def test_a_file_without_cues_is_refused(content: str) -> None:
    with pytest.raises(Refused, match="subtitles without a cue"):
        text_of(content)


def test_cues_without_text_are_refused() -> None:
    with pytest.raises(Refused, match="subtitles without text"):
        text_of(srt("<i></i>", ""))
