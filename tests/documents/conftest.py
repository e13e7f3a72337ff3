import io
from collections.abc import Callable

import pytest
from pypdf import PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject, StreamObject


def pdf_of(
    *contents: bytes, password: str | None = None, compress: bool = False, **about: str | bytes
) -> bytes:
    """A PDF of a page for each content stream, in which /F1 is Helvetica.

    `about` is the title and the like, or `glyphs`: names of the glyphs from code 1 on in /F2.
    """
    writer = PdfWriter()
    glyphs = str(about.pop("glyphs", ""))
    fonts = DictionaryObject({NameObject("/F1"): writer._add_object(_font())})
    fonts[NameObject("/F2")] = writer._add_object(_font(glyphs))
    resources = writer._add_object(DictionaryObject({NameObject("/Font"): fonts}))
    for content in contents:
        page = writer.add_blank_page(width=595, height=842)
        page[NameObject("/Resources")] = resources
        stream = StreamObject()
        stream.set_data(content)
        page[NameObject("/Contents")] = writer._add_object(stream.flate_encode() if compress else stream)
    writer.add_metadata({f"/{name}": value for name, value in about.items()})
    if password is not None:
        writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def _font(glyphs: str = "") -> DictionaryObject:
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    named = DictionaryObject({NameObject(key): NameObject(value) for key, value in font.items()})
    if glyphs:
        names = map(NameObject, glyphs.split())
        differences = ArrayObject([NumberObject(1), *names])
        named[NameObject("/Encoding")] = DictionaryObject({NameObject("/Differences"): differences})
    return named


@pytest.fixture(scope="session")
def make_pdf() -> Callable[..., bytes]:
    return pdf_of


@pytest.fixture(scope="session")
def text_pdf() -> bytes:
    return pdf_of(b"BT /F1 12 Tf 72 720 Td (" + b"The state is a small notebook. " * 3 + b") Tj ET")
