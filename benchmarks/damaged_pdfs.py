"""A thousand damaged PDFs: what becomes of each, and how long it takes, read as ingest reads them.

Clean files of every style are changed in every way, and those of `hostile_pdfs` are added.
"""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from benchmarks import hostile_pdfs, options, pdf_files
from bhasa.documents.config import IngestConfig
from bhasa.documents.records import Refused
from bhasa.documents.wire import Job
from bhasa.documents.workers import Processes
from bhasa.measure.table import Row
from bhasa.measure.timing import Timing

TITLE = "Damaged PDFs: seconds a file, and what becomes of them"
CONFIG = IngestConfig.parse(
    {"sources": [{"kind": "folder", "path": "raw"}], "min_characters": 1}, "benchmark"
)
FILES, QUICK_FILES = 1000, 150
SMALL = 50_000  # bytes of a hostile file that is changed too
BLOCK = 512
NUMBERS = (b"0", b"-1", b"1", b"65536", b"2147483647", b"4294967296", b"99999999999999999999", b"1e38")

Change = Callable[[bytearray, random.Random], None]


def flip(content: bytearray, chance: random.Random, count: int) -> None:
    for _ in range(count):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def cut_beginning(content: bytearray, chance: random.Random) -> None:
    del content[: chance.randrange(len(content))]


def swap(content: bytearray, chance: random.Random) -> None:
    for _ in range(3):
        a, b = (chance.randrange(len(content) - BLOCK) for _ in range(2))
        content[a : a + BLOCK], content[b : b + BLOCK] = content[b : b + BLOCK], content[a : a + BLOCK]


def overwrite(content: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(content) - BLOCK)
    content[at : at + BLOCK] = chance.choice([bytes(BLOCK), chance.randbytes(BLOCK), b"\xff" * BLOCK])


def repeat(content: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(content) - BLOCK)
    content[at:at] = content[at : at + BLOCK] * chance.randint(1, 50)


def lie(content: bytearray, chance: random.Random) -> None:
    """Other numbers in dictionaries, tables and what refers to objects."""
    places = list(re.finditer(rb"(?<=[ /\[])\d+(?=[ /\]\n>])", content))
    for place in sorted(chance.sample(places, min(3, len(places))), key=lambda p: -p.start()):
        content[slice(*place.span())] = chance.choice(NUMBERS)


def rename(content: bytearray, chance: random.Random) -> None:
    """A name in place of another."""
    places = list(re.finditer(rb"/[A-Z][A-Za-z0-9]+", content))
    for place in sorted(chance.sample(places, min(3, len(places))), key=lambda p: -p.start()):
        content[slice(*place.span())] = chance.choice(places)[0]


CHANGES: dict[str, Change] = {
    "a bit": lambda content, chance: flip(content, chance, 1),
    "ten bits": lambda content, chance: flip(content, chance, 10),
    "a thousand bits": lambda content, chance: flip(content, chance, 1000),
    "cut short": cut,
    "beginning missing": cut_beginning,
    "blocks swapped": swap,
    "block overwritten": overwrite,
    "block repeated": repeat,
    "other numbers": lie,
    "other names": rename,
}


def files(count: int, *, heavy: bool) -> Iterator[tuple[str, bytes]]:
    """The kind of damage, and the file."""
    hostile = {
        name: make for name, make in hostile_pdfs.KINDS.items() if heavy or name not in hostile_pdfs.HEAVY
    }
    yield from ((f"hostile: {name}", make()) for name, make in hostile.items())
    clean = [write(pdf_files.planted(style, 400)) for style, write in pdf_files.STYLES.items()]
    crafted = [content for content in (make() for make in hostile.values()) if len(content) < SMALL]
    for number in range(count - len(hostile)):
        name = list(CHANGES)[number % len(CHANGES)]
        content = bytearray(random.Random(number).choice(crafted if number % 3 == 0 else clean))
        CHANGES[name](content, random.Random(number))
        yield name, bytes(content)


def answers(contents: Sequence[bytes]) -> Iterator[tuple[float, list[str]]]:
    """Of each file: the seconds until all is known, and what became of its records, at least one."""
    known = ("application/pdf", "und", "raw", "bhasa.documents.readers.pdf")
    jobs = [[Job(f"raw/{number}.pdf", *known, content)] for number, content in enumerate(contents)]
    with Processes(CONFIG, 1) as pool:
        began = time.perf_counter()
        for results in pool.map(jobs):
            outcomes = [_outcome(result.found) for result in results if result]
            yield time.perf_counter() - began, outcomes
            began = time.perf_counter()


def _outcome(found: object) -> str:
    return f"{found.outcome}: {found.reason}" if isinstance(found, Refused) else "kept"


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    made = list(files(QUICK_FILES if given.quick else FILES, heavy=not given.quick))
    seconds: dict[str, list[float]] = {}
    outcomes: dict[str, Counter[str]] = {}
    for (name, _), (taken, became) in zip(made, answers([content for _, content in made]), strict=True):
        case = name.partition(":")[0]
        seconds.setdefault(case, []).append(taken)
        outcomes.setdefault(case, Counter())[_of_file(became)] += 1
    rows = []
    for case, taken in seconds.items():
        note = ", ".join(f"{count} {outcome}" for outcome, count in outcomes[case].most_common())
        rows.append(
            Row(case, f"{len(taken)} files", Timing.of(taken), None, max(taken), "s the longest", note=note)
        )
    return {}, rows


def _of_file(outcomes: Sequence[str]) -> str:
    """Kept, when anything is; else why not."""
    return "kept" if "kept" in outcomes else outcomes[-1].partition(" (")[0]


if __name__ == "__main__":
    options.main("damaged_pdfs", TITLE, measure)
