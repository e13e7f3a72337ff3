"""DOCX (ECMA-376, WordprocessingML): paragraphs, lists with their numbers, tables, notes and text boxes.

Text that is deleted or moved away and hidden text are left out, and what is there twice, for programs that
know a feature and for those that do not, is taken once. Notes follow the text; the text of a box follows its
paragraph. Heads and feet of pages and comments are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bhasa.documents.readers.docx_numbering import Numbering
from bhasa.documents.readers.layout import Layout, raised
from bhasa.documents.readers.numbering import integer
from bhasa.documents.readers.packaging import Alternatives, Package, diagram
from bhasa.documents.readers.symbol_font import symbol
from bhasa.documents.readers.xml_events import Element, elements, parse
from bhasa.documents.records import Text, quarantined

LEFT_OUT = {
    *("del", "moveFrom", "delText", "delInstrText", "instrText"),
    *("sdtPr", "sectPr", "tblPr", "tcPr", "tblGrid", "docPr", "cNvPr"),
}
PROPERTIES = {"pPr", "rPr", "trPr", "dPr", "naryPr"}
NOTES = {"footnote", "endnote"}
CHARACTERS = {"tab": "\t", "ptab": "\t", "cr": "\n", "noBreakHyphen": "-", "den": "/", "sup": "^", "sub": "_"}
INTEGRAL = "\u222b"
INDENT = "   "
FALSE = ("0", "false", "off")


def read(content: bytes, name: str) -> Iterator[Text]:
    package = Package(content)
    if not package.main:
        raise quarantined("office file without a main part")
    numbering = Numbering(_elements(package, "numbering"), _elements(package, "styles"))
    notes = _Document(numbering, {}, {})
    for kind in ("footnotes", "endnotes"):
        if part := package.only(package.main, kind):
            parse(package.read(part), notes)
    document = _Document(numbering, notes.notes, _diagrams(package))
    parse(package.read(package.main), document)
    text = document.finish()
    if not text:
        raise quarantined("DOCX without text")
    yield Text(text, package.meta())


def _elements(package: Package, kind: str) -> list[Element]:
    part = package.only(package.main, kind)
    return elements(package.read(part)) if part else []


def _diagrams(package: Package) -> dict[str, list[str]]:
    related = package.related(package.main).items()
    return {key: diagram(package.read(one.member)) for key, one in related if one.kind == "diagramData"}


@dataclass
class _Paragraph:
    style: str = ""
    list_id: str = ""
    level: int | None = None
    marker: str | None = None
    """Of an item of a list; its text has begun when it is open."""
    indent: str = ""
    begun: bool = False
    is_drop_cap: bool = False
    """The first letter of the next one."""
    boxes: list[list[str]] = field(default_factory=list)


class _Document:
    """Lays out the elements of the main part, or each note of a part that holds notes."""

    def __init__(
        self, numbering: Numbering, notes: dict[str, list[str]], diagrams: dict[str, list[str]]
    ) -> None:
        self.notes = notes
        self._diagrams = diagrams
        self._numbering = numbering
        self._layout = Layout()
        self._left_out = 0  # elements open in one that is left out
        self._properties: list[str] = []  # elements open of a list of properties, outermost first
        self._paragraphs: list[_Paragraph] = []
        self._is_text = False
        self._is_hidden = False
        self._is_raised = False
        self._after_item = self._after_drop_cap = False
        self._rows: list[bool] = []  # open ones, outermost first: whether they are deleted
        self._alternatives = Alternatives()
        self._reading: list[str] = []  # of a ruby, which comes before what it stands over
        self._delimiters: list[list[str]] = []  # what comes next around the arguments of a formula's brackets
        self._operator = INTEGRAL
        self._references: list[str] = []

    def finish(self) -> str:
        for number, key in enumerate(self._references, start=1):
            self._layout.end_block(1)
            self._layout.open_item(f"[{number}] ")
            first, *others = self.notes.get(key) or [""]
            self._layout.add_lines([first.lstrip(), *others])
            self._layout.close_item()
        return self._layout.finish()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._properties:
            if not any(name.endswith("Change") for name in self._properties):  # what they were before
                self._property(tag, attributes)
            self._properties.append(tag)
        elif self._left_out or tag in LEFT_OUT or self._alternatives.are_taken(tag):
            self._left_out += 1
        elif tag in PROPERTIES:
            self._properties.append(tag)
        elif tag in CHARACTERS:
            self._write(CHARACTERS[tag])
        else:
            self._open(tag, attributes)

    def end(self, tag: str) -> None:
        if self._properties:
            self._properties.pop()
            if not self._properties:
                self._apply(tag)
        elif self._left_out:
            self._left_out -= 1
        else:
            self._close(tag)

    def data(self, text: str) -> None:
        if self._is_text and not (self._left_out or self._is_hidden):
            text = text.replace("\n", " ")
            self._write(raised(text) if self._is_raised else text)

    def _open(self, tag: str, attributes: dict[str, str]) -> None:
        match tag:
            case "t":
                self._is_text = True
            case "r":
                self._is_hidden = self._is_raised = False
            case "p":
                self._paragraphs.append(_Paragraph())
                if not self._after_drop_cap:
                    self._layout.end_block()
            case "br" if attributes.get("type", "textWrapping") == "textWrapping":
                self._write("\n")
            case "sym":
                self._write(symbol(attributes.get("font", ""), attributes.get("char", "")))
            case "tbl":
                self._layout.end_block(1)
            case "tr":
                self._layout.open_row()
                self._rows.append(False)
            case "tc":
                self._layout.open_cell()
            case "txbxContent" | "rt":
                self._layout.open_area()
            case "relIds":
                self._add_box(self._diagrams.get(attributes.get("r:dm", ""), []))
            case "footnoteReference" | "endnoteReference":
                self._refer(tag.removesuffix("Reference") + attributes.get("id", ""))
            case "footnote" | "endnote":
                self._layout.open_area()
                self._references.append(tag + attributes.get("id", ""))
            case "AlternateContent":
                self._alternatives.open()
            case "d":
                self._delimiters.append(["(", "|", ")"])
            case "e" if self._delimiters:
                self._write(self._delimiters[-1][0])
                self._delimiters[-1][0] = self._delimiters[-1][1]

    def _close(self, tag: str) -> None:
        match tag:
            case "t":
                self._is_text = False
            case "p":
                self._end_paragraph()
            case "tbl":
                self._layout.end_block(1)
                self._after_item = False
            case "tr":
                if self._rows.pop():
                    self._layout.close_area()
                else:
                    self._layout.close_row()
            case "tc":
                self._layout.close_cell()
            case "txbxContent":
                self._add_box(self._layout.close_area())
            case "rt":
                self._reading = self._layout.close_area()
            case "rubyBase" if self._reading:
                self._write(f"({''.join(self._reading)})")
                self._reading = []
            case "footnote" | "endnote":
                self.notes[self._references.pop()] = self._layout.close_area()
            case "AlternateContent":
                self._alternatives.close()
            case "d":
                self._write(self._delimiters.pop()[2])

    def _property(self, tag: str, attributes: dict[str, str]) -> None:
        value = attributes.get("val", "")
        paragraph = self._paragraphs[-1] if self._paragraphs else _Paragraph()
        match self._properties[0], tag:
            case "pPr", "pStyle":
                paragraph.style = value
            case "pPr", "numId":
                paragraph.list_id = value
            case "pPr", "ilvl":
                paragraph.level = integer(value, 0)
            case "pPr", "framePr":
                paragraph.is_drop_cap = attributes.get("dropCap", "none") != "none"
            case "rPr", "vanish" if value not in FALSE:
                self._is_hidden = True
            case "rPr", "vertAlign":
                self._is_raised = value == "superscript"
            case "trPr", "del" if self._rows:
                self._rows[-1] = True
            case "dPr", "begChr" if self._delimiters:
                self._delimiters[-1][0] = value
            case "dPr", "sepChr" if self._delimiters:
                self._delimiters[-1][1] = value
            case "dPr", "endChr" if self._delimiters:
                self._delimiters[-1][2] = value
            case "naryPr", "chr":
                self._operator = value

    def _apply(self, properties: str) -> None:
        if properties == "pPr" and self._paragraphs:
            self._number(self._paragraphs[-1])
        elif properties == "naryPr":
            self._write(self._operator)
            self._operator = INTEGRAL

    def _number(self, paragraph: _Paragraph) -> None:
        style = self._numbering.style(paragraph.style)
        level = paragraph.level if paragraph.level is not None else style.level or 0
        marker = self._numbering.marker(paragraph.list_id or style.list_id, level)
        if marker:
            paragraph.marker = f"{marker} "
            paragraph.indent = "" if style.is_heading else INDENT * level

    def _write(self, text: str) -> None:
        if self._paragraphs and not self._paragraphs[-1].begun:
            self._begin(self._paragraphs[-1])
        self._layout.text(text)

    def _begin(self, paragraph: _Paragraph) -> None:
        paragraph.begun = True
        is_item = paragraph.marker is not None
        if not self._after_drop_cap:
            self._layout.end_block(0 if is_item and self._after_item else 1)
        self._after_item, self._after_drop_cap = is_item, paragraph.is_drop_cap
        if paragraph.marker is not None:
            self._layout.open_item(paragraph.indent + paragraph.marker)

    def _end_paragraph(self) -> None:
        paragraph = self._paragraphs.pop()
        if paragraph.begun and paragraph.marker is not None:
            self._layout.close_item()
        elif paragraph.begun and not paragraph.is_drop_cap:
            self._layout.end_block(1)
        for box in paragraph.boxes:
            self._layout.add_lines(box, gap=1)

    def _add_box(self, lines: list[str]) -> None:
        if self._paragraphs:
            self._paragraphs[-1].boxes.append(lines)
        else:
            self._layout.add_lines(lines, gap=1)

    def _refer(self, key: str) -> None:
        if key in self.notes:
            self._references.append(key)
            self._write(f"[{len(self._references)}]")
