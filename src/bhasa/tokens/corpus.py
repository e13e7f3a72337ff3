"""Reading what `ingest` wrote, one part at a time, so that memory does not grow with the corpus."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bhasa.dataset import ROLES, conversation_file, document_file
from bhasa.errors import FileError
from bhasa.tokens.chat import Message

BATCH_ROWS = 64  # documents held in memory at a time


class DocumentText(NamedTuple):
    """What most read of a document."""

    text: str
    bytes: int


class IdentifiedText(NamedTuple):
    """What a tokenizer is learned from."""

    id: str
    text: str


class LabelledText(NamedTuple):
    """What `tokenize` reads of it."""

    domain: str
    media_type: str
    language: str
    text: str
    bytes: int


def read_documents(folder: Path, split: str) -> Iterator[DocumentText]:
    """The documents of a split in the order of the files."""
    for path in document_files(folder, split):
        yield from map(DocumentText._make, _rows(path, DocumentText._fields))


def read_labelled(path: Path) -> Iterator[LabelledText]:
    """The documents of one file."""
    return map(LabelledText._make, _rows(path, LabelledText._fields))


def read_identified(path: Path) -> Iterator[IdentifiedText]:
    """The documents of one file."""
    return map(IdentifiedText._make, _rows(path, IdentifiedText._fields))


def read_columns(path: Path, *columns: str) -> Iterator[tuple[list[Any], ...]]:
    """Columns of one file, some rows at a time."""
    with _explained(path), pq.ParquetFile(path) as table:
        for rows in table.iter_batches(BATCH_ROWS, columns=[*columns]):
            yield tuple(rows[name].to_pylist() for name in columns)


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    for some in read_columns(path, *columns):
        yield from zip(*some, strict=True)


def count_bytes(folder: Path, split: str) -> int:
    """UTF-8 bytes of all texts of a split, without reading them."""
    total = 0
    for path in document_files(folder, split):
        with _explained(path), pq.ParquetFile(path) as table:
            total += sum(table.read(columns=["bytes"])["bytes"].to_pylist())
    return total


def document_files(folder: Path, split: str) -> list[Path]:
    """`<split>-00000.parquet` and on, without a gap."""
    found = sorted(folder.glob(f"{split}-*.parquet"))
    expected = [folder / document_file(split, number) for number in range(max(1, len(found)))]
    missing = sorted(set(expected) - set(found))
    if missing:
        raise FileError(missing[0], "no such file")
    return expected


def read_conversations(folder: Path, split: str) -> Iterator[list[Message]]:
    """The conversations of a split, one for each line of `<split>.jsonl`."""
    path = folder / conversation_file(split)
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                yield _messages(line, path, number)
    except FileNotFoundError:
        raise FileError(path, "no such file") from None


def count_conversations(folder: Path, split: str) -> int:
    """How many conversations a split has; every one of them is checked."""
    return sum(1 for _ in read_conversations(folder, split))


def _messages(line: bytes, path: Path, number: int) -> list[Message]:
    try:
        messages = json.loads(line)["messages"]
        if messages and all(_is_message(message) for message in messages):
            return [Message(role=message["role"], content=message["content"]) for message in messages]
    except (ValueError, KeyError, TypeError):
        pass
    raise FileError(
        path,
        f'line {number}: not a conversation; expected {{"messages": [{{"role": ..., "content": text}}, ...]}}'
        f" with the roles {', '.join(ROLES)}",
    )


def _is_message(message: Any) -> bool:
    content = message["content"]
    if not isinstance(content, str):
        return False
    content.encode()  # raises for half a surrogate pair, which JSON can spell and no text holds
    return message["role"] in ROLES


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise FileError(path, f"truncated or not a Parquet file of documents ({reason})") from None
