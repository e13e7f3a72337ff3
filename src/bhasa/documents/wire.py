"""How jobs, records and what became of them are written as bytes: JSON and text, never pickle.

A message is a JSON object and a body of bytes; messages stand one after another. They pass between the
process that runs ingest and its workers, and rows without bytes of their own are handed over as messages too.
What comes from a worker may have been made by a hostile file: whatever is wrong with it is a `ValueError`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

from bhasa.dataset import Document
from bhasa.documents.prepare import Prepared
from bhasa.documents.records import (
    Conversation,
    Messages,
    Outcome,
    Preference,
    Record,
    Refused,
    Text,
)

RECORDS = "bhasa.documents.wire"
"""The module whose `read` gives records that were written by `pack_records`."""

Packed = bytes

_SIZES = struct.Struct(">IQ")  # of the JSON and of the body, in bytes


class Message(NamedTuple):
    values: dict[str, Any]
    body: memoryview


@dataclass(frozen=True)
class Job:
    """A partition for a worker to read."""

    name: str
    media_type: str
    language: str
    domain: str
    module: str
    """The reader's."""
    content: bytes
    skip: int = 0
    """So many results are known already: the worker starts to answer after them."""
    key: str = ""
    """Set where the reader's records are wanted too, see `parse_cache.py`."""
    alone: bool = False
    """Each result is sent at once, since the next one may be the worker's end."""


@dataclass(frozen=True)
class Result:
    """What became of one record."""

    found: Prepared | Conversation | Preference | Refused
    bytes: int
    """Of the text that the reader gave, in UTF-8; 0 where there is none."""
    media_type: str
    record: Packed = b""
    """By `pack_record`, where it is wanted."""


def pack(values: Mapping[str, Any], body: bytes = b"") -> bytes:
    header = json.dumps(values).encode()
    return b"".join((_SIZES.pack(len(header), len(body)), header, body))


END = pack({"end": True})
"""A job's results have all been sent."""


def cannot(reason: str) -> bytes:
    """No job of this kind can be done in this installation."""
    return pack({"cannot": reason})


def unpack(packed: bytes) -> Iterator[Message]:
    view, start = memoryview(packed), 0
    while start < len(view):
        if len(view) - start < _SIZES.size:
            raise ValueError("a message that is cut")
        header, body = _SIZES.unpack_from(view, start)
        middle = start + _SIZES.size + header
        end = middle + body
        if end > len(view):
            raise ValueError("a message that is cut")
        yield Message(json.loads(bytes(view[middle - header : middle])), view[middle:end])
        start = end


def pack_job(job: Job) -> bytes:
    values = {name: value for name, value in vars(job).items() if name != "content"}
    return pack(values, job.content)


def unpack_job(message: Message) -> Job:
    return Job(**message.values, content=bytes(message.body))


def pack_records(records: Iterable[Record | Refused]) -> bytes:
    return b"".join(map(pack_record, records))


def pack_record(record: Record | Refused) -> bytes:
    match record:
        case Text():
            values = {name: value for name, value in vars(record).items() if name != "text"}
            return pack({"text": values}, record.text.encode("utf-8", "surrogatepass"))
        case Conversation() | Preference():
            return pack(_chat(record))
    return pack(_refused(record))


def read(content: bytes, name: str) -> Iterator[Record | Refused]:
    """The records that `pack_records` wrote."""
    return map(_record, unpack(content))


def _record(message: Message) -> Record | Refused:
    values, body = message
    if "text" in values:
        return Text(text=str(body, "utf-8", "surrogatepass"), **values["text"])
    return _chat_or_refused(values)


def pack_result(result: Result) -> bytes:
    beside = {"bytes": result.bytes, "media_type": result.media_type, "record": len(result.record)}
    if not isinstance(result.found, Prepared):
        found = result.found
        return pack(beside | (_refused(found) if isinstance(found, Refused) else _chat(found)), result.record)
    prepared = result.found
    document = dict(vars(prepared.document))
    text = document.pop("text").encode()
    values = {"document": document, "counts": dict(prepared.counts), "signature": len(prepared.signature)}
    return pack(beside | values, result.record + prepared.signature + text)


def unpack_result(message: Message) -> Result:
    values, body = message
    record, body = bytes(body[: values["record"]]), body[values["record"] :]
    beside = (values["bytes"], values["media_type"], record)
    if "document" not in values:
        return Result(_chat_or_refused(values), *beside)
    middle = values["signature"]
    document = Document(text=str(body[middle:], "utf-8"), **values["document"])
    return Result(Prepared(document, values["counts"], bytes(body[:middle])), *beside)


def _refused(refused: Refused) -> dict[str, Any]:
    return {"refused": [refused.outcome.value, refused.reason, refused.part, refused.excerpt]}


def _chat(record: Conversation | Preference) -> dict[str, Any]:
    return {"conversation" if isinstance(record, Conversation) else "preference": astuple(record)}


def _chat_or_refused(values: Mapping[str, Any]) -> Conversation | Preference | Refused:
    match values:
        case {"conversation": [messages, *rest]}:
            return Conversation(_messages(messages), *rest)
        case {"preference": [prompt, chosen, rejected, *rest]}:
            return Preference(_messages(prompt), _messages(chosen), _messages(rejected), *rest)
        case {"refused": [outcome, reason, part, str(excerpt)]}:
            return Refused(Outcome(outcome), reason, part, excerpt)
    raise ValueError("neither a record nor a refusal")


def _messages(pairs: list[list[str]]) -> Messages:
    return tuple((role, content) for role, content in pairs)
