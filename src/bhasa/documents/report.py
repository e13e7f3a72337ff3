"""`ingest.json`: counts of what was found, and what became of it.

Counts that experiments are compared by are mappings, which DVC shows as metrics; breakdowns are lists,
which it passes over. The account of each single file is in `accounts.parquet`.

files.in = kept + duplicate + skipped + quarantined, always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bhasa.dataset import SPLITS
from bhasa.documents.accounts import Accounts, Kind
from bhasa.documents.records import Outcome
from bhasa.documents.source_configs import SourceConfig


def make_report(
    sources: Sequence[SourceConfig],
    accounts: Accounts,
    documents: Mapping[str, tuple[int, int]],
    conversations: Mapping[str, int],
    preferences: Mapping[str, int],
) -> dict[str, Any]:
    """The report as plain JSON values; equal inputs give equal reports, key order included.

    `documents` are counts and bytes by split, the others counts by split; a split without any may lack.
    """
    counts = accounts.count
    sizes = {split: documents.get(split, (0, 0)) for split in SPLITS}
    return {
        "version": 2,
        "files": _by_outcome(counts),
        "bytes": {"in": accounts.bytes.total(), "documents": sum(size for _, size in sizes.values())},
        "reasons": _reasons(accounts),
        "media_types": [
            {"media_type": name} | _by_outcome({k: n for k, n in counts.items() if k.media_type == name})
            for name in sorted({kind.media_type for kind in counts})
        ],
        "documents": {split: {"documents": count, "bytes": size} for split, (count, size) in sizes.items()},
        "chat": {
            split: {"conversations": conversations.get(split, 0), "preferences": preferences.get(split, 0)}
            for split in SPLITS
        },
        "sources": [
            {
                "kind": config.kind,
                "files": _by_outcome({k: n for k, n in counts.items() if k.source == place}),
            }
            for place, config in enumerate(sources)
        ],
    }


def _by_outcome(counts: Mapping[Kind, int]) -> dict[str, int]:
    outcomes = {outcome.value: 0 for outcome in Outcome}
    for kind, count in counts.items():
        outcomes[kind.outcome.value] += count
    return {"in": sum(outcomes.values())} | outcomes


def _reasons(accounts: Accounts) -> list[dict[str, str | int]]:
    """Files and bytes by why they were not kept."""
    files: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for kind, count in accounts.count.items():
        if kind.reason:
            files[kind.outcome.value, kind.reason] += count
            sizes[kind.outcome.value, kind.reason] += accounts.bytes[kind]
    return [
        {"outcome": outcome, "reason": reason, "files": count, "bytes": sizes[outcome, reason]}
        for (outcome, reason), count in sorted(files.items())
    ]
