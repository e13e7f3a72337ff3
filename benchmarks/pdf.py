"""Text of PDFs: the program beside a plain loop over pypdf, with and without processes of its own.

The files are made here, with planted words; `--folder` adds a case of files that lie anywhere. What stands as
limit is pdfium alone.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pypdf
import pypdfium2

from benchmarks import options, pdf_files
from bhasa.documents.config import IngestConfig
from bhasa.documents.prepare import Prepared
from bhasa.documents.wire import Job, Result
from bhasa.documents.worker import results
from bhasa.documents.workers import Processes
from bhasa.measure import machine, table
from bhasa.measure.table import Row

TITLE = "Text of PDFs"
CONFIG = IngestConfig.parse({"sources": [{"kind": "folder", "path": "raw"}]}, "benchmark")
FILES, WORDS = 8, 2500  # of each style, and words in one: five to seven pages
QUICK_FILES, QUICK_WORDS = 1, 200
BATCH = 8  # files that a worker gets at a time
PEER = "pypdf, a loop"
LEAST = "pdfium, a loop"

Texts = list[str]
Words = list[str]
Program = Callable[[Sequence[bytes]], Texts]


def by_pypdf(files: Sequence[bytes]) -> Texts:
    texts = []
    for content in files:
        pages: list[str] = []
        with suppress(Exception):
            reader = pypdf.PdfReader(io.BytesIO(content))
            if reader.is_encrypted:
                reader.decrypt("")
            pages += [page.extract_text() for page in reader.pages]
        texts.append("\n".join(pages))
    return texts


def by_pdfium(files: Sequence[bytes]) -> Texts:
    texts = []
    for content in files:
        pages: list[str] = []
        with suppress(pypdfium2.PdfiumError), pypdfium2.PdfDocument(content) as document:
            for page in document:
                shown = page.get_textpage()
                pages.append(shown.get_text_bounded())
                shown.close()
                page.close()
        texts.append("\n".join(pages))
    return texts


def here(files: Sequence[bytes]) -> Texts:
    """As a worker does it, in this process."""
    return [_text(list(results(job, CONFIG))) for job in _jobs(files)]


def by_workers(pool: Processes, files: Sequence[bytes]) -> Texts:
    jobs = _jobs(files)
    batches = [jobs[n : n + BATCH] for n in range(0, len(jobs), BATCH)]
    texts, of_one = [], list[Result]()
    for answers in pool.map(batches):
        for answer in answers:
            if answer is None:
                texts.append(_text(of_one))
                of_one = []
            else:
                of_one.append(answer)
    return texts


def _jobs(files: Sequence[bytes]) -> list[Job]:
    known = ("application/pdf", "und", "raw", "bhasa.documents.readers.pdf")
    return [Job(f"raw/{n}.pdf", *known, content) for n, content in enumerate(files)]


def _text(answers: Sequence[Result]) -> str:
    return "\n".join(a.found.document.text for a in answers if isinstance(a.found, Prepared))


def measure(given: options.Options, folder: Path | None) -> tuple[dict[str, float], list[Row]]:
    count, length = (QUICK_FILES, QUICK_WORDS) if given.quick else (FILES, WORDS)
    rows: list[Row] = []
    everything: list[tuple[bytes, Words]] = []
    with ExitStack() as stack:
        programs: dict[str, Program] = {PEER: by_pypdf, LEAST: by_pdfium, "bhasa, in this process": here}
        for workers in (1, 2):
            pool = stack.enter_context(Processes(CONFIG, workers))
            programs[f"bhasa, workers: {workers}"] = partial(by_workers, pool)
        few = {name: programs[name] for name in (PEER, LEAST, "bhasa, in this process")}
        for style, write in pdf_files.STYLES.items():
            planted = [pdf_files.planted((style, n), length) for n in range(count)]
            files = [(write(words), words) for words in planted]
            everything += files
            rows += _rows(given, style, few, files)
        rows = [*_rows(given, "all of these", programs, everything), *rows]
        if folder is not None:
            paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".pdf")
            rows += _rows(
                given,
                f"{len(paths):,} files of test collections",
                programs,
                [(p.read_bytes(), []) for p in paths],
            )
    return {}, rows


def _rows(
    given: options.Options, case: str, programs: dict[str, Program], files: Sequence[tuple[bytes, Words]]
) -> list[Row]:
    contents = [content for content, _ in files]
    found = {
        name: _found(program(contents), [words for _, words in files]) for name, program in programs.items()
    }
    timings = given.timed({name: partial(program, contents) for name, program in programs.items()})
    least = timings[LEAST].median
    return [
        Row(case, name, timing, least, len(files) / timing.median, "files/s", note=found[name])
        for name, timing in timings.items()
    ]


def _found(texts: Texts, planted: Sequence[Words]) -> str:
    if not any(planted):
        return f"text in {sum(map(bool, map(str.strip, texts))):,}"
    shares = [pdf_files.share_in_order(words, text) for words, text in zip(planted, texts, strict=True)]
    return f"{100 * sum(shares) / len(shares):.2f} % of words in order"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = options.parser_of("pdf", TITLE)
    parser.add_argument("--folder", type=Path, help="PDFs of your own, as a case more")
    given = parser.parse_args(arguments)
    options.prepare(given.threads)
    where = machine.describe(("pypdf", "pypdfium2"))
    trial = options.Options(given.quick, 2 if given.quick else given.rounds, given.budget)
    limits, rows = measure(trial, given.folder)
    return options.finish(given, table.result("pdf", where, limits, rows), TITLE)


if __name__ == "__main__":
    main()
