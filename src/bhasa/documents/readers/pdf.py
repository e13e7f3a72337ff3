"""PDF through pdfium, and a page through pypdf where pdfium finds nothing on it, or nothing that is text.

A file is one text. A page of glyph names or of characters without meaning is refused alone. Work is counted:
pages and characters of the file, objects of a page, and all that pypdf, which is slower, does. The order of
lines, tables and columns is that of pdfium, which follows the file's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pypdfium2 as pdfium
from pypdfium2 import raw

from bhasa.documents.readers.pdf_second_opinion import SecondOpinion
from bhasa.documents.readers.pdf_text import fault_of, running_text
from bhasa.documents.records import Record, Refused, Text, quarantined

MAX_PAGES = 20_000
MAX_PAGE_OBJECTS = 1_000_000
MAX_PAGE_CHARACTERS = 4 << 20
MAX_CHARACTERS = 64 << 20
MAX_META = 200  # characters of a title
DATE = re.compile(r"D?:?(\d{4})(\d\d)?(\d\d)?")


def read(content: bytes, name: str) -> Iterator[Record | Refused]:
    second = SecondOpinion(content)
    try:
        with pdfium.PdfDocument(content) as document:
            pages = list(_pages(document, len(document), second))
            known = document.get_metadata_dict(skip_empty=True)
    except pdfium.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise quarantined("encrypted PDF") from None
        pages = list(_pages(None, second.count_pages(), second))
        known = second.metadata()
    refused = [page for page in pages if isinstance(page, Refused)]
    text, repairs = running_text(["" if isinstance(page, Refused) else page for page in pages])
    if not text:
        reason = refused[0].reason if refused else "PDF without text"
        raise quarantined(second.missing_decoder or reason)
    yield from refused
    yield Text(text, {"pages": len(pages), **_meta(known), **repairs})


def _pages(document: pdfium.PdfDocument | None, count: int, second: SecondOpinion) -> Iterator[str | Refused]:
    characters = 0
    for number in range(count):
        if number == MAX_PAGES or characters > MAX_CHARACTERS:
            yield quarantined("PDF with too much text", f"page {number + 1} and after")
            return
        text, fault = _read_page(document, number) if document else ("", "PDF page that cannot be read")
        if fault or not text.strip():
            other = second.page(number)
            if other.strip() and not fault_of(other):
                text, fault = other, ""
        characters += len(text)
        yield quarantined(fault, f"page {number + 1}") if fault else text


def _read_page(document: pdfium.PdfDocument, number: int) -> tuple[str, str]:
    """The text, and what is wrong with it."""
    try:
        page = document[number]
    except pdfium.PdfiumError:
        return "", "PDF page that cannot be read"
    try:
        if raw.FPDFPage_CountObjects(page) > MAX_PAGE_OBJECTS:
            return "", "PDF page with too much on it"
        with closing(page.get_textpage()) as shown:
            if shown.count_chars() > MAX_PAGE_CHARACTERS:
                return "", "PDF page with too much on it"
            text = shown.get_text_bounded()
    except pdfium.PdfiumError:
        return "", "PDF page that cannot be read"
    finally:
        page.close()
    return text, fault_of(text)


def _meta(known: dict[str, str]) -> dict[str, str]:
    """Title, author and date of a file, where it says them."""
    meta = {key.lower(): _line(known.get(key, "")) for key in ("Title", "Author")}
    if date := DATE.match(known.get("CreationDate", "")):
        meta["date"] = "-".join(filter(None, date.groups()))
    return {key: value for key, value in meta.items() if value}


def _line(value: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in value[: 2 * MAX_META])
    return " ".join(shown.split())[:MAX_META]
