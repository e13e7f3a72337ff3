"""What `tokenize` reports: how much text a token holds, where, and which tokens are of use."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from bhasa.dataset import SPLITS
from bhasa.tokens.finished import FinishedFile, Tally, total
from bhasa.tokens.round_trip import token_bytes
from bhasa.tokens.shards import Index
from bhasa.tokens.special import SPECIAL_TOKENS

LONGEST = 20  # tokens that are listed


def documents_report(results: Mapping[str, Sequence[FinishedFile]]) -> dict[str, Any]:
    """Sizes of each split, and of the train split by domain and by language or media type."""
    sizes = {split: _sizes(total(files)) for split, files in results.items()}
    by_domain: dict[str, Tally] = defaultdict(Tally)
    by_kind: dict[str, Tally] = defaultdict(Tally)
    for file in results["train"]:
        for domain, tallies in file.tallies.items():
            for kind, tally in tallies.items():
                by_domain[domain] += tally
                by_kind[kind] += tally
    return {
        "documents": sizes,
        "train_by_domain": {name: _sizes(by_domain[name]) for name in sorted(by_domain)},
        "train_by_kind": {name: _sizes(by_kind[name]) for name in sorted(by_kind)},
        "round_trip": {
            "documents": sum(size["documents"] for size in sizes.values()),
            "inexact": sum(total(files).inexact for files in results.values()),
        },
    }


def chat_report(chat: Index) -> dict[str, Any]:
    """Sizes of each split of the conversations."""
    return {
        split: {
            "conversations": entry.documents,
            "bytes": entry.bytes,
            "tokens": entry.tokens,
            "target_tokens": entry.target_tokens,
            "target_share": round(entry.target_tokens / max(1, entry.tokens), 4),
        }
        for split, entry in chat.splits.items()
    }


def vocabulary_report(tokenizer: Tokenizer, documents: Index, folder: Path) -> dict[str, Any]:
    """Of the tokens in the train split's shards in `folder`: how many are never used, and the longest."""
    counts = _counts(documents, folder, tokenizer.get_vocab_size())
    table = token_bytes(tokenizer) or [
        (tokenizer.id_to_token(i) or "").encode() for i in range(tokenizer.get_vocab_size())
    ]
    lengths = np.array([*map(len, table)])
    text = counts * (lengths > 0)
    used = np.flatnonzero(text)
    longest = used[np.argsort(-lengths[used], kind="stable")][:LONGEST].tolist()
    unused = len(counts) - len(SPECIAL_TOKENS) - len(used)
    return {
        "unused": unused,
        "unused_share": round(unused / len(counts), 4),
        "single_byte_share": round(float(text[lengths == 1].sum() / max(1, text.sum())), 4),
        "longest": [
            {"text": table[i].decode(errors="replace"), "bytes": len(table[i]), "count": int(counts[i])}
            for i in longest
        ],
    }


def _counts(documents: Index, folder: Path, size: int) -> NDArray[np.int64]:
    """(vocabulary,): how often each token comes in the train split."""
    counts = np.zeros(size, np.int64)
    for shard in documents.splits[SPLITS[0]].shards:
        counts += np.bincount(np.load(folder / shard.file, mmap_mode="r"), minlength=size)
    return counts


def _sizes(tally: Tally) -> dict[str, Any]:
    return {
        "documents": tally.documents,
        "bytes": tally.bytes,
        "tokens": tally.tokens,
        "bytes_per_token": round(tally.bytes / max(1, tally.tokens), 4),
    }
