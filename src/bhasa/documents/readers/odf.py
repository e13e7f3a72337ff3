"""OpenDocument text and presentations (ODF 1.3): ODT and ODP, and FODT and FODP, which are one XML file.

Deleted text and comments are left out. Notes follow the text; the text of a box follows its paragraph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bhasa.documents.readers.layout import Layout
from bhasa.documents.readers.numbering import integer
from bhasa.documents.readers.odf_lists import Lists, ListStyles
from bhasa.documents.readers.page import MAX_META
from bhasa.documents.readers.xml_events import elements, parse
from bhasa.documents.readers.zipped import Zip
from bhasa.documents.records import Text, quarantined

MANIFEST = "META-INF/manifest.xml"
META = {"title": "title", "language": "language", "creation-date": "date"}
LEFT_OUT = {
    *(
        "tracked-changes",
        "annotation",
        "svg:title",
        "svg:desc",
        "hidden-text",
        "script",
        "binary-data",
        "forms",
    ),
    *("settings", "scripts", "master-styles", "meta"),
}
FURNITURE = {"page-number", "date-time", "header", "footer", "page"}  # what every page of a presentation has
SHAPES = {
    *("custom-shape", "rect", "circle", "ellipse", "line", "polyline", "polygon", "regular-polygon", "path"),
    *("connector", "caption", "measure"),
}
BOXES = {"text-box", *SHAPES}
MAX_SPACES = 1000  # of one element that stands for so many
MAX_REPEATED = 64
MAX_REPEATED_CHARACTERS = 100


def read(content: bytes, name: str) -> Iterator[Text]:
    styles = ListStyles()
    meta: dict[str, str] = {}
    if name.lower().endswith((".fodt", ".fodp")):
        body = content
        meta = _meta(content)
    else:
        package = Zip(content)
        if MANIFEST in package and any(e.tag == "encryption-data" for e in elements(package.read(MANIFEST))):
            raise quarantined("encrypted document")
        body = package.read("content.xml")
        if "styles.xml" in package:
            parse(package.read("styles.xml"), styles)
        if "meta.xml" in package:
            meta = _meta(package.read("meta.xml"))
    document = _Document(styles)
    parse(body, document)
    text = document.finish()
    if not text:
        raise quarantined("OpenDocument file without text")
    yield Text(text, meta)


def _meta(content: bytes) -> dict[str, str]:
    reader = _Meta()
    parse(content, reader)
    return reader.found


class _Meta:
    """What is in the element `meta`."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._is_open = False
        self._key = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._is_open |= tag == "meta"
        self._key = META.get(tag, "") if self._is_open else ""

    def end(self, tag: str) -> None:
        self._is_open &= tag != "meta"
        self._key = ""

    def data(self, text: str) -> None:
        if self._key:
            self.found[self._key] = (self.found.get(self._key, "") + text)[:MAX_META]


@dataclass
class _Item:
    depth: int
    """Of the list that it is in."""
    start_value: str | None = None
    has_marker: bool = True
    is_open: bool = False
    """Once it has a paragraph of its own, for one that only holds another list has no number."""


@dataclass
class _Note:
    mark: str = ""
    lines: list[str] = field(default_factory=list)


class _Document:
    def __init__(self, styles: ListStyles) -> None:
        self._styles = styles
        self._lists = Lists(styles)
        self._layout = Layout()
        self._left_out = 0  # elements open in one that is left out
        self._paragraphs = 0  # open ones; text elsewhere is not shown
        self._items: list[_Item] = []
        self._boxes: list[list[list[str]]] = []  # of each open paragraph, to follow it
        self._repeats: list[int] = []  # of each open cell
        self._notes: list[_Note] = []

    def finish(self) -> str:
        for note in self._notes:
            self._layout.end_block(1)
            self._layout.open_item(f"{note.mark} ")
            self._layout.add_lines(note.lines)
            self._layout.close_item()
        return self._layout.finish()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._left_out or tag in LEFT_OUT or (tag == "frame" and attributes.get("class") in FURNITURE):
            self._left_out += 1
        elif tag in ("p", "h"):
            self._open_paragraph(tag, attributes)
        else:
            self._open(tag, attributes)

    def end(self, tag: str) -> None:
        if self._left_out:
            self._left_out -= 1
        else:
            self._close(tag)

    def data(self, text: str) -> None:
        if self._paragraphs and not self._left_out:
            self._layout.flow(text)

    def _open(self, tag: str, attributes: dict[str, str]) -> None:
        match tag:
            case "s":
                self._layout.text(" " * min(max(integer(attributes.get("c"), 1), 0), MAX_SPACES))
            case "tab":
                self._layout.text("\t")
            case "line-break":
                self._layout.text("\n")
            case "list":
                self._layout.end_block(0 if self._lists.depth else 1)
                self._lists.open(attributes)
            case "list-item":
                self._items.append(_Item(self._lists.depth, attributes.get("start-value")))
            case "list-header":
                self._items.append(_Item(self._lists.depth, has_marker=False))
            case "page" | "table":
                self._layout.end_block(1)
            case "table-row":
                self._layout.open_row()
            case "table-cell" | "covered-table-cell":
                self._layout.open_cell()
                self._repeats.append(integer(attributes.get("number-columns-repeated"), 1))
            case "note":
                self._notes.append(_Note())
            case "note-citation" | "note-body":
                self._layout.open_area()
            case "ruby-text":
                self._layout.text("(")
            case _ if tag in BOXES:
                self._layout.open_area()
            case _:
                self._styles.start(tag, attributes)

    def _close(self, tag: str) -> None:
        match tag:
            case "p" | "h":
                self._end_paragraph()
            case "list":
                self._lists.close()
                self._layout.end_block(0 if self._lists.depth else 1)
            case "list-item" | "list-header":
                if self._items.pop().is_open:
                    self._layout.close_item()
            case "page" | "table":
                self._layout.end_block(1)
            case "table-row":
                self._layout.close_row()
            case "table-cell" | "covered-table-cell":
                self._close_cell()
            case "note-citation":
                mark = f"[{' '.join(self._layout.close_area()).strip()}]"
                self._notes[-1].mark = mark
                self._layout.text(mark)
            case "note-body":
                self._notes[-1].lines = self._layout.close_area()
            case "ruby-text":
                self._layout.text(")")
            case _ if tag in BOXES:
                self._add_box(self._layout.close_area())

    def _open_paragraph(self, tag: str, attributes: dict[str, str]) -> None:
        item = self._items[-1] if self._items else None
        in_item = item is not None and item.depth == self._lists.depth
        self._layout.end_block(0 if in_item else 1)
        if item is not None and in_item and not item.is_open:
            marker = self._lists.next_item(item.start_value) if item.has_marker else ""
            self._layout.open_item(marker)
            item.is_open = True
        elif tag == "h" and not in_item:
            marker = self._lists.next_heading(integer(attributes.get("outline-level"), 1))
            if marker and attributes.get("is-list-header") != "true":
                self._layout.text(marker)
        self._paragraphs += 1
        self._boxes.append([])

    def _end_paragraph(self) -> None:
        self._paragraphs -= 1
        self._layout.end_block(0 if self._lists.depth else 1)
        for box in self._boxes.pop():
            self._layout.add_lines(box, gap=1)

    def _add_box(self, lines: list[str]) -> None:
        if self._boxes:
            self._boxes[-1].append(lines)
        else:
            self._layout.add_lines(lines, gap=1)

    def _close_cell(self) -> None:
        times = min(max(self._repeats.pop(), 1), MAX_REPEATED)
        lines = self._layout.close_area()
        is_short = sum(map(len, lines)) <= MAX_REPEATED_CHARACTERS and len(lines) <= 1
        self._layout.add_cell(lines, times if is_short else 1)
