"""`ingest.json`: counts of what was found, and what became of it.

Counts that experiments are compared by are mappings, which DVC shows as metrics; breakdowns are lists,
which it passes over. The account of each single file is in `accounts.parquet`. Two sums always hold, in all
and for each domain: `files` and `bytes` in are those of all outcomes; `text` found is what was kept, what
cleaning removed from it, and the outcomes of the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bhasa.dataset import SPLITS
from bhasa.documents.accounts import Entry
from bhasa.documents.config import IngestConfig
from bhasa.documents.corpus import Corpus
from bhasa.documents.records import Outcome

REMOVED = "removed by cleaning"


def make_report(config: IngestConfig, corpus: Corpus) -> dict[str, Any]:
    """The report as plain JSON values; equal corpora give equal reports, key order included."""
    files, texts, removed = corpus.accounts.partitions(), corpus.accounts.texts(), corpus.accounts.removed()
    documents = corpus.count_documents()
    conversations, preferences = corpus.count_conversations(), corpus.count_preferences()
    sizes = {split: documents.get(split, (0, 0)) for split in SPLITS}
    return {
        "version": 3,
        **_inputs(files),
        "text": _text(texts, sum(removed.values())),
        "documents": {split: {"documents": count, "bytes": size} for split, (count, size) in sizes.items()},
        "chat": {
            split: {"conversations": conversations.get(split, 0), "preferences": preferences.get(split, 0)}
            for split in SPLITS
        },
        "reasons": _reasons(files, "files"),
        "text_reasons": _reasons(texts, "texts"),
        "cleaning": [{"step": step, "count": n} for step, n in corpus.count_cleaned().items()],
        "media_types": [
            {"media_type": name, **_inputs([entry for entry in files if entry.media_type == name])}
            for name in sorted({entry.media_type for entry in files})
        ],
        "domains": [
            {
                "domain": source.domain,
                "kind": source.kind,
                **_inputs([entry for entry in files if entry.place == place]),
                "text": _text([entry for entry in texts if entry.place == place], removed.get(place, 0)),
            }
            for place, source in enumerate(config.sources)
        ],
    }


def _inputs(entries: Sequence[Entry]) -> dict[str, Any]:
    files = _by_outcome((entry.outcome, entry.number) for entry in entries)
    sizes = _by_outcome((entry.outcome, entry.bytes) for entry in entries)
    return {"files": {"in": sum(files.values())} | files, "bytes": {"in": sum(sizes.values())} | sizes}


def _text(entries: Sequence[Entry], removed: int) -> dict[str, int]:
    """In bytes; of what was kept, cleaning may also have added some."""
    sizes = _by_outcome((entry.outcome, entry.bytes) for entry in entries)
    found = sum(sizes.values())
    sizes[Outcome.KEPT.value] -= removed
    return {"found": found} | sizes | {REMOVED: removed}


def _by_outcome(numbers: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums = {outcome.value: 0 for outcome in Outcome}
    for outcome, number in numbers:
        sums[outcome] += number
    return sums


def _reasons(entries: Sequence[Entry], unit: str) -> list[dict[str, str | int]]:
    """Why what was not kept was not."""
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        if entry.reason:
            counts[entry.outcome, entry.reason] += entry.number
            sizes[entry.outcome, entry.reason] += entry.bytes
    return [
        {"outcome": outcome, "reason": reason, unit: count, "bytes": sizes[outcome, reason]}
        for (outcome, reason), count in sorted(counts.items())
    ]
