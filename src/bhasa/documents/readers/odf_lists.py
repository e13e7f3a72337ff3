"""Markers of lists and headings in OpenDocument text, by its list styles (ODF 1.3, part 3, 16.30)."""

from __future__ import annotations

from dataclasses import dataclass, field

from bhasa.documents.readers.numbering import integer, numeral

OUTLINE = "outline"  # what the style of headings is known by here; names of others begin with a dot
MAX_LEVEL = 10
MAX_AFFIX = 20  # characters


@dataclass(frozen=True)
class _Level:
    style: str | None = None
    """Of the numeral; None: a bullet, empty: nothing is shown."""
    prefix: str = ""
    suffix: str = ""
    start: int = 1
    shown: int = 1
    """How many levels, this one the last."""


class ListStyles:
    """Collects the definitions, from the events of the parts that have some."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, int], _Level] = {}
        self._name = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "list-style":
            self._name = f".{attributes.get('name', '')}"
        elif tag == "outline-style":
            self._name = OUTLINE
        elif tag.startswith(("list-level-style-", "outline-level-style")):
            style = None if tag.endswith(("-bullet", "-image")) else attributes.get("num-format", "")
            self._levels[self._name, integer(attributes.get("level"), 1)] = _Level(
                style,
                attributes.get("num-prefix", "")[:MAX_AFFIX],
                attributes.get("num-suffix", "")[:MAX_AFFIX],
                integer(attributes.get("start-value"), 1),
                integer(attributes.get("display-levels"), 1),
            )

    def end(self, tag: str) -> None: ...

    def data(self, text: str) -> None: ...

    def level(self, name: str, level: int) -> _Level:
        return self._levels.get((name, level), _Level("" if name == OUTLINE else None))

    def marker(self, name: str, counts: list[int]) -> str:
        """Of what has these numbers, the outermost level's first; empty where none is shown."""
        last = self.level(name, len(counts))
        if last.style is None:
            return "- "
        if not last.style:
            return ""
        first = max(len(counts) - max(last.shown, 1), 0)
        numerals = [
            numeral(count, style)
            for number, count in enumerate(counts[first:], start=first + 1)
            if (style := self.level(name, number).style)
        ]
        return f"{last.prefix}{'.'.join(numerals)}{last.suffix} "


@dataclass
class _OpenList:
    name: str
    count: int
    key: str
    """What a later list may name to go on from here."""


@dataclass
class Lists:
    """Those that are open, and the numbers that others may go on from."""

    styles: ListStyles
    _open: list[_OpenList] = field(default_factory=list)
    _last: dict[tuple[str, int] | str, int] = field(default_factory=dict)
    _headings: list[int] = field(default_factory=list)

    @property
    def depth(self) -> int:
        return len(self._open)

    def open(self, attributes: dict[str, str]) -> None:
        own = attributes.get("style-name")
        inherited = self._open[-1].name if self._open else ""
        name = f".{own}" if own is not None else inherited
        count = self.styles.level(name, len(self._open) + 1).start - 1
        if attributes.get("continue-numbering") == "true":
            count = self._last.get((name, len(self._open)), count)
        count = self._last.get(attributes.get("continue-list", ""), count)
        self._open.append(_OpenList(name, count, attributes.get("id", "")))

    def close(self) -> None:
        closed = self._open.pop()
        self._last[closed.name, len(self._open)] = closed.count
        if closed.key:
            self._last[closed.key] = closed.count

    def next_item(self, start_value: str | None) -> str:
        if not self._open:
            return "- "
        last = self._open[-1]
        last.count = integer(start_value, last.count + 1)
        return self.styles.marker(last.name, [max(one.count, 1) for one in self._open])

    def next_heading(self, level: int) -> str:
        level = min(max(level, 1), MAX_LEVEL)
        counts = self._headings[:level]
        while len(counts) < level:
            counts.append(self.styles.level(OUTLINE, len(counts) + 1).start - 1)
        counts[-1] += 1
        self._headings = counts
        return self.styles.marker(OUTLINE, [max(count, 1) for count in counts])
