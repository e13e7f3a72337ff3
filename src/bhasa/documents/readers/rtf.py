"""RTF (Rich Text Format 1.9.1): paragraphs, cells, notes and the numbers of lists, which stand there as text.

Heads and feet of pages, hidden and deleted text, pictures and codes of fields are left out. A note stands in
brackets where its mark is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bhasa.documents.code_pages import mended
from bhasa.documents.readers import charsets  # noqa: F401  # loads the encodings
from bhasa.documents.readers.layout import Layout
from bhasa.documents.readers.page import MAX_META
from bhasa.documents.records import Text, quarantined

TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]+)|[\r\n]+"
)
MAX_DEPTH = 1000  # of groups in one another
LEFT_OUT = {
    *("fonttbl", "info", "colortbl", "stylesheet", "listtable", "filetbl", "revtbl", "pict", "object"),
    *("header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf", "ftnsep"),
    *("aftnsep", "fldinst", "xe", "tc", "bkmkstart", "bkmkend", "pntxta", "pntxtb", "annotation", "atnid"),
    *("atnauthor", "nonshppict", "nonesttables"),
}
KEPT = {"shptxt", "pntext", "listtext", "fldrslt"}  # destinations, marked as ones that may be ignored or not
WORDS = {
    **{"tab": "\t", "line": "\n", "emdash": "\u2014", "endash": "\u2013", "bullet": "\u2022"},
    **{"lquote": "\u2018", "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d"},
}
BREAKS = {"par", "sect", "page", "trowd", "cell", "row", "nestcell", "nestrow"}
SYMBOLS = {b"~": "\xa0", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}", b"\n": "\n", b"\r": "\n"}
CHARSETS = {
    **{77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "big5hkscs", 161: "cp1253"},
    **{162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251"},
    **{222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850"},
}
CODE_PAGES = {437, 850, 866, 874, 932, 949, *range(1250, 1259)}
OTHER_CODE_PAGES = {936: "gb18030", 950: "big5hkscs", 10000: "mac_roman"}
"""Both loaded by `charsets`, for no file can be opened later."""


@dataclass(frozen=True)
class _Group:
    is_left_out: bool = False
    is_hidden: bool = False
    destination: str = ""
    encoding: str = ""
    fallbacks: int = 1
    """Characters after each `\\u` that stand for it where it is not known."""


def read(content: bytes, name: str) -> Iterator[Text]:
    if not content.lstrip().startswith(b"{\\rtf"):
        raise quarantined("no RTF")
    reader = _Reader()
    reader.read(content)
    text = reader.finish()
    if not text:
        raise quarantined("RTF without text")
    title = " ".join(reader.title.split())[:MAX_META]
    yield Text(text, {"title": title} if title else {})


class _Reader:
    def __init__(self) -> None:
        self.title = ""
        self._layout = Layout()
        self._group = _Group()
        self._outer: list[_Group] = []
        self._code_page = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0  # that is being described
        self._bytes = bytearray()  # of characters that are written byte by byte
        self._to_skip = 0  # characters that stand for the one before
        self._cells: list[list[str]] | None = None  # of the row that is open
        self._may_ignore = False  # whether the destination that comes next may be left out

    def read(self, content: bytes) -> None:
        position = 0
        while found := TOKEN.match(content, position):
            position = found.end()
            word, number, code, symbol, brace, text = found.groups()
            if code:
                self._add_byte(int(code, 16))
                continue
            self._end_bytes()
            if word == b"bin":
                position += max(int(number or 0), 0)
            elif word:
                self._word(word.decode(), int(number) if number else None)
            elif brace:
                self._brace(brace)
            elif symbol:
                self._symbol(symbol)
            elif text:
                self._text(mended(text, self._encoding).text)
        self._end_bytes()

    def finish(self) -> str:
        self._end_row()
        text = self._layout.finish()
        # Characters beyond the first 65,536 stand there as two halves.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    @property
    def _encoding(self) -> str:
        return self._group.encoding or self._code_page

    def _brace(self, brace: bytes) -> None:
        self._to_skip = 0
        if brace == b"{":
            if len(self._outer) >= MAX_DEPTH:
                raise quarantined("RTF that is nested too deeply")
            self._outer.append(self._group)
        elif self._outer:
            if self._group.destination == "footnote" and self._outer[-1].destination != "footnote":
                self._text("]")
            self._group = self._outer.pop()

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._may_ignore = True
        elif symbol in (b"\n", b"\r"):
            self._word("par", None)
        elif symbol in SYMBOLS:
            self._text(SYMBOLS[symbol])

    def _word(self, word: str, number: int | None) -> None:
        may_ignore, self._may_ignore = self._may_ignore, False
        if word == "u":
            self._text(chr((number or 0) % 65536))
            self._to_skip = self._group.fallbacks
        elif word in WORDS:
            self._text(WORDS[word])
        elif word in LEFT_OUT or (may_ignore and word not in KEPT):
            self._group = replace(self._group, is_left_out=True, destination=word)
        elif word in ("title", "footnote"):
            self._group = replace(self._group, destination=word)
            self._text(" [" if word == "footnote" else "")
        elif word in BREAKS:
            if not self._hides:
                self._break(word)
        else:
            self._set(word, number)

    def _set(self, word: str, number: int | None) -> None:
        value = number or 0
        match word:
            case "v" | "deleted":
                self._group = replace(self._group, is_hidden=number != 0)
            case "plain":
                self._group = replace(self._group, is_hidden=False, encoding="")
            case "f" if self._group.destination == "fonttbl":
                self._font = value
            case "f":
                self._group = replace(self._group, encoding=self._fonts.get(value, ""))
            case "fcharset" if value in CHARSETS:
                self._fonts[self._font] = CHARSETS[value]
            case "ansicpg" if value in CODE_PAGES:
                self._code_page = f"cp{value}"
            case "ansicpg":
                self._code_page = OTHER_CODE_PAGES.get(value, "cp1252")
            case "mac":
                self._code_page = "mac_roman"
            case "uc":
                self._group = replace(self._group, fallbacks=min(max(value, 0), 10))

    def _break(self, word: str) -> None:
        match word:
            case "trowd":
                if self._cells is None:
                    self._cells = []
                    self._layout.open_area()
            case "cell" if self._cells is not None:
                self._cells.append(self._layout.close_area())
                self._layout.open_area()
            case "row":
                self._end_row()
            case "cell" | "nestcell":
                self._layout.text("\t")
            case "nestrow":
                self._layout.end_block()
            case _:
                self._layout.end_block(1)

    def _end_row(self) -> None:
        if self._cells is None:
            return
        after = self._layout.close_area()
        self._layout.open_row()
        for cell in [*self._cells, after] if after else self._cells:
            self._layout.add_cell(cell)
        self._layout.close_row()
        self._cells = None

    @property
    def _hides(self) -> bool:
        return self._group.is_left_out or self._group.is_hidden

    def _add_byte(self, value: int) -> None:
        if self._to_skip:
            self._to_skip -= 1
        else:
            self._bytes.append(value)

    def _end_bytes(self) -> None:
        if self._bytes:
            text = mended(bytes(self._bytes), self._encoding).text
            self._bytes.clear()
            self._text(text)

    def _text(self, text: str) -> None:
        skipped = min(self._to_skip, len(text))
        self._to_skip -= skipped
        text = text[skipped:]
        if self._group.destination == "title":
            self.title = (self.title + text)[: 4 * MAX_META]
        elif not self._hides:
            self._layout.text(text)
