from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec

import pytest

from bhasa.documents.readers.pdf import read
from bhasa.documents.records import Outcome, Refused

MakePdf = Callable[..., bytes]


def refusal(content: bytes) -> str:
    with pytest.raises(Refused) as caught:
        list(read(content, "raw/a.pdf"))
    assert caught.value.outcome == Outcome.QUARANTINED
    return caught.value.reason


def test_text_of_all_pages_is_read(text_pdf: bytes) -> None:
    (text,) = read(text_pdf, "raw/a.pdf")
    assert text.text.strip() == ("The state is a small notebook. " * 3).strip()
    assert text.meta == {"pages": 1}


def test_encrypted_pdf_is_refused_by_name(make_pdf: MakePdf) -> None:
    assert refusal(make_pdf(b"BT (x) Tj ET", password="secret")) == "encrypted PDF"


@pytest.mark.skipif(find_spec("brotli") is not None, reason="the decoder is installed")
def test_a_missing_decoder_is_not_taken_for_encryption(make_pdf: MakePdf) -> None:
    packed = make_pdf(b"BT (x) Tj ET").replace(b"/Length 12", b"/Filter /BrotliDecode /Length 12")
    assert refusal(packed) == "PDF that needs a decoder that is not installed"


def test_pdf_with_an_empty_password_is_read(make_pdf: MakePdf) -> None:
    locked = make_pdf(b"BT /F1 12 Tf 72 720 Td (anyone may read) Tj ET", password="")
    assert [text.text.strip() for text in read(locked, "raw/a.pdf")] == ["anyone may read"]


def test_pdf_without_text_is_refused(make_pdf: MakePdf) -> None:
    assert refusal(make_pdf(b"72 720 m 100 720 l S")) == "PDF without text"


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\nnothing more", b"\0" * 999, b"plain text"])
def test_what_is_no_pdf_is_refused_as_broken(content: bytes) -> None:
    assert refusal(content).startswith("broken PDF (")


def test_a_pdf_cut_anywhere_is_read_or_refused(text_pdf: bytes) -> None:
    for end in range(0, len(text_pdf), 40):
        with suppress(Refused):
            assert [text.text for text in read(text_pdf[:end], "raw/a.pdf")]
