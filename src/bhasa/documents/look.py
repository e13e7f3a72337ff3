"""What there is to see of a corpus, read off its Parquet files and its accounts in memory that does not grow.

Everything is a function of those files and of the samples of dropped texts that the caller hands over, so
that equal corpora look equal.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bhasa.dataset import SPLITS
from bhasa.documents.records import Outcome

SAMPLES_OF_A_DOMAIN, SAMPLES_OF_A_REASON = 3, 3
MOST_DOMAINS, MOST_REASONS = 10, 30  # that are sampled
MOST_DUPLICATED = 10
SAMPLE_CHARACTERS = 600
DUPLICATES_COUNTED = 100_000  # at once; the rarer half of more than that is forgotten
BATCH = 10_000
# Control characters, and marks that change the direction of text, hide it or stand for nothing.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)
COUNTED = ["id", "domain", "media_type", "language", "bytes", "meta"]
LIKE = ("same as ", "like ")  # how an account's details name what it is equal to


@dataclass(frozen=True)
class Sample:
    source: str
    about: tuple[str, ...]
    """What is known of it: split, media type and language, or details of its account."""
    bytes: int
    text: str = ""


Dropped = tuple[str, str, Sample]
"""The outcome and the reason of a text that is not kept, and how it begins."""


@dataclass
class Look:
    sizes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    """Bytes of the documents of each split."""
    lengths: dict[str, Counter[int]] = field(default_factory=lambda: {split: Counter() for split in SPLITS})
    """Of each split, documents by the bits of their bytes: 10 is 512 to 1,023 bytes."""
    media_types: Counter[str] = field(default_factory=Counter)
    """Of documents that are kept, as `languages` and `encodings` are."""
    languages: Counter[str] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    """Where a reader had to find one."""
    kept: list[Sample] = field(default_factory=list)
    """Of each domain those with the first ids, which are hashes."""
    dropped: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    """By outcome and reason, the first in the order of reading: texts, or partitions where there are none."""
    duplicated: list[tuple[str, int]] = field(default_factory=list)
    """What most partitions are equal to or nearly equal to, and how many are."""


def visible(text: str) -> str:
    """With characters that would not be seen, or would change how others are seen, spelt out."""
    return HIDDEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def look_at(documents: Path, accounts: Path, dropped: Iterable[Dropped] = ()) -> Look:
    """At a folder of documents by split, what became of all partitions, and texts that were dropped."""
    look = Look()
    for outcome, reason, sample in dropped:
        _keep_sample(look, (outcome, reason), sample)
    chosen: dict[str, list[str]] = {}
    for split in SPLITS:
        for row in _rows(_files(documents, split), COUNTED):
            _count(look, split, row)
            ids = chosen.setdefault(row["domain"], [])
            if len(ids) < SAMPLES_OF_A_DOMAIN:
                ids.append(row["id"])
    wanted = {identifier for domain in list(chosen)[:MOST_DOMAINS] for identifier in chosen[domain]}
    if wanted:
        look.kept = [sample for split in SPLITS for sample in _samples(documents, split, wanted)]
    if accounts.is_file():
        _look_at_accounts(look, accounts)
    return look


def _files(documents: Path, split: str) -> list[Path]:
    return sorted(documents.glob(f"{split}-*.parquet"))


def _rows(files: Iterable[Path], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH, columns=list(columns)):
                yield from batch.to_pylist()


def _count(look: Look, split: str, row: dict[str, Any]) -> None:
    look.sizes[split] += row["bytes"]
    look.lengths[split][row["bytes"].bit_length()] += 1
    look.media_types[row["media_type"]] += 1
    look.languages[row["language"]] += 1
    if '"encoding"' in row["meta"]:
        look.encodings[str(json.loads(row["meta"])["encoding"])] += 1


def _samples(documents: Path, split: str, wanted: set[str]) -> Iterator[Sample]:
    """Only the row groups that hold some are read, since rows are in the order of ids."""
    columns = ["domain", "source", "media_type", "language", "bytes", "text"]
    for path in _files(documents, split):
        for row in pq.read_table(path, columns=columns, filters=[("id", "in", wanted)]).to_pylist():
            about = (row["domain"], split, row["media_type"], row["language"])
            yield Sample(row["source"], about, row["bytes"], row["text"][:SAMPLE_CHARACTERS])


def _look_at_accounts(look: Look, accounts: Path) -> None:
    equal: Counter[str] = Counter()
    shown = set(look.dropped)  # by texts, which say more
    columns = ["source", "outcome", "media_type", "bytes", "reason", "details"]
    for row in _rows([accounts], columns):
        kind = (row["outcome"], row["reason"])
        if row["outcome"] != Outcome.KEPT and kind not in shown:
            about = (row["media_type"], *row["details"][:2])
            _keep_sample(look, kind, Sample(row["source"], about, row["bytes"]))
        for detail in row["details"]:
            if row["outcome"] in (Outcome.DUPLICATE, Outcome.NEAR_DUPLICATE) and detail.startswith(LIKE):
                equal[detail] += 1
        if len(equal) > DUPLICATES_COUNTED:
            equal = Counter(dict(equal.most_common(DUPLICATES_COUNTED // 2)))
    look.duplicated = equal.most_common(MOST_DUPLICATED)


def _keep_sample(look: Look, kind: tuple[str, str], sample: Sample) -> None:
    if kind in look.dropped or len(look.dropped) < MOST_REASONS:
        samples = look.dropped.setdefault(kind, [])
        if len(samples) < SAMPLES_OF_A_REASON:
            samples.append(sample)
