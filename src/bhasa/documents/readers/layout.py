"""Paragraphs, lists and tables as lines of plain text: what a page looks like without its typography.

Paragraphs are set apart by an empty line. An item of a list begins with its marker, and its other lines are
indented by as much. A row of a table is one line with a tab between cells; where a cell has several lines,
its cells follow one another, set apart by empty lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bhasa.documents.records import quarantined

MAX_INDENT = 40  # characters; deeper lists are indented no further
MAX_FRAMES = 200  # tables, notes and text boxes in one another; each line is handed on by each of them
WHITE_SPACE = re.compile("[ \t\n\r\f]+")  # HTML's; a no-break space is a character like any other
SUPERSCRIPTS = str.maketrans(
    "0123456789+-", "\u2070\xb9\xb2\xb3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b"
)


def raised(text: str) -> str:
    """Superscript, where Unicode has all of it: a power or the mark of a note is no part of a number."""
    return text.translate(SUPERSCRIPTS) if set(text) <= set("0123456789+-") else text


@dataclass
class _Frame:
    """A page, or an area that is laid out on its own: a row, a cell, a note."""

    lines: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    gap: int = 0
    """Empty lines owed before the next line."""
    cells: list[list[str]] | None = None
    """Of a row."""
    markers: list[str] = field(default_factory=list)
    """Of items that have no line yet."""
    indents: list[str] = field(default_factory=list)
    """Of items that are open, outermost first: the indentation of all lines but the first."""

    def end_line(self, *, keep_empty: bool = False) -> None:
        text = "".join(self.line)
        self.line.clear()
        if text.strip() or keep_empty:
            self.add(text)

    def add(self, text: str) -> None:
        if self.lines:
            self.lines += [""] * self.gap
        self.gap = 0
        if not text:
            self.lines.append("")
            return
        above = len(self.indents) - len(self.markers)
        indent = "".join(self.markers) if self.markers else self.indents[-1] if self.indents else ""
        if self.markers and above:
            indent = self.indents[above - 1] + indent
        self.markers.clear()
        self.lines.append((indent + text).rstrip(" "))


class Layout:
    def __init__(self) -> None:
        self._frames = [_Frame()]

    def text(self, text: str) -> None:
        """As it is, but for `\\n`, which ends the line; also an empty one."""
        frame = self._frames[-1]
        first, *rest = text.split("\n")
        frame.line.append(first)
        for part in rest:
            frame.end_line(keep_empty=True)
            frame.line.append(part)

    def flow(self, text: str) -> None:
        """White space of any length is one space, and none where a line begins."""
        line = self._frames[-1].line
        text = WHITE_SPACE.sub(" ", text)
        if text[:1] == " " and (not line or line[-1][-1:] in ("", " ", "\t")):
            text = text[1:]
        if text:
            line.append(text)

    def break_line(self) -> None:
        frame = self._frames[-1]
        if frame.line:
            frame.end_line()
        elif frame.lines and not frame.markers:
            frame.gap = 1  # two breaks are a gap that one sees

    def end_block(self, gap: int = 0) -> None:
        """What follows begins on a line of its own, after at least `gap` empty ones."""
        frame = self._frames[-1]
        frame.end_line()
        frame.gap = max(frame.gap, gap)

    def open_item(self, marker: str) -> None:
        self.end_block()
        frame = self._frames[-1]
        outer = frame.indents[-1] if frame.indents else ""
        frame.indents.append((outer + " " * len(marker))[:MAX_INDENT])
        frame.markers.append(marker)

    def close_item(self) -> None:
        self.end_block()
        frame = self._frames[-1]
        frame.indents.pop()
        if frame.markers:  # an item without text
            frame.markers.pop()

    def open_row(self) -> None:
        self.end_block()
        self._push(_Frame(cells=[]))

    def close_row(self) -> None:
        self.end_block()
        row = self._frames.pop()
        cells = row.cells or []
        if row.lines:
            self.add_lines(row.lines)
        if all(len(cell) <= 1 for cell in cells):
            line = "\t".join("".join(cell) for cell in cells)
            self.add_lines([line] if line.strip() else [])
            return
        for cell in cells:
            self.add_lines(cell, gap=1)

    def open_cell(self) -> None:
        self._push(_Frame())

    def close_cell(self) -> None:
        self.add_cell(self.close_area())

    def add_cell(self, lines: list[str], times: int = 1) -> None:
        """A cell that was laid out apart, as often as it is in its row."""
        cells = self._frames[-1].cells
        if cells is None:  # no row around it
            self.add_lines(lines)
        else:
            cells += [lines] * times

    def open_area(self) -> None:
        """What follows is laid out apart, until `close_area` hands it out."""
        self._push(_Frame())

    def close_area(self) -> list[str]:
        self.end_block()
        return self._frames.pop().lines

    def add_lines(self, lines: list[str], gap: int = 0) -> None:
        """Lines that were laid out apart, as a block."""
        self.end_block(gap if lines else 0)
        for line in lines:
            self._frames[-1].add(line)
        self.end_block(gap if lines else 0)

    def finish(self) -> str:
        """The page. All that was opened is closed by now."""
        return "\n".join(self.close_area()).strip("\n")

    def _push(self, frame: _Frame) -> None:
        if len(self._frames) >= MAX_FRAMES:
            raise quarantined("tables that are nested too deeply")
        self._frames.append(frame)
