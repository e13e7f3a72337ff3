"""XML: what is written for people as its text, any other as the source that it is.

A document has an element in which words stand beside elements, as in DocBook, TEI and manuals. Its text comes
out without mark-up, entities resolved: children of such an element in the line, others on lines of their own.
Configuration and data have no such element; there the names and attributes are part of what is seen. So stays
XML that is broken, that defines entities, which can grow without bound, or that is nested deeper than
`MAX_DEPTH`. Nothing outside the file is ever opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from bhasa.documents.readers.charsets import decode_declared
from bhasa.documents.records import Text

DECLARATION = re.compile(rb"""<\?xml[^>]{0,80}?\sencoding\s{0,9}=\s{0,9}["']([\w.-]{1,40})["']""")
VERBATIM = {"programlisting", "screen", "literallayout", "synopsis", "pre", "codeblock", "eg"}
BREAKS = {"br", "lb"}
BLANKS = re.compile(r"\s+")
MAX_DEPTH = 200  # text is copied once a level


def read(content: bytes, name: str) -> Iterator[Text]:
    declared = DECLARATION.match(content)
    decoded = decode_declared(content, declared[1].decode() if declared else None)
    text, meta = decoded.text, decoded.meta
    seen = None if "<!ENTITY" in text else _Reader().text_of(text)
    yield Text(text, meta, language="xml") if seen is None else Text(seen, meta)


class TooDeep(Exception):
    pass


@dataclass
class Element:
    name: str
    verbatim: bool
    pieces: list[str] = field(default_factory=list)
    has_words: bool = False
    children: int = 0

    @property
    def is_block(self) -> bool:
        """Whether all its text is in elements inside it."""
        return bool(self.children) and not self.has_words

    @property
    def text(self) -> str:
        if self.is_block:
            return "\n".join(stripped for piece in self.pieces if (stripped := piece.strip("\n ")))
        return "\n" if self.name in BREAKS else "".join(self.pieces)


class _Reader:
    """Collects the text of each element from those inside it, the innermost first."""

    def __init__(self) -> None:
        self.open: list[Element] = [Element("", verbatim=False)]
        self.is_document = False

    def text_of(self, source: str) -> str | None:
        """None when it is no document."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._words
        try:
            parser.Parse(source, True)
        except (expat.ExpatError, TooDeep, ValueError):  # the last for half a surrogate pair
            return None
        return self.open[0].text if self.is_document else None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) > MAX_DEPTH:
            raise TooDeep
        local = name.rpartition(":")[2]
        preserved = attributes.get("xml:space") == "preserve"
        self.open.append(Element(local, preserved or local in VERBATIM or self.open[-1].verbatim))

    def _end(self, name: str) -> None:
        element = self.open.pop()
        parent = self.open[-1]
        parent.children += 1
        self.is_document |= element.has_words and element.children > 0
        apart = element.is_block or (element.verbatim and not parent.verbatim)
        parent.pieces.append(f"\n{element.text}\n" if apart else element.text)

    def _words(self, text: str) -> None:
        element = self.open[-1]
        element.has_words |= not text.isspace()
        element.pieces.append(text if element.verbatim else BLANKS.sub(" ", text))
