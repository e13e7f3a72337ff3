"""The records of files that take long to parse, so that what did not change is not parsed again.

An entry is known by the content of the file, its reader and the version of code and libraries. It holds what
the reader found, before cleaning, after the SHA-256 of that; an entry that is not whole counts as none.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from bhasa.documents import wire
from bhasa.documents.readers import PLAIN
from bhasa.documents.wire import Job, Result

DIGEST_BYTES = 32
CHEAP = {PLAIN, wire.RECORDS}  # to read again is as fast as to look it up


class ParseCache:
    def __init__(self, folder: Path, version: str) -> None:
        self._folder, self._version = folder, version
        folder.mkdir(parents=True, exist_ok=True)

    def look_up(self, job: Job) -> Job:
        """The job on the records that are known, or with the key under which they are to be kept."""
        if job.module in CHEAP:
            return job
        about = f"{self._version} {job.module} {job.name} {hashlib.sha256(job.content).hexdigest()}"
        key = hashlib.sha256(about.encode()).hexdigest()
        with suppress(OSError):
            stored = (self._folder / key).read_bytes()
            records = stored[DIGEST_BYTES:]
            if hashlib.sha256(records).digest() == stored[:DIGEST_BYTES]:
                os.utime(self._folder / key)
                return replace(job, module=wire.RECORDS, content=records)
        return replace(job, key=key)

    def keep(self, key: str, results: Iterator[Result | None]) -> Iterator[Result | None]:
        """The results of one job up to its None; their records are kept if every one has come."""
        records: BytesIO | None = BytesIO()
        for result in results:
            if result is None:
                if records is not None:
                    self._write(key, records.getvalue())
                yield None
                return
            if records is not None and result.record:
                records.write(result.record)
            else:
                records = None  # its worker died
            yield result

    def remove_unused(self, since: float) -> None:
        """Entries that nobody used after that moment, in seconds since 1970."""
        for path in self._folder.iterdir():
            with suppress(OSError):
                if path.stat().st_mtime < since:
                    path.unlink()

    def _write(self, key: str, records: bytes) -> None:
        """Without an entry the file is parsed again, so a full disk is no error here."""
        draft = self._folder / f"{key}.{os.getpid()}"
        try:
            draft.write_bytes(hashlib.sha256(records).digest() + records)
            draft.replace(self._folder / key)
        except OSError:
            draft.unlink(missing_ok=True)
