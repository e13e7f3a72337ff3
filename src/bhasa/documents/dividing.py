"""A corpus of few documents: each is divided, in order, into a part for every split.

Whole documents are split by a hash, which leaves splits empty when there are few. Then the end of each
document is tested on and what comes before it chosen by, each as large as its fraction of the text and at
least `min_characters`. A part ends with a paragraph, else with a line, else with a word, whichever is near. A
document too short for that goes whole to train. When none can be divided, that with the first id is tested
on, and the second chosen by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from bhasa.dataset import SPLITS, Document
from bhasa.documents.config import IngestConfig
from bhasa.documents.spool import Spool

FEWEST_GROUPS = 20
"""Documents are divided when they are of no more groups than that, or leave a split empty."""
FIRST_SPLITS = {0: "test", 1: "validation"}
"""Of documents in the order of their ids, where none can be divided."""


def divide(spool: Spool, config: IngestConfig) -> dict[str, str]:
    """Put parts in the place of the documents of `spool` where they are few; the split of each part's group.

    Empty when whole documents can be split, or must be, as `ingest.split_by` says.
    """
    counts = spool.count_documents()
    if not counts or config.split_by != "document":
        return {}
    if spool.count_groups() > FEWEST_GROUPS and all(counts.get(split) for split in SPLITS):
        return {}
    splits: dict[str, str] = {}
    long_enough = any(_cuts(document.text, config) for document in spool.documents())
    spool.replace_documents(_placed(spool.documents(), config, splits, long_enough))
    return splits


def _placed(
    documents: Iterable[Document], config: IngestConfig, splits: dict[str, str], long_enough: bool
) -> Iterator[Document]:
    """The parts; of each group the split is written down."""
    for number, document in enumerate(documents):
        parts = (
            _parts(document, config) if long_enough else [(FIRST_SPLITS.get(number, "train"), document.text)]
        )
        for split, text in parts:
            part = _part(document, split, text)
            splits[part.group] = split
            yield part


def _parts(document: Document, config: IngestConfig) -> list[tuple[str, str]]:
    """Splits and texts; one when the document is too short to be divided."""
    text, cuts = document.text, _cuts(document.text, config)
    if cuts is None:
        return [("train", text)]
    first, second = cuts
    return list(zip(SPLITS, (text[:first], text[first:second], text[second:]), strict=True))


def _border(text: str, place: int, slack: int) -> int:
    """Near `place`, at most `slack` characters away, where a paragraph ends, else a line, else a word; else
    `place`."""
    low, high = max(0, place - slack), min(len(text), place + slack)
    for mark in ("\n\n", "\n", " "):
        before, after = text.rfind(mark, low, place), text.find(mark, place, high)
        found = [at + len(mark) for at in (before, after) if at >= 0]
        if found:
            return min(found, key=lambda at: abs(at - place))
    return place


def _cuts(text: str, config: IngestConfig) -> tuple[int, int] | None:
    """Where the part for validation begins, and that for the test."""
    least = config.min_characters
    validation = max(least, int(config.validation_fraction * len(text)))
    test = max(least, int(config.test_fraction * len(text)))
    if 2 * (validation + test) > len(text):
        return None
    slack = min(validation, test) // 4
    first = _border(text, len(text) - test - validation, slack)
    second = _border(text, len(text) - test, slack)
    return first, second


def _part(document: Document, split: str, text: str) -> Document:
    """A document of its own, in a group of the split."""
    encoded = text.encode()
    group = hashlib.sha256(f"{split} of {document.group}".encode()).hexdigest()
    meta = json.dumps(json.loads(document.meta) | {"part": split}, sort_keys=True)
    identifier = hashlib.sha256(encoded).hexdigest()
    return replace(document, id=identifier, group=group, text=text, bytes=len(encoded), meta=meta)
