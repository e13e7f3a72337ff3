"""Encodings told by the program and its peers: `--files FOLDER`, whose folders are named by encoding.

Right is a text equal to that in the true encoding, or in one that has it and more (`WIDER`), NULs and byte
order marks not counted. Wrong is another text that is let in with nothing said. Files that Python cannot
decode in the encoding of their folder's name are left out, and so are folders without such a name.
"""

import codecs
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import chardet
import charset_normalizer

from benchmarks import options
from bhasa.documents import encodings
from bhasa.documents.records import Refused
from bhasa.measure import machine, table
from bhasa.measure.timing import interleaved

TITLE = "Encodings of the test files of the chardet project"
WIDER = {
    "gb2312": ("gb18030",),
    "gbk": ("gb18030",),
    "big5": ("cp950", "big5hkscs"),
    "shift_jis": ("cp932", "shift_jis_2004"),
    "euc_jp": ("euc_jis_2004",),
    "euc_kr": ("cp949",),
    "tis-620": ("cp874",),
    "iso8859-1": ("cp1252",),
}
MACINTOSH = ("cyrillic", "roman", "greek", "iceland", "latin2", "turkish")

Program = Callable[[bytes], tuple[str | None, bool]]
"""The text, or None where it is refused, and whether it was said that some of it is replaced."""


def ours(content: bytes) -> tuple[str | None, bool]:
    try:
        decoded = encodings.decode(content)
    except Refused:
        return None, False
    return decoded.text, decoded.replaced > 0


def by_chardet(content: bytes) -> tuple[str | None, bool]:
    return _decoded(content, chardet.detect(content, max_bytes=len(content) + 1)["encoding"]), False


def by_charset_normalizer(content: bytes) -> tuple[str | None, bool]:
    best = charset_normalizer.from_bytes(content).best()
    return _decoded(content, best and best.encoding), False


PROGRAMS: dict[str, Program] = {
    "bhasa": ours,
    "chardet": by_chardet,
    "charset-normalizer": by_charset_normalizer,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.parser_of("encodings", TITLE)
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="folders, each of one case")
    given = parser.parse_args(arguments)
    options.prepare(given.threads)
    where = machine.describe(("chardet", "charset-normalizer"))
    rounds = 1 if given.quick else 3
    rows = [row for folder in given.files for row in _rows(folder, rounds, given.budget)]
    options.finish(given, table.result("encodings", where, {}, rows), TITLE)


def _rows(folder: Path, rounds: int, budget: float) -> Iterator[table.Row]:
    files = list(_files(folder))
    jobs = {
        name: lambda program=program: [program(content) for content, _ in files]
        for name, program in PROGRAMS.items()
    }
    timings = interleaved(jobs, rounds=rounds, budget=budget)
    for name, program in PROGRAMS.items():
        count = Counter(_verdict(program(content), texts) for content, texts in files)
        note = f"{count['right']:,} right, " + ", ".join(
            f"{count[verdict]:,} {verdict}" for verdict in ("wrong", "replaced and said", "refused")
        )
        share = 100 * count["right"] / len(files)
        yield table.Row(f"{len(files):,} files", name, timings[name], figure=share, unit="% right", note=note)


def _verdict(answer: tuple[str | None, bool], texts: set[str | None]) -> str:
    text, said = answer
    if text is None:
        return "refused"
    if _bare(text) in texts:
        return "right"
    return "replaced and said" if said else "wrong"


def _files(folder: Path) -> Iterator[tuple[bytes, set[str | None]]]:
    """Contents, each with the texts that are right."""
    for path in sorted(folder.rglob("*")):
        encoding = _encoding_of(path.parent.name) if path.is_file() else None
        if encoding is not None:
            content = path.read_bytes()
            texts = {_decoded(content, name) for name in (encoding, *WIDER.get(encoding, ()))} - {None}
            if texts:
                yield content, {_bare(text) for text in texts if text is not None}


def _encoding_of(folder: str) -> str | None:
    """`iso-8859-2-czech` is ISO 8859-2; None where the name has no encoding."""
    name = folder.lower().replace("hz-gb-2312", "hz")
    for kind in MACINTOSH:
        name = name.replace(f"mac{kind}", f"mac-{kind}")
    while name:
        try:
            return codecs.lookup(name).name
        except LookupError:
            name = name.rpartition("-")[0]
    return None


def _decoded(content: bytes, encoding: str | None) -> str | None:
    try:
        return content.decode(encoding) if encoding else None
    except (UnicodeDecodeError, LookupError):
        return None


def _bare(text: str) -> str:
    return text.lstrip("\ufeff").replace("\0", "")


if __name__ == "__main__":
    main()
