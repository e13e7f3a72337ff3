"""Markers of numbered paragraphs in DOCX: `numbering.xml` and the numbering of styles (ECMA-376, 17.9).

A paragraph names a list and a level; a level says how numbers look, where they start and what starts them
anew. Lists that share a definition go on counting from one another unless they say where they start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from bhasa.documents.readers.numbering import (
    DECIMAL,
    LOWER_LETTER,
    LOWER_ROMAN,
    UPPER_LETTER,
    UPPER_ROMAN,
    integer,
    numeral,
)
from bhasa.documents.readers.xml_events import Element

LEVELS = 9
STYLES = {
    "lowerLetter": LOWER_LETTER,
    "upperLetter": UPPER_LETTER,
    "lowerRoman": LOWER_ROMAN,
    "upperRoman": UPPER_ROMAN,
}
PLACE = re.compile("%([1-9])")
MAX_MARKER = 60  # characters


@dataclass
class Level:
    start: int = 1
    kind: str = "decimal"
    text: str = ""
    restart: int | None = None
    """After which level, counted from 1, its numbers begin anew; None: any above it, 0: none."""
    legal: bool = False
    """All numbers in its text are decimal."""


@dataclass
class _Definition:
    levels: dict[int, Level] = field(default_factory=dict)
    style_link: str = ""
    """The style whose list has the levels."""


@dataclass
class _List:
    definition: str = ""
    levels: dict[int, Level] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)


@dataclass
class Style:
    based_on: str = ""
    list_id: str = ""
    level: int | None = None
    is_heading: bool = False


class Numbering:
    def __init__(self, numbering: Iterable[Element], styles: Iterable[Element]) -> None:
        self._definitions: dict[str, _Definition] = {}
        self._lists: dict[str, _List] = {}
        self._collect(numbering)
        self._styles = _styles(styles)
        self._counts: dict[int, list[int | None]] = {}
        self._started: set[tuple[str, int]] = set()

    def style(self, name: str) -> Style:
        """With what it inherits."""
        found = Style()
        for _ in range(20):  # styles may be based on one another in a circle
            style = self._styles.get(name)
            if style is None:
                break
            found.list_id = found.list_id or style.list_id
            found.level = style.level if found.level is None else found.level
            found.is_heading = found.is_heading or style.is_heading
            name = style.based_on
        return found

    def marker(self, list_id: str, level: int) -> str:
        """Of the next paragraph of this list and level, such as `2.b)`; empty where none is shown."""
        one = self._lists.get(list_id)
        if one is None or not 0 <= level < LEVELS:
            return ""
        definition = self._definition(one)
        levels = [one.levels.get(n) or definition.levels.get(n, Level()) for n in range(LEVELS)]
        counts = self._counts.setdefault(id(definition), [None] * LEVELS)
        _count(levels, counts, level, self._start(list_id, one, level))
        if levels[level].kind == "bullet":
            return "-"
        return _text(levels, counts, level)[:MAX_MARKER].strip()

    def _definition(self, one: _List) -> _Definition:
        definition = self._definitions.setdefault(one.definition, _Definition())
        linked = self._lists.get(self.style(definition.style_link).list_id)
        return self._definitions.get(linked.definition, definition) if linked else definition

    def _start(self, list_id: str, one: _List, level: int) -> int | None:
        """Where the list says it begins, the first time that it is used."""
        if level not in one.starts or (list_id, level) in self._started:
            return None
        self._started.add((list_id, level))
        return one.starts[level]

    def _collect(self, numbering: Iterable[Element]) -> None:
        definition, one, level, number = _Definition(), _List(), Level(), 0
        levels = definition.levels
        for element in numbering:
            attributes, value = element.attributes, element.attributes.get("val", "")
            match element.tag:
                case "abstractNum":
                    definition = self._definitions[attributes.get("abstractNumId", "")] = _Definition()
                    levels = definition.levels
                case "numStyleLink":
                    definition.style_link = value
                case "num":
                    one = self._lists[attributes.get("numId", "")] = _List()
                    levels = one.levels
                case "abstractNumId":
                    one.definition = value
                case "lvlOverride":
                    number = integer(attributes.get("ilvl"), 0)
                case "startOverride":
                    one.starts[number] = integer(value, 1)
                case "lvl":
                    level = levels[integer(attributes.get("ilvl"), 0)] = Level()
                case "start":
                    level.start = integer(value, 1)
                case "numFmt":
                    level.kind = value
                case "lvlText":
                    level.text = value
                case "lvlRestart":
                    level.restart = integer(value, 0)
                case "isLgl":
                    level.legal = value not in ("0", "false")


def _count(levels: list[Level], counts: list[int | None], level: int, start: int | None) -> None:
    current = counts[level]
    if start is not None:
        counts[level] = start
    else:
        counts[level] = levels[level].start if current is None else current + 1
    for above in range(level):
        if counts[above] is None:
            counts[above] = levels[above].start
    for below in range(level + 1, LEVELS):
        restart = levels[below].restart
        if restart is None or level < restart:
            counts[below] = None


def _text(levels: list[Level], counts: list[int | None], level: int) -> str:
    def shown(place: re.Match[str]) -> str:
        number = int(place[1]) - 1
        one = levels[number]
        value = counts[number]
        if one.kind == "none" or value is None:
            return ""
        if one.kind == "decimalZero":
            return f"{value:02}"
        return numeral(value, DECIMAL if levels[level].legal else STYLES.get(one.kind, DECIMAL))

    return PLACE.sub(shown, levels[level].text)


def _styles(elements: Iterable[Element]) -> dict[str, Style]:
    found: dict[str, Style] = {}
    style = Style()
    for element in elements:
        value = element.attributes.get("val", "")
        match element.tag:
            case "style":
                style = found[element.attributes.get("styleId", "")] = Style()
            case "basedOn":
                style.based_on = value
            case "numId":
                style.list_id = value
            case "ilvl":
                style.level = integer(value, 0)
            case "outlineLvl":
                style.is_heading = True
    return found
