import io
from collections.abc import Callable

import pytest
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, StreamObject


def pdf_of(content: bytes, *, password: str | None = None, compress: bool = False) -> bytes:
    """A PDF of one page with this content stream, in which /F1 is Helvetica."""
    writer = PdfWriter()
    page = writer.add_blank_page(width=595, height=842)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = StreamObject()
    stream.set_data(content)
    stream = stream.flate_encode() if compress else stream
    page[NameObject("/Contents")] = writer._add_object(stream)
    if password is not None:
        writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


@pytest.fixture(scope="session")
def make_pdf() -> Callable[..., bytes]:
    return pdf_of


@pytest.fixture(scope="session")
def text_pdf() -> bytes:
    return pdf_of(b"BT /F1 12 Tf 72 720 Td (" + b"The state is a small notebook. " * 3 + b") Tj ET")


@pytest.fixture(scope="session")
def slow_pdf() -> bytes:
    """Some kilobytes that take a parser minutes."""
    return pdf_of(b"BT /F1 12 Tf " + b"1 0 Td (a) Tj " * 4_000_000 + b"ET", compress=True)
