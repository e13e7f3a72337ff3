"""Steps that bring texts into one form, each with a switch in `ingest.clean` and an account of its own.

Indentation and inner spacing stay, since code and tables mean something by them. Cleaning what is clean
changes nothing, whichever steps are on. Every step takes time in proportion to the text, whatever the text
is; what is rare is looked for in one fast pass before anything slow is done.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from bhasa.params import Config

# What moves a cursor or colours a terminal: ECMA-48 section 5.4 (CSI) and 8.3.89 (OSC), and escapes of two
# or three characters; at last an escape character alone. And what a printer strikes over: `_` in `_\bx`.
TERMINAL = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b\n]*(?:\x07|\x1b\\\\)|\x1b[ -/]+[0-~]"
    "|\x1b[@-Z\\\\-_]|\x1b|[^\n\x08]?\x08"
)
LINE_END = re.compile("\r\n?|\u2028|\u2029|\x85")
# What nobody sees: control characters but tab and newline, halves of surrogate pairs, byte order marks in
# either order and other non-characters, zero-width blanks, soft hyphens, what turns the direction of writing
# around, tags, and private use. Joiners stay, which Persian, Indic scripts and emoji are written with.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u180e\u200b\u202a-\u202e\u2060-\u2069\ud800-\udfff\ue000-\uf8ff"
    "\ufdd0-\ufdef\ufeff\ufff9-\ufffc\ufffe\uffff\U000e0000-\U000e007f\U000f0000-\U0010ffff]"
)
INVISIBLE_ASCII = bytes({*range(32), 127} - set(b"\t\n"))
RUN_OF_MARKS = 250  # combining marks, and signs outside ASCII
MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{RUN_OF_MARKS}}}")
HALF_PAIRS = re.compile("[\ud800-\udfff]")
BLANKS_BEFORE_LINE_END = re.compile(r"(?<![ \t])[ \t]+(?=\n)")
SHORT_RUN = 4  # of blanks at a line's end: replacing them is much faster than the expression
BLANK_LINES = re.compile(r"\n{4,}")

# Whole lines of web pages that are about the page, not its matter. Short, and nothing else on the line.
BOILERPLATE = re.compile(
    r"^(?=.{1,160}$)[ \t>|*\u2022-]*(?:"
    r"(?:we|this (?:web)?site|our (?:web)?site) uses? cookies\b.*"
    r"|(?:accept|reject|allow|manage)(?: all)? cookies|cookie (?:policy|settings|preferences)"
    r"|privacy policy|terms of (?:use|service)|terms (?:and|&) conditions"
    r"|(?:skip|jump) to (?:main )?content|back to (?:the )?top|read more|(?:sign|log) ?(?:in|up|out)"
    r"|share (?:this )?(?:on|via) \w+|subscribe to our newsletter|(?:please )?enable javascript\b.*"
    r"|(?:copyright )?(?:\u00a9|\(c\)) ?[\d\u2013, -]* ?.{0,60}all rights reserved\.?"
    r")[ \t>|.!\u00bb]*$\n?",
    re.IGNORECASE | re.MULTILINE,
)

Step = Literal["terminal", "unicode", "half_pairs", "boilerplate", "white_space"]


class CleanConfig(Config):
    """Which steps are taken; each is one that a text can do without."""

    terminal: bool = True
    """Colours and cursor movements of terminals, and what is struck over on paper."""
    unicode: bool = True
    """Composed form (NFC), `\\n` line ends; no control, invisible, private or undefined characters."""
    boilerplate: bool = False
    """Lines of web pages about cookies, logging in, sharing and rights, in prose alone."""
    white_space: bool = True
    """No blanks at line ends, no more than two blank lines together, one newline at the end."""

    def steps_for(self, *, prose: bool) -> tuple[Step, ...]:
        """In their order; half pairs of surrogates, which no file can hold, go in any case."""
        chosen = {
            "terminal": self.terminal,
            "unicode": self.unicode,
            "half_pairs": not self.unicode,
            "boilerplate": self.boilerplate and prose,
            "white_space": self.white_space,
        }
        return tuple(step for step in STEPS if chosen[step])


class Cleaned(NamedTuple):
    text: str
    removed: dict[str, int]
    """Bytes of UTF-8 by which each step made the text shorter, negative where it became longer."""


def clean(text: str) -> str:
    """The text as every step but that for web pages leaves it; empty when there is nothing to see in it."""
    return cleaned(text, CleanConfig().steps_for(prose=True)).text


def cleaned(text: str, steps: Iterable[Step]) -> Cleaned:
    removed: dict[str, int] = {}
    for step in steps:
        better = STEPS[step](text)
        if better != text:
            removed[step] = size_of(text) - size_of(better)
            text = better
    return Cleaned(text, removed)


def size_of(text: str) -> int:
    """In bytes of UTF-8; half a surrogate pair counts three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _without_terminal(text: str) -> str:
    found = "\x1b" in text or "\x08" in text or "\x9b" in text
    return TERMINAL.sub("", text) if found else text


def _in_one_form(text: str) -> str:
    if text.isascii():
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        content = text.encode()
        visible = content.translate(None, INVISIBLE_ASCII)
        return text if len(visible) == len(content) else visible.decode()
    return _composed(INVISIBLE.sub("", LINE_END.sub("\n", text)))


def _composed(text: str) -> str:
    """NFC, but for a text with a run of marks that nobody wrote: sorting it takes quadratic time."""
    if unicodedata.is_normalized("NFC", text) or in_runs_of_marks(text):
        return text
    return unicodedata.normalize("NFC", text)


def in_runs_of_marks(text: str) -> int:
    """Characters in aligned blocks of nothing but marks, of which a run of twice a block's size has one."""
    starts = range(0, len(text) - RUN_OF_MARKS + 1, RUN_OF_MARKS)
    return RUN_OF_MARKS * sum(MARKS.match(text, start) is not None for start in starts)


def _without_half_pairs(text: str) -> str:
    return HALF_PAIRS.sub("", text)


def _without_boilerplate(text: str) -> str:
    return BOILERPLATE.sub("", text)


def _with_little_white_space(text: str) -> str:
    for _ in range(SHORT_RUN):
        if not _has_blanks_at_line_ends(text):
            break
        text = text.replace(" \n", "\n").replace("\t\n", "\n")
    if _has_blanks_at_line_ends(text):
        text = BLANKS_BEFORE_LINE_END.sub("", text)
    if "\n\n\n\n" in text:
        text = BLANK_LINES.sub("\n\n\n", text)
    text = text.rstrip(" \t\n").lstrip("\n")
    return text + "\n" if text else ""


def _has_blanks_at_line_ends(text: str) -> bool:
    return " \n" in text or "\t\n" in text


STEPS: dict[Step, Callable[[str], str]] = {
    "terminal": _without_terminal,
    "unicode": _in_one_form,
    "half_pairs": _without_half_pairs,
    "boilerplate": _without_boilerplate,
    "white_space": _with_little_white_space,
}
