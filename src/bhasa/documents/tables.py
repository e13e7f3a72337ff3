"""Writing what was kept: Parquet for documents, JSON lines for conversations, one file or more a split.

Rows are in the order given, and nothing of the time or the machine is written, so equal rows are equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bhasa.documents.files import Conversation, Document

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("media_type", pa.string()),
        ("language", pa.string()),
        ("text", pa.string()),
        ("bytes", pa.int64()),
        ("meta", pa.string()),
    ]
)
SHARD_BYTES = 256 << 20  # of text, before compression
ROW_GROUP_BYTES = 16 << 20  # what a reader holds in memory at a time


def write_documents(folder: Path, splits: Mapping[str, list[Document]]) -> None:
    """`<split>-00000.parquet` and on; an empty split is one file without rows."""
    folder.mkdir()
    for split, documents in splits.items():
        for number, shard in enumerate(_batches(documents, SHARD_BYTES)):
            path = folder / f"{split}-{number:05d}.parquet"
            with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
                for group in _batches(shard, ROW_GROUP_BYTES):
                    writer.write_table(pa.Table.from_pylist([asdict(document) for document in group], SCHEMA))


def _batches(documents: list[Document], limit: int) -> Iterator[list[Document]]:
    """Runs of documents of at least `limit` bytes together, the last one shorter; at least one run."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        if size >= limit:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += document.bytes
    yield batch


def write_conversations(folder: Path, splits: Mapping[str, list[Conversation]]) -> None:
    """`<split>.jsonl`, one conversation a line."""
    folder.mkdir()
    for split, conversations in splits.items():
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(_line(conversation) for conversation in conversations)


def _line(conversation: Conversation) -> str:
    messages = [{"role": role, "content": content} for role, content in conversation.messages]
    return json.dumps({"id": conversation.id, "messages": messages}, ensure_ascii=False) + "\n"
