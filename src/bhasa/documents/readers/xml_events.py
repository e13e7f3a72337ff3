"""XML as a run of events, from the standard library's expat and without what makes XML dangerous.

Entities and defaults of attributes that the document declares itself can multiply, so they are refused; no
other file is ever looked at. Entities of HTML, which XHTML takes from a file elsewhere, are known by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from html.entities import html5
from typing import NoReturn, Protocol
from xml.parsers import expat

from bhasa.documents.records import quarantined

MAX_DEPTH = 2048  # of elements in one another
SEPARATOR = " "
OPEN_DOCUMENT_SVG = "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"


class Handler(Protocol):
    """Names are local, but where one means two things in a format: attributes that refer to parts of Office
    Open XML have `r:` before them, elements that OpenDocument has from SVG have `svg:`.
    """

    def start(self, tag: str, attributes: dict[str, str]) -> None: ...

    def end(self, tag: str) -> None: ...

    def data(self, text: str) -> None: ...


def parse(content: bytes, handler: Handler, encoding: str | None = None) -> None:
    """In time in proportion to the content, with no recursion. Calls of start and end are balanced.

    Without `encoding`, the document says which it is in. Raises `Refused` for what is not well formed.
    """
    depth = 0
    parser = expat.ParserCreate(encoding, SEPARATOR)
    parser.buffer_text = True
    parser.buffer_size = 1 << 16

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise quarantined("XML that is nested too deeply")
        named = {_attribute(key): value for key, value in attributes.items()} if attributes else attributes
        handler.start(_tag(name), named)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(_tag(name))

    def entity(name: str, is_parameter: bool) -> None:
        handler.data(html5.get(f"{name};", "\ufffd") if not is_parameter else "")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.SkippedEntityHandler = handler.data, entity
    parser.EntityDeclHandler = parser.AttlistDeclHandler = _refuse_declaration
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError):  # the last two: an encoding that Python lacks
        raise quarantined("broken XML") from None


def _tag(name: str) -> str:
    space, _, local = name.rpartition(SEPARATOR)
    return f"svg:{local}" if space == OPEN_DOCUMENT_SVG else local


def _attribute(key: str) -> str:
    space, _, local = key.rpartition(SEPARATOR)
    return f"r:{local}" if space.endswith("/relationships") else local


def _refuse_declaration(*_: object) -> NoReturn:
    raise quarantined("XML with declarations of its own")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""
    """Its own, before its first child."""


def elements(content: bytes) -> list[Element]:
    """All elements in the order of their start tags, for parts that list things."""
    listing = _Listing()
    parse(content, listing)
    return listing.found


class _Listing:
    def __init__(self) -> None:
        self.found: list[Element] = []
        self._text: list[str] | None = None  # of the last element, while it has no child and no end

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._close()
        self.found.append(Element(tag, attributes))
        self._text = []

    def end(self, tag: str) -> None:
        self._close()

    def data(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _close(self) -> None:
        if self._text is not None:
            self.found[-1].text = "".join(self._text)
            self._text = None
