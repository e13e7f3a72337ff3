"""The elements of HTML as text: what a browser shows, once and in order.

Left out: scripts, styles, templates, what stands in for media and scripts that do not run, what the page
itself hides, options that are not chosen, and the title, which goes to `meta`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bhasa.documents.readers.layout import WHITE_SPACE, Layout, raised
from bhasa.documents.readers.numbering import DECIMAL, integer, numeral
from bhasa.documents.records import Text

MAX_META = 300  # characters of a title

HIDDEN = {
    *("script", "style", "template", "noscript", "iframe", "noframes", "noembed", "audio", "video", "canvas"),
    *("select", "datalist", "rp", "desc", "metadata", "defs", "annotation", "annotation-xml"),
}
WHOLE = {"html", "body"}  # that are hidden until a script shows them
# Second copies of formulas, anchors that show under the mouse, words for screen readers.
HIDDEN_CLASSES = {"katex-html", "MathJax_Preview", "headerlink", "sr-only", "visually-hidden"}
HIDING_STYLE = re.compile(r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden", re.I)
NOTES = {"footnote", "endnote", "rearnote"}  # `epub:type` of what readers show in a window of its own

# Elements that begin and end a line, and the empty lines around them.
BLOCKS = {
    **dict.fromkeys(
        ("p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "blockquote", "hr", "figure", "dl"), 1
    ),
    **dict.fromkeys(("div", "section", "article", "main", "header", "footer", "nav", "aside", "address"), 0),
    **dict.fromkeys(("body", "form", "fieldset", "legend", "caption", "figcaption", "details", "summary"), 0),
    **dict.fromkeys(("dt", "dd", "center", "hgroup", "dialog", "option", "menu", "dir"), 0),
}


@dataclass
class _List:
    style: str | None = None
    """Of numbers; None: bullets."""
    value: int = 1
    step: int = 1


class Page:
    """Lays out the elements that a parser reports."""

    def __init__(self) -> None:
        self.title, self.language = "", ""
        self.layout = Layout()
        self._hidden = 0  # elements open in a hidden one
        self._verbatim = 0  # elements open that keep their white space
        self._raised = 0
        self._begins = False  # a newline that comes now is part of the source, not of the text
        self._in_title = False
        self._lists: list[_List] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._hidden or tag in HIDDEN or (attributes and tag not in WHOLE and _hides(attributes)):
            self._hidden += 1
            return
        if (gap := BLOCKS.get(tag)) is not None:
            self.layout.end_block(gap)
        if tag in OPENERS:
            OPENERS[tag](self, attributes)

    def end(self, tag: str) -> None:
        if self._hidden:
            self._hidden -= 1
            self._in_title = False
            return
        if tag in CLOSERS:
            CLOSERS[tag](self)
        if (gap := BLOCKS.get(tag)) is not None:
            self.layout.end_block(gap)

    def data(self, text: str) -> None:
        if self._in_title:
            self.title = (self.title + text)[: 4 * MAX_META]
        elif self._hidden:
            return
        elif self._verbatim:
            self.layout.text(text.removeprefix("\n") if self._begins else text)
            self._begins = False
        else:
            self.layout.flow(raised(text) if self._raised else text)

    def finish(self) -> Text:
        language = self.language.strip()[:35]
        title = WHITE_SPACE.sub(" ", self.title).strip()[:MAX_META]
        meta = {key: value for key, value in (("title", title), ("language", language)) if value}
        return Text(self.layout.finish(), meta)

    def open_html(self, attributes: dict[str, str]) -> None:
        self.language = attributes.get("lang") or attributes.get("xml:lang") or self.language

    def open_title(self, _: dict[str, str]) -> None:
        self._in_title = not self.title
        self._hidden += 1

    def open_list(self, attributes: dict[str, str], *, numbered: bool) -> None:
        self.layout.end_block(0 if self._lists else 1)
        # Counting down from an unknown number of items cannot be shown as they come.
        step = -1 if "reversed" in attributes and "start" in attributes else 1
        style = attributes.get("type", DECIMAL) if numbered else None
        self._lists.append(_List(style, integer(attributes.get("start"), 1), step))

    def close_list(self) -> None:
        self._lists.pop()
        self.layout.end_block(0 if self._lists else 1)

    def open_item(self, attributes: dict[str, str]) -> None:
        inner = self._lists[-1] if self._lists else _List()
        if inner.style is None:
            self.layout.open_item("- ")
            return
        value = integer(attributes.get("value"), inner.value)
        inner.value = value + inner.step
        self.layout.open_item(f"{numeral(value, inner.style)}. ")

    def open_verbatim(self, _: dict[str, str]) -> None:
        self.layout.end_block(1)
        self._verbatim += 1
        self._begins = True

    def close_verbatim(self) -> None:
        self.layout.end_block(1)
        self._verbatim -= 1

    def break_line(self, _: dict[str, str]) -> None:
        if self._verbatim:
            self.layout.text("\n")
        else:
            self.layout.break_line()

    def change_raised(self, by: int) -> None:
        self._raised += by


OPENERS: dict[str, Callable[[Page, dict[str, str]], None]] = {
    "html": Page.open_html,
    "title": Page.open_title,
    "ol": lambda page, attributes: page.open_list(attributes, numbered=True),
    "ul": lambda page, attributes: page.open_list(attributes, numbered=False),
    "li": Page.open_item,
    "tr": lambda page, _: page.layout.open_row(),
    "td": lambda page, _: page.layout.open_cell(),
    "th": lambda page, _: page.layout.open_cell(),
    "pre": Page.open_verbatim,
    "textarea": Page.open_verbatim,
    "br": Page.break_line,
    "sup": lambda page, _: page.change_raised(1),
    "q": lambda page, _: page.layout.flow("\u201c"),
    "rt": lambda page, _: page.layout.flow("("),
}
CLOSERS: dict[str, Callable[[Page], None]] = {
    "ol": Page.close_list,
    "ul": Page.close_list,
    "li": lambda page: page.layout.close_item(),
    "tr": lambda page: page.layout.close_row(),
    "td": lambda page: page.layout.close_cell(),
    "th": lambda page: page.layout.close_cell(),
    "pre": Page.close_verbatim,
    "textarea": Page.close_verbatim,
    "sup": lambda page: page.change_raised(-1),
    "q": lambda page: page.layout.flow("\u201d"),
    "rt": lambda page: page.layout.flow(")"),
}


def _hides(attributes: dict[str, str]) -> bool:
    kinds = (attributes.get("epub:type") or attributes.get("type") or "").split()
    if NOTES.intersection(kinds):
        return False
    return (
        attributes.get("hidden", "until-found") != "until-found"
        or ("style" in attributes and HIDING_STYLE.search(attributes["style"]) is not None)
        or ("class" in attributes and not HIDDEN_CLASSES.isdisjoint(attributes["class"].split()))
    )
