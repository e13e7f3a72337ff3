import pytest

from bhasa.documents.readers.plain import decode, read
from bhasa.documents.records import Refused, Text


def test_the_bytes_are_the_text_and_meta_says_their_encoding() -> None:
    assert list(read("naïve".encode(), "a.txt")) == [Text("naïve", {"encoding": "utf-8"})]


def test_meta_says_how_many_characters_were_replaced() -> None:
    (record,) = read(("naïve café " * 9).encode() + b"\xff", "a.txt")
    assert record.meta == {"encoding": "utf-8", "replaced": 1}


def test_what_cannot_be_decoded_is_refused() -> None:
    with pytest.raises(Refused, match="binary data"):
        list(read(b"\0\1\2", "a.txt"))


def test_other_readers_get_text_and_encoding() -> None:
    assert decode("naïve".encode()) == ("naïve", "utf-8")
