"""HTML, through lxml, in the tolerant way of its libxml2, as a run of events without a tree.

html.parser needs quadratic time for tags that do not end (60 kB of `<a ` took 100 s with Python 3.11.7) and
does not know which elements end without an end tag. XHTML is read as XML, since `<title/>` would swallow an
HTML page, and as HTML where it is broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from bhasa.documents.readers.charsets import decode_declared
from bhasa.documents.readers.page import Page
from bhasa.documents.readers.xml_events import MAX_DEPTH, parse
from bhasa.documents.records import Refused, Text, quarantined

SNIFFED_BYTES = 2048  # where a declaration of the encoding is looked for; browsers stop at 1,024
DECLARED = re.compile(
    rb"""charset\s{0,9}=\s{0,9}["']?([\w.:-]{1,40})|<\?xml[^>]{0,99}?encoding=["']([\w.-]{1,40})""", re.I
)
# libxml2 takes it for a whole element, and browsers for a start tag: what follows is its code.
SELF_CLOSED_SCRIPT = re.compile(r"(<script(?![^<>]*\ssrc\s{0,9}=)[^<>]*)/>", re.I)


def read(content: bytes, name: str) -> Iterator[Text]:
    text = read_xhtml(content) if name.lower().endswith(".xhtml") else read_html(content)
    if not text.text:
        raise quarantined("HTML without text")
    yield text


def read_html(content: bytes) -> Text:
    declared = DECLARED.search(content[:SNIFFED_BYTES])
    label = (declared[1] or declared[2]).decode() if declared else None
    decoded = decode_declared(content, label)
    found = layout_html(decoded.text)
    return Text(found.text, {**found.meta, **decoded.meta})


def read_xhtml(content: bytes) -> Text:
    page = Page()
    try:
        parse(content, page)
    except Refused:
        return read_html(content)
    return page.finish()


def layout_html(html: str) -> Text:
    """The page as text, with its title and language."""
    target = _Target()
    # `huge_tree` lifts the limit on the length of one text; no tree is made.
    parser = etree.HTMLParser(target=target, huge_tree=True, encoding="utf-8")
    try:
        parser.feed(SELF_CLOSED_SCRIPT.sub(r"\1>", html).encode(errors="replace"))
        parser.close()
    except etree.LxmlError:  # of an empty page too
        raise quarantined("broken HTML") from None
    return target.page.finish()


class _Target:
    """What lxml reports to, with a limit on depth: an end tag is looked for among all open elements."""

    def __init__(self) -> None:
        self.page = Page()
        self.data = self.page.data
        self._depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise quarantined("HTML that is nested too deeply")
        self.page.start(tag, attributes)

    def end(self, tag: str) -> None:
        self._depth -= 1
        self.page.end(tag)

    def close(self) -> None:
        """lxml asks for it."""
