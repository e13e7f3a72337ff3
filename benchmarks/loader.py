"""Batches of random windows from a memory map, and the first batch of a resumed run."""

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks import options
from bhasa.measure import limits
from bhasa.measure.table import Row
from bhasa.measure.timing import Job
from bhasa.tokens.loader import Batch, WindowLoader
from bhasa.tokens.shard_reader import TokenSplit, open_split
from bhasa.tokens.shard_writer import TokenDocument, write_tokens
from bhasa.tokens.shards import TOKENIZER_FILE

TITLE = "Loader: inputs, targets and segment ids of random windows"
TOKENS, QUICK_TOKENS = 100_000_000, 100_000
DOCUMENT = 1500  # tokens
CASES = {"64 x 1,024": (64, 1024), "8 x 256": (8, 256)}
CALLS = 200  # batches of one timing
RESUMED_AT = 1_000_000


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    with tempfile.TemporaryDirectory() as root:
        split = _split(Path(root), QUICK_TOKENS if given.quick else TOKENS)
        copied = limits.copy_rate(8 * 64 * 1024 * 3)
        return {"copy of a batch": copied}, [*_throughput(given, split, copied), *_resume(given, split)]


def _throughput(given: options.Options, split: TokenSplit, copied: float) -> Iterator[Row]:
    for case, (rows, context) in CASES.items():
        tokens = rows * context * CALLS
        jobs = {
            "bhasa": _ours(WindowLoader(split, context, seed=1), rows),
            "a slice for each row": _simple(split, rows, context),
        }
        timings = given.timed(jobs)
        for program, timing in timings.items():
            yield Row(
                case,
                program,
                timing,
                24 * tokens / copied,  # three int64 arrays are written
                figure=tokens / timing.median / 1e6,
                unit="M tokens/s",
                note="" if program == "bhasa" else "no segment ids; tokens may repeat within an epoch",
            )


def _resume(given: options.Options, split: TokenSplit) -> Iterator[Row]:
    def first_batch() -> Batch:
        return WindowLoader(split, 1024, seed=1).batch(RESUMED_AT, 64)

    timing = given.timed({"bhasa": first_batch})["bhasa"]
    yield Row("first batch at step 1,000,000", "bhasa", timing, figure=1e3 * timing.median, unit="ms")


def _ours(loader: WindowLoader, rows: int) -> Job:
    steps = count()

    def job() -> None:
        for _ in range(CALLS):
            loader.batch(next(steps), rows)

    return job


def _simple(split: TokenSplit, rows: int, context: int) -> Job:
    """As nanoGPT's get_batch: slices of a memory map from places drawn anew, each converted, then stacked."""
    data = np.load(split.folder / split.index.shards[0].file, mmap_mode="r")
    draw = np.random.default_rng(1)

    def job() -> None:
        for _ in range(CALLS):
            starts = draw.integers(len(data) - context - 1, size=rows)
            np.stack([data[i : i + context].astype(np.int64) for i in starts])
            np.stack([data[i + 1 : i + 1 + context].astype(np.int64) for i in starts])

    return job


def _split(root: Path, tokens: int) -> TokenSplit:
    """Random ids in documents of one length, all of their pages in memory."""
    (root / "tokenizer").mkdir()
    (root / "tokenizer" / TOKENIZER_FILE).write_text("{}")
    ids = np.random.default_rng(0).integers(1, 4096, (tokens // DOCUMENT, DOCUMENT))
    ids[:, 0] = 0
    documents = (TokenDocument(document, DOCUMENT) for document in ids)
    write_tokens(
        root / "tokens", {"train": documents}, vocab_size=4096, tokenizer=root / "tokenizer", masked=False
    )
    split = open_split(root / "tokens", "train", tokenizer=root / "tokenizer")
    split.read(0, split.tokens)
    return split


if __name__ == "__main__":
    options.main("loader", TITLE, measure)
