"""From a folder of files to tokens, beside what the tokenizer's library alone needs for the same texts.

The files are Python sources that are installed here, as many as asked for, chosen by hash. The library gets
all texts in memory and gives its own objects; the stages read files, clean, look for near duplicates, write
documents, read those, check that every one comes back, and write shards with their hashes.
"""

import hashlib
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from benchmarks import options
from bhasa.documents.config import IngestConfig
from bhasa.measure.table import Row
from bhasa.measure.timing import Job, Timing
from bhasa.stages import ingest, tokenize
from bhasa.tokens import tokenizer_files
from bhasa.tokens.config import BpeConfig, HuggingFaceConfig, TokenizeConfig
from bhasa.tokens.corpus import read_documents
from bhasa.tokens.shards import TOKENIZER_FILE
from bhasa.tracking import NullTracker

TITLE = "Data path: files to tokens"
SIZE, QUICK_SIZE = 40_000_000, 300_000  # bytes
BATCH = 256  # documents; of 64, 256 and all at once the library's fastest, by little
WORKERS = 2
SPLITS = ("train", "validation", "test")


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    with tempfile.TemporaryDirectory() as root:
        path = _Path(Path(root))
        collect(path.raw, QUICK_SIZE if given.quick else SIZE)
        path.ingest()
        path.tokenize(BpeConfig())
        shutil.copytree(path.tokenizer, path.kept)
        path.load()
        timings = given.timed(path.jobs())
        return {"files, bytes": path.bytes}, [*_rows(timings, path.bytes)]


class _Path:
    """The folders of one run, and the jobs on them."""

    def __init__(self, root: Path) -> None:
        self.root, self.raw, self.kept = root, root / "raw", root / "kept"
        self.documents, self.tokenizer = root / "documents", root / "tokenizer"

    def load(self) -> None:
        self.library = tokenizer_files.load(self.kept / TOKENIZER_FILE)
        self.texts = [document.text for split in SPLITS for document in read_documents(self.documents, split)]
        self.bytes = sum(len(text.encode()) for text in self.texts)

    def jobs(self) -> dict[str, Job]:
        made = HuggingFaceConfig(kind="huggingface", path=str(self.kept))
        return {
            "tokenizers": partial(_encode, self.library, self.texts),
            "bhasa tokenize, tokenizer given": partial(self.tokenize, made),
            "bhasa tokenize": partial(self.tokenize, BpeConfig()),
            "bhasa ingest": self.ingest,
            "bhasa ingest and tokenize, tokenizer given": partial(self.both, made),
        }

    def both(self, tokenizer: HuggingFaceConfig) -> None:
        self.ingest()
        self.tokenize(tokenizer)

    def ingest(self) -> None:
        config = IngestConfig.parse(
            {"sources": [{"kind": "folder", "path": str(self.raw)}], "chat": {"max_pairs": 100}}, "here"
        )
        ingest.run(
            config,
            executor="processes",
            workers=WORKERS,
            raw=[self.raw],
            documents=self.documents,
            chat=self.root / "chat",
            accounts=self.root / "accounts.parquet",
            page=self.root / "data.html",
            report=self.root / "ingest.json",
            tracker=NullTracker(),
        )

    def tokenize(self, tokenizer: BpeConfig | HuggingFaceConfig) -> None:
        tokenize.run(
            TokenizeConfig(tokenizer=tokenizer),
            documents=self.documents,
            chat=self.root / "chat",
            tokenizer=self.tokenizer,
            tokens=self.root / "tokens",
            report=self.root / "tokenize.json",
            tracker=NullTracker(),
        )


def collect(folder: Path, size: int) -> None:
    """Copy installed Python sources in the order of their paths' hashes, `size` bytes or one file more."""
    folder.mkdir()
    roots = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")}
    found = {
        path for root in roots for path in root.rglob("*.py") if path.is_file() and path.stat().st_size > 64
    }
    for number, path in enumerate(
        sorted(found, key=lambda path: hashlib.sha256(str(path).encode()).digest())
    ):
        shutil.copyfile(path, folder / f"{number:06d}.py")
        size -= path.stat().st_size
        if size <= 0:
            return


def _encode(tokenizer: Tokenizer, texts: list[str]) -> None:
    tokenizer.encode_special_tokens = True
    for first in range(0, len(texts), BATCH):
        tokenizer.encode_batch_fast(texts[first : first + BATCH], add_special_tokens=False)


def _rows(timings: dict[str, Timing], size: int) -> Iterator[Row]:
    alone = timings["tokenizers"].median
    for program, timing in timings.items():
        figure = size / timing.median / 1e6
        note = "" if program == "tokenizers" else f"{100 * alone / timing.median:.0f} % of the library's rate"
        case = f"{size / 1e6:.0f} MB of Python sources"
        yield Row(case, program, timing, figure=figure, unit="MB/s", note=note)


if __name__ == "__main__":
    print("the stages say what they do:", file=sys.stderr)
    options.main("data_path", TITLE, measure)
