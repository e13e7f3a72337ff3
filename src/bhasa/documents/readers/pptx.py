"""PPTX (ECMA-376, PresentationML): the slides in the order in which they are shown, each with its notes.

Shapes come in the order of the slide, which is from back to front. Numbers of slides, dates, heads and feet,
which are on every slide, are left out, and so are hidden slides, each of which is named.
"""

from __future__ import annotations

from collections.abc import Iterator

from bhasa.documents.readers.layout import Layout
from bhasa.documents.readers.numbering import (
    DECIMAL,
    LOWER_LETTER,
    LOWER_ROMAN,
    UPPER_LETTER,
    UPPER_ROMAN,
    integer,
    numeral,
)
from bhasa.documents.readers.packaging import Alternatives, Package, Related, diagram
from bhasa.documents.readers.xml_events import elements, parse
from bhasa.documents.records import Outcome, Refused, Text, quarantined

FURNITURE = {"sldNum", "dt", "ftr", "hdr", "sldImg"}  # placeholders that every slide has
STYLES = {
    "arabic": DECIMAL,
    "alphaLc": LOWER_LETTER,
    "alphaUc": UPPER_LETTER,
    "romanLc": LOWER_ROMAN,
    "romanUc": UPPER_ROMAN,
}
NUMBER_FORMS = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})", "Plain": "{}"}
INDENT = "   "
MAX_SLIDES = 20_000


def read(content: bytes, name: str) -> Iterator[Text | Refused]:
    package = Package(content)
    if not package.main:
        raise quarantined("office file without a main part")
    slides = _slides(package)
    if len(slides) > MAX_SLIDES:
        raise quarantined("PPTX with too many slides")
    texts = []
    for number, slide in enumerate(slides, start=1):
        try:
            texts.append(_slide(package, slide))
        except Refused as refused:
            yield Refused(refused.outcome, refused.reason, f"slide {number}")
    text = "\n\n".join(filter(None, texts))
    if not text:
        raise quarantined("PPTX without text")
    yield Text(text, {**package.meta(), "slides": len(slides)})


def _slides(package: Package) -> list[str]:
    related = package.related(package.main)
    listed = [
        one.attributes.get("r:id", "") for one in elements(package.read(package.main)) if one.tag == "sldId"
    ]
    return [related[key].member if key in related else "" for key in listed]


def _slide(package: Package, member: str) -> str:
    related = package.related(member)
    slide = _Slide(package, related)
    parse(package.read(member), slide)
    if slide.is_hidden:
        raise Refused(Outcome.SKIPPED, "hidden slide")
    text = slide.layout.finish()
    for one in related.values():
        if one.kind == "notesSlide":
            notes = _Slide(package, {})
            parse(package.read(one.member), notes)
            text = "\n\n".join(filter(None, [text, notes.layout.finish()]))
    return text


class _Slide:
    """Lays out the elements of a slide or of its notes."""

    def __init__(self, package: Package, related: dict[str, Related]) -> None:
        self.layout = Layout()
        self.is_hidden = False
        self._package, self._related = package, related
        self._left_out = 0  # elements open in one that is left out
        self._shapes: list[bool] = []  # open ones: whether they are left out
        self._alternatives = Alternatives()
        self._is_text = False
        self._has_item = False
        self._level = 0
        self._counts: dict[int, int] = {}  # of numbered paragraphs, by level

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._left_out or self._alternatives.are_taken(tag):
            self._left_out += 1
            return
        match tag:
            case "sld":
                self.is_hidden = attributes.get("show") in ("0", "false")
            case "sp":
                self._shapes.append(False)
            case "ph" if self._shapes and attributes.get("type") in FURNITURE:
                self._shapes[-1] = True
            case "txBody":
                self._counts.clear()
                self.layout.end_block(1)
            case "p":
                self._has_item, self._level = False, 0
                self.layout.end_block()
            case "pPr":
                self._level = min(max(integer(attributes.get("lvl"), 0), 0), 8)
            case "buAutoNum":
                self._number(attributes)
            case "buChar":
                self._open_item("-")
            case "t":
                self._is_text = True
            case "br":
                self.layout.text("\n")
            case "tbl":
                self.layout.end_block(1)
            case "tr":
                self.layout.open_row()
            case "tc":
                self.layout.open_cell()
            case "AlternateContent":
                self._alternatives.open()
            case "relIds":
                self._add_diagram(attributes.get("r:dm", ""))

    def end(self, tag: str) -> None:
        if self._left_out:
            self._left_out -= 1
            return
        match tag:
            case "sp" if self._shapes:
                self._shapes.pop()
            case "t":
                self._is_text = False
            case "p":
                if self._has_item:
                    self.layout.close_item()
                self._has_item = False
                self.layout.end_block()
            case "txBody" | "tbl":
                self.layout.end_block(1)
            case "tr":
                self.layout.close_row()
            case "tc":
                self.layout.close_cell()
            case "AlternateContent":
                self._alternatives.close()

    def data(self, text: str) -> None:
        if self._is_text and not self._left_out and not any(self._shapes[-1:]):
            self.layout.text(text.replace("\n", " ").replace("\v", "\n"))

    def _number(self, attributes: dict[str, str]) -> None:
        kind = attributes.get("type", "arabicPeriod")
        name = next((name for name in STYLES if kind.startswith(name)), "arabic")
        start = integer(attributes.get("startAt"), 1)
        value = self._counts.get(self._level, start - 1) + 1
        self._counts = {level: count for level, count in self._counts.items() if level < self._level}
        self._counts[self._level] = value
        form = NUMBER_FORMS.get(kind.removeprefix(name), "{}.")
        self._open_item(form.format(numeral(value, STYLES[name])))

    def _open_item(self, marker: str) -> None:
        if not self._has_item:
            self.layout.open_item(f"{INDENT * self._level}{marker} ")
            self._has_item = True

    def _add_diagram(self, key: str) -> None:
        if key in self._related:
            self.layout.add_lines(diagram(self._package.read(self._related[key].member)), gap=1)
