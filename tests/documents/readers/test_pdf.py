from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec

import pytest
from pypdfium2 import PdfiumError

from bhasa.documents.readers import pdf
from bhasa.documents.readers.pdf import read
from bhasa.documents.readers.pdf_second_opinion import SecondOpinion
from bhasa.documents.records import Outcome, Refused, Text

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


def page_of(*lines: str, font: str = "F1") -> bytes:
    shown = "".join(f"({line}) Tj T* " for line in lines)
    return f"BT /{font} 12 Tf 14 TL 72 720 Td {shown}ET".encode()


def test_what_is_known_of_a_file_is_kept(make_pdf: MakePdf) -> None:
    about = {"Title": "On\tSalt " + "x" * 999, "Author": "", "CreationDate": "D:20240229120000+01'00'"}
    (text,) = read(make_pdf(page_of("Salt.", "Sea salt."), page_of("No more."), **about), "raw/a.pdf")
    assert isinstance(text, Text)
    assert text.text == "Salt.\nSea salt.\n\nNo more."
    assert text.meta == {"pages": 2, "title": ("On Salt " + "x" * 999)[:200], "date": "2024-02-29"}


def test_a_page_of_glyph_names_is_refused_alone(make_pdf: MakePdf) -> None:
    garbage = page_of(r"\1\2\3" * 30, font="F2")
    refused, text = read(make_pdf(page_of("Salt."), garbage, glyphs="/g3 /g4 /g5"), "raw/a.pdf")
    assert isinstance(refused, Refused)
    assert (refused.part, refused.reason) == ("page 2", "PDF page of control characters")
    assert isinstance(text, Text)
    assert text.text == "Salt."
    assert refusal(make_pdf(garbage, glyphs="/g3 /g4 /g5")) == refused.reason


def test_a_book_of_many_pages_is_read(make_pdf: MakePdf) -> None:
    pages = [page_of("A History of Salt", f"What page {n * 7} says.", str(n)) for n in range(1200)]
    (text,) = read(make_pdf(*pages), "raw/a.pdf")
    assert isinstance(text, Text)
    assert text.meta == {"pages": 1200, "running heads": 2399}
    assert text.text.count("What page") == 1200


def test_pages_beyond_the_limit_are_refused(make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_PAGES", 2)
    refused, text = read(make_pdf(*[page_of("Salt.")] * 4), "raw/a.pdf")
    assert isinstance(refused, Refused)
    assert (refused.part, refused.reason) == ("page 3 and after", "PDF with too much text")
    assert isinstance(text, Text)


def test_a_page_with_too_much_on_it_is_refused_alone(
    make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "MAX_PAGE_OBJECTS", 100)
    refused, _ = read(make_pdf(b"0 0 m 9 9 l S " * 101, page_of("Salt.")), "raw/a.pdf")
    assert isinstance(refused, Refused)
    assert (refused.part, refused.reason) == ("page 1", "PDF page with too much on it")


def test_pypdf_reads_where_pdfium_cannot(text_pdf: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(content: bytes) -> None:
        raise PdfiumError("no")

    monkeypatch.setattr(pdf.pdfium, "PdfDocument", fail)
    (text,) = read(text_pdf, "raw/a.pdf")
    assert isinstance(text, Text)
    assert text.text == ("The state is a small notebook. " * 3).strip()


def test_the_work_of_a_second_opinion_is_bounded(make_pdf: MakePdf) -> None:
    long = b"BT /F1 12 Tf 72 720 Td (Salt.) Tj " + b"0 0 Td " * 3000 + b"ET"
    second = SecondOpinion(make_pdf(*[long] * 3, *[page_of("Salt.")] * 60))
    assert second.page(0).strip() == "Salt."
    second._operators = 1000
    assert second.page(1) == second.page(2) == ""
    second._operators = 1_000_000
    assert sum(bool(second.page(number)) for number in range(3, 63)) == 50


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
