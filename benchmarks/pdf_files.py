"""PDFs with planted words: each style is how some kind of program writes one. Everything follows from a seed.

No word occurs twice in a file, so which of them are found, and in what order, is a matter of positions.
"""

import io
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

import matplotlib
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT, MARGIN, LEADING = 595, 842, 72, 14
LINES = (HEIGHT - 2 * MARGIN) // LEADING
PARTS = ["".join(pair) for pair in product("bcdghklmnprstvw", "aeiou")]
TITLE = "A History Of Salt"

Line = list[str]


@cache
def embedded_font() -> str:
    """DejaVu Serif, which has ligatures, written as a subset with a map to Unicode."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pdfmetrics.registerFont(TTFont("DejaVuSerif", str(fonts / "DejaVuSerif.ttf")))
    return "DejaVuSerif"


def planted(seed: object, count: int) -> list[str]:
    """So many words of two to four syllables, each once; many have what becomes a ligature."""
    chance = random.Random(str(seed))
    words = dict[str, None]()
    while len(words) < count:
        word = "".join(chance.choices(PARTS, k=chance.randint(1, 3)))
        words[word + chance.choice(["", "", "n", "ffi", "fl", "fi"]) + chance.choice(PARTS)] = None
    return list(words)


def lines_of(words: list[str], font: str, width: float, *, divide: bool = False) -> Iterator[Line]:
    """Words in lines of at most `width` points; `divide`: part of a word fills a line."""
    line: Line = []
    for word in words:
        left = width - pdfmetrics.stringWidth(" ".join([*line, ""]), font, 11)
        if pdfmetrics.stringWidth(word, font, 11) <= left:
            line.append(word)
            continue
        cut = len(word) // 2
        if divide and len(word) > 5 and pdfmetrics.stringWidth(word[:cut] + "-", font, 11) <= left:
            yield [*line, word[:cut] + "-"]
            line = [word[cut:]]
        else:
            yield line
            line = [word]
    yield line


def draw_line(canvas: Canvas, x: float, y: float, line: Line, font: str) -> None:
    canvas.drawString(x, y, " ".join(line))


def draw_words(canvas: Canvas, x: float, y: float, line: Line, font: str) -> None:
    """Each word in its place, and no blanks."""
    for word in line:
        canvas.drawString(x, y, word)
        x += pdfmetrics.stringWidth(word + " ", font, 11)


def draw_spaced(canvas: Canvas, x: float, y: float, line: Line, font: str) -> None:
    """Letters a little apart, as in a justified line."""
    canvas.drawString(x, y, " ".join(line), charSpace=0.4)


def draw_ligatures(canvas: Canvas, x: float, y: float, line: Line, font: str) -> None:
    text = " ".join(line).replace("ffi", "\ufb03").replace("fi", "\ufb01").replace("fl", "\ufb02")
    canvas.drawString(x, y, text)


def draw_kerned(canvas: Canvas, x: float, y: float, line: Line, font: str) -> None:
    """Pairs of letters with corrections between them and a gap for a blank, as TeX and office programs do."""
    words = [" -20 ".join(f"({word[n : n + 2]})" for n in range(0, len(word), 2)) for word in line]
    canvas._code.append(f"BT 1 0 0 1 {x} {y:g} Tm [{' -250 '.join(words)}] TJ ET")


Draw = Callable[[Canvas, float, float, Line, str], None]


def write(
    words: list[str],
    draw: Draw,
    *,
    font: str = "Helvetica",
    columns: int = 1,
    divide: bool = False,
    heads: bool = False,
    password: str | None = None,
) -> bytes:
    written = io.BytesIO()
    encrypt = None if password is None else StandardEncryption(password, ownerPassword="owner")
    canvas = Canvas(written, (WIDTH, HEIGHT), pageCompression=1, invariant=1, encrypt=encrypt)
    width = (WIDTH - 2 * MARGIN + 20) / columns - 20
    lines = list(lines_of(words, font, width, divide=divide))
    for page, begin in enumerate(range(0, len(lines), LINES * columns)):
        canvas.setFont(font, 11)
        for n, line in enumerate(lines[begin : begin + LINES * columns]):
            x = MARGIN + n // LINES * (width + 20)
            draw(canvas, x, HEIGHT - MARGIN - n % LINES * LEADING, line, font)
        if heads:
            canvas.drawString(MARGIN, HEIGHT - 40, TITLE)
            canvas.drawString(WIDTH / 2, 40, str(page + 1))
        canvas.showPage()
    canvas.save()
    return written.getvalue()


STYLES: dict[str, Callable[[list[str]], bytes]] = {
    "lines": lambda words: write(words, draw_line),
    "kerned": lambda words: write(words, draw_kerned, font="Times-Roman", heads=True),
    "words in places": lambda words: write(words, draw_words, font="Times-Roman"),
    "letters apart": lambda words: write(words, draw_spaced, heads=True),
    "embedded font, ligatures": lambda words: write(words, draw_ligatures, font=embedded_font()),
    "divided words": lambda words: write(words, draw_line, divide=True, heads=True),
    "two columns, divided words": lambda words: write(words, draw_line, columns=2, divide=True),
    "no password needed": lambda words: write(words, draw_line, font="Courier", password=""),
}


def share_in_order(words: list[str], text: str) -> float:
    """Of the planted words those that stand in the text as they are, in the longest chain in their order."""
    places = {word: place for place, word in enumerate(words)}
    ends: list[int] = []  # of the longest chains of each length, the least last place
    for word in text.split():
        place = places.get(word, -1)
        if place >= 0:
            at = bisect_left(ends, place)
            ends[at : at + 1] = [place]
    return len(ends) / len(words)
