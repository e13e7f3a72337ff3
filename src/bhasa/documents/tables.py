"""Writing what was kept: Parquet for documents, JSON lines for conversations, one file or more a split.

Rows are in the order given, and nothing of the time or the machine is written, so equal rows are equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from bhasa.dataset import Document, conversation_file, document_file, preference_file
from bhasa.documents.records import Conversation, Messages, Preference

TYPES = {str: pa.string(), int: pa.int64()}
SCHEMA = pa.schema([(name, TYPES[kind]) for name, kind in get_type_hints(Document).items()])
SHARD_BYTES = 256 << 20  # of text, before compression
ROW_GROUP_BYTES = 16 << 20  # what a reader holds in memory at a time


def write_documents(folder: Path, splits: Mapping[str, Iterable[Document]]) -> None:
    """The files of each split, into a folder that exists; an empty split is one file without rows."""
    for split, documents in splits.items():
        for number, groups in groupby(_numbered(documents), key=itemgetter(0)):
            path = folder / document_file(split, number)
            with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
                for _, group in groups:
                    writer.write_table(pa.Table.from_pylist([vars(document) for document in group], SCHEMA))


def _numbered(documents: Iterable[Document]) -> Iterator[tuple[int, list[Document]]]:
    """Row groups, each with the number of its file; a file takes groups until it has `SHARD_BYTES`."""
    number, size = 0, 0
    for group in _row_groups(documents):
        if size >= SHARD_BYTES:
            number, size = number + 1, 0
        yield number, group
        size += sum(document.bytes for document in group)


def _row_groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Runs of documents of at least `ROW_GROUP_BYTES` together, the last one shorter; at least one run."""
    group: list[Document] = []
    size = 0
    for document in documents:
        if size >= ROW_GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(document)
        size += document.bytes
    yield group


def write_conversations(folder: Path, splits: Mapping[str, Iterable[Conversation]]) -> None:
    """A file for each split, into a folder that exists."""
    for split, conversations in splits.items():
        with (folder / conversation_file(split)).open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(_line(conversation) for conversation in conversations)


def write_preferences(folder: Path, splits: Mapping[str, Iterable[Preference]]) -> None:
    """A file for each split, into a folder that exists."""
    for split, preferences in splits.items():
        with (folder / preference_file(split)).open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(_pair_line(preference) for preference in preferences)


def _line(conversation: Conversation) -> str:
    return _json({"id": conversation.id, "messages": _objects(conversation.messages)})


def _pair_line(preference: Preference) -> str:
    answers = {name: _objects(getattr(preference, name)) for name in ("prompt", "chosen", "rejected")}
    return _json({"id": preference.id} | answers)


def _objects(messages: Messages) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in messages]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
