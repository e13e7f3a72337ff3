"""Near duplicates: the speed of signatures, copies that are found, texts of one form that are lost."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from benchmarks import minhash_peers, options
from benchmarks.corpora import EDITS, SHARES, form_letters, licensed_sources, near_copies, prose
from bhasa.documents.minhash import BYTES, bands
from bhasa.documents.near_duplicates import Numbers, find
from bhasa.documents.shingles import in_a_row, word_hashes
from bhasa.documents.signature import signature
from bhasa.measure.table import Row

TITLE = "Near duplicates: texts of 8 kB, and of 100 to 1,100 words"
THRESHOLD = 0.6

Program = TypeVar("Program")
Drops = Callable[[list[str]], dict[int, int]]
"""Of each text that is like an earlier one, which."""


class Texts:
    """What the program compares, in memory."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = [text.encode() for text in texts]
        self.signatures = [signature(text) for text in self.texts]

    def bands(self) -> list[Numbers]:
        return list(bands(b"".join(found[:BYTES] for found in self.signatures)))

    def minima(self, place: int) -> bytes:
        return self.signatures[place][:BYTES]

    def encoded(self, place: int) -> bytes:
        return self.texts[place]


def drops(texts: list[str]) -> dict[int, int]:
    return {pair.place: pair.like for pair in find(Texts(texts), THRESHOLD)}


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    size = 20 if given.quick else 500
    originals = [prose(n, 100 + n % 1000) for n in range(size)]
    programs: dict[str, Drops] = {"bhasa": drops, **_installed(minhash_peers.DROPS)}
    rows = _speed(given, [prose(n, 1_500) for n in range(size // 5)])
    for edit in EDITS:
        copies = near_copies(originals, edit)
        rows += [_found(name, program, originals, copies, edit) for name, program in programs.items()]
    licensed, letters = licensed_sources(4 * size), form_letters(2 * size // 5)
    for case, texts in (("lost of sources with one licence", licensed), ("lost of form letters", letters)):
        rows += [_lost(name, program, texts, case) for name, program in programs.items()]
    missing = [name for name in minhash_peers.DROPS if not minhash_peers.has(name)]
    return {}, rows + [Row("all", name, note=minhash_peers.MISSING) for name in missing]


def _installed(programs: dict[str, Program]) -> dict[str, Program]:
    return {name: program for name, program in programs.items() if minhash_peers.has(name)}


def _speed(given: options.Options, texts: list[str]) -> list[Row]:
    """Signatures with all that goes before them, and word hashes with 5-grams alone."""
    encoded = [text.encode() for text in texts]
    jobs = {
        "bhasa": lambda: [signature(text) for text in encoded],
        "bhasa: shingles only": lambda: [list(in_a_row(word_hashes(text), 5)) for text in encoded],
        **{name: partial(job, texts) for name, job in _installed(minhash_peers.SIGNATURES).items()},
    }
    megabytes = sum(map(len, encoded)) / 1e6
    timings = given.timed(jobs)
    return [
        Row("signatures", name, timing, figure=megabytes / timing.median, unit="MB/s")
        for name, timing in timings.items()
    ]


def _found(name: str, program: Drops, originals: list[str], copies: list[str], edit: str) -> Row:
    dropped = program(originals + copies)
    count = len(originals)
    found = [dropped.get(count + n) == n for n in range(count)]
    by_share = [
        f"{share:.0%}: {100 * sum(found[k :: len(SHARES)]) / len(found[k :: len(SHARES)]):.0f}"
        for k, share in enumerate(SHARES)
    ]
    case = f"found of copies, {edit}"
    return Row(case, name, figure=100 * sum(found) / count, unit="%", note=", ".join(by_share))


def _lost(name: str, program: Drops, texts: list[str], case: str) -> Row:
    return Row(case, name, figure=100 * len(program(texts)) / len(texts), unit="%", note=f"of {len(texts):,}")


if __name__ == "__main__":
    options.main("near_duplicates", TITLE, measure)
