"""`ingest.json`: every file that was found, and what became of it.

Counts that experiments are compared by are mappings, which DVC shows as metrics; breakdowns are lists,
which it passes over.

files.in = kept + duplicate + skipped + quarantined, always. Of a folder of the user's every file is listed;
of the Python library only those that were not kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bhasa.documents.config import FolderSource, Source
from bhasa.documents.corpus import Account
from bhasa.documents.files import Conversation, Document, Outcome


def make_report(
    accounts: Sequence[tuple[Source, Sequence[Account]]],
    documents: Mapping[str, Sequence[Document]],
    chat: Mapping[str, Sequence[Conversation]],
) -> dict[str, Any]:
    """The report as plain JSON values; equal inputs give equal reports, key order included."""
    everything = [account for _, of_source in accounts for account in of_source]
    sizes = {split: _sizes(rows) for split, rows in documents.items()}
    return {
        "version": 1,
        "files": _by_outcome(everything),
        "bytes": {
            "in": sum(account.bytes for account in everything),
            "documents": sum(size["bytes"] for size in sizes.values()),
        },
        "reasons": _reasons(everything),
        "media_types": [
            {"media_type": media_type}
            | _by_outcome([account for account in everything if account.media_type == media_type])
            for media_type in sorted({account.media_type for account in everything})
        ],
        "documents": sizes,
        "chat": {split: {"conversations": len(rows)} for split, rows in chat.items()},
        "sources": [_of_source(source, of_source) for source, of_source in accounts],
    }


def _by_outcome(accounts: Sequence[Account]) -> dict[str, int]:
    counts = Counter(account.outcome for account in accounts)
    return {"in": len(accounts)} | {outcome.value: counts[outcome] for outcome in Outcome}


def _reasons(accounts: Sequence[Account]) -> list[dict[str, str | int]]:
    counts = Counter((account.outcome.value, account.reason) for account in accounts if account.reason)
    return [
        {"outcome": outcome, "reason": reason, "files": files}
        for (outcome, reason), files in sorted(counts.items())
    ]


def _sizes(documents: Sequence[Document]) -> dict[str, int]:
    return {"documents": len(documents), "bytes": sum(document.bytes for document in documents)}


def _of_source(source: Source, accounts: Sequence[Account]) -> dict[str, Any]:
    listed = [a for a in accounts if isinstance(source, FolderSource) or a.outcome != Outcome.KEPT]
    return {
        "kind": source.kind,
        "files": _by_outcome(accounts),
        "listed": [_entry(account) for account in listed],
    }


def _entry(account: Account) -> dict[str, Any]:
    entry: dict[str, Any] = {"source": account.source, "outcome": account.outcome.value}
    if account.reason:
        entry["reason"] = account.reason
    if account.details:
        entry["details"] = list(account.details)
    return entry
