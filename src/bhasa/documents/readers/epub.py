"""EPUB: the chapters in the order of the spine, as one text.

The page that lists the contents is left out, since it repeats the headings. Fonts may be scrambled; a chapter
that is encrypted makes the book unreadable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import dirname, join, normpath
from urllib.parse import unquote

from bhasa.documents.readers.hypertext import read_xhtml
from bhasa.documents.readers.page import MAX_META
from bhasa.documents.readers.xml_events import Element, elements
from bhasa.documents.readers.zipped import Zip
from bhasa.documents.records import Refused, Text, quarantined

CONTAINER, ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
METADATA = ("title", "language", "date")  # of Dublin Core
MAX_CHAPTERS = 20_000


@dataclass
class _Book:
    meta: dict[str, str]
    chapters: list[str]
    """Names of members; empty where the spine names what the book does not list."""


def read(content: bytes, name: str) -> Iterator[Text | Refused]:
    package = Zip(content)
    book = _book(package)
    if _encrypted(package) & set(book.chapters):
        raise quarantined("encrypted EPUB")
    texts = []
    for number, chapter in enumerate(book.chapters, start=1):
        try:
            texts.append(read_xhtml(package.read(chapter)).text)
        except Refused as refused:
            yield quarantined(refused.reason, f"chapter {number}")
    text = "\n\n".join(filter(None, texts))
    if not text:
        raise quarantined("EPUB without text")
    yield Text(text, book.meta)


def _book(package: Zip) -> _Book:
    place = _package_document(package)
    listed = elements(package.read(place))
    items = {one.attributes.get("id", ""): one.attributes for one in listed if one.tag == "item"}
    spine = [items.get(one.attributes.get("idref", ""), {}) for one in listed if one.tag == "itemref"]
    if len(spine) > MAX_CHAPTERS:
        raise quarantined("EPUB with too many chapters")
    chapters = [_member(place, item.get("href", "")) for item in spine if _is_chapter(item)]
    return _Book(_meta(listed), list(dict.fromkeys(chapters)))


def _is_chapter(item: dict[str, str]) -> bool:
    """And not the list of contents or a picture."""
    is_picture = item.get("media-type", "").startswith("image/") and item["media-type"] != "image/svg+xml"
    return not is_picture and "nav" not in item.get("properties", "").split()


def _package_document(package: Zip) -> str:
    roots = [one.attributes.get("full-path", "") for one in elements(package.read(CONTAINER))]
    found = [root for root in roots if root]
    if not found:
        raise quarantined("EPUB without a package document")
    return found[0]


def _meta(listed: list[Element]) -> dict[str, str]:
    """The first of each, which is the main one."""
    found: dict[str, str] = {}
    for one in listed:
        if one.tag in METADATA and (text := " ".join(one.text.split())[:MAX_META]):
            found.setdefault(one.tag, text)
    return found


def _encrypted(package: Zip) -> set[str]:
    if ENCRYPTION not in package:
        return set()
    references = [one.attributes.get("URI", "") for one in elements(package.read(ENCRYPTION))]
    return {_member("", reference) for reference in references if reference}


def _member(place: str, reference: str) -> str:
    """The member that a reference in `place` points to."""
    return normpath(join(dirname(place), unquote(reference.partition("#")[0]))) if reference else ""
