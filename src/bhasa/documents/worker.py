"""The process that reads files for ingest: bytes in, results out, over one socket, until it is closed.

Run as `python -m bhasa.documents.worker DESCRIPTOR`, with the config as the first message. Whatever a reader
raises is its file's fault alone. Where memory runs out nothing in the process is to be trusted any more, so
it ends with `NO_MEMORY`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from multiprocessing.connection import Connection

from bhasa.documents import wire
from bhasa.documents.config import IngestConfig
from bhasa.documents.prepare import prepare
from bhasa.documents.prose import load
from bhasa.documents.records import Conversation, Preference, Record, Refused, Text, quarantined
from bhasa.documents.sandbox import Sandbox
from bhasa.documents.wire import Job, Result

NO_MEMORY = 71  # exit code
FLUSH_BYTES, FLUSH_SECONDS = 256 << 10, 1.0
MAX_RECORDS = 10_000_000  # of one partition
MAX_TEXT_BYTES = 2 << 30  # of all its records together


def main() -> None:
    logging.disable()  # libraries warn of every oddity in a file
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    with Connection(int(sys.argv[1])) as pipe, suppress(EOFError, ConnectionError):  # the parent closed it
        config = IngestConfig.parse(json.loads(pipe.recv_bytes()), "ingest")
        load(config)
        sandbox = Sandbox()
        pipe.send_bytes(b"ready")
        try:
            _serve(pipe, config, sandbox)
        except MemoryError:
            os._exit(NO_MEMORY)


def _serve(pipe: Connection, config: IngestConfig, sandbox: Sandbox) -> None:
    while True:
        jobs = map(wire.unpack_job, wire.unpack(pipe.recv_bytes()))
        outbox = Outbox(pipe)
        for job in jobs:
            if problem := _import(job.module, sandbox):
                outbox.add(wire.cannot(problem))
            else:
                _answer(job, config, sandbox, outbox)
        outbox.flush()


def _import(module: str, sandbox: Sandbox) -> str:
    """Why there is no such reader here, or nothing."""
    if module not in sys.modules:
        try:
            with sandbox.left():
                import_module(module)
        except ImportError as error:
            return str(error)
    return ""


def _answer(job: Job, config: IngestConfig, sandbox: Sandbox, outbox: Outbox) -> None:
    size = len(job.content)
    sandbox.allow_memory(size)
    sandbox.allow_time(size)
    for number, result in enumerate(results(job, config)):
        if number >= job.skip:
            outbox.add(wire.pack_result(result), now=job.alone)
        sandbox.allow_time(size)
    outbox.add(wire.END)


class Outbox:
    """Gathers messages and sends them by `FLUSH_BYTES`, and when `FLUSH_SECONDS` have passed."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._messages: list[bytes] = []
        self._size = 0
        self._flushed = time.monotonic()

    def add(self, message: bytes, *, now: bool = False) -> None:
        self._messages.append(message)
        self._size += len(message)
        if now or self._size >= FLUSH_BYTES or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        self._pipe.send_bytes(b"".join(self._messages))
        self._messages, self._size, self._flushed = [], 0, time.monotonic()


def results(job: Job, config: IngestConfig) -> Iterator[Result]:
    """What becomes of each record of a partition, in the reader's order; a pure function of both."""
    total = 0
    try:
        for number, record in enumerate(import_module(job.module).read(job.content, job.name)):
            result = _result(record, job, config)
            if job.key:
                result = replace(result, record=wire.pack_record(record))
            total += result.bytes
            if total > MAX_TEXT_BYTES or number == MAX_RECORDS:
                raise quarantined("more text than one file may give", "the rest")
            yield result
    except Refused as refusal:
        yield Result(refusal, 0, job.media_type, wire.pack_record(refusal) if job.key else b"")
    except MemoryError:
        raise
    except Exception as error:
        yield Result(quarantined(f"its reader failed ({type(error).__name__})"), 0, job.media_type)


def _result(record: Record | Refused, job: Job, config: IngestConfig) -> Result:
    match record:
        case Refused():
            return Result(record, 0, job.media_type)
        case Text(text=text):
            found = prepare(record, job, job.domain, config)
            if isinstance(found, Refused):
                found.part = found.part or record.part
            return Result(found, _size(text), record.media_type or job.media_type)
        case Conversation(messages=messages):
            turns = messages
        case Preference(prompt=prompt, chosen=chosen, rejected=rejected):
            turns = prompt + chosen + rejected
    return Result(record, sum(_size(content) for _, content in turns), job.media_type)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


if __name__ == "__main__":
    main()
