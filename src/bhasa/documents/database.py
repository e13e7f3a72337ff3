"""The SQLite file that ingest gathers everything in: it grows with the corpus, and memory does not.

It is for one process at a time. Everything up to the last `commit` outlives a process that is killed, and
what came after it is gone.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Self

CACHE_BYTES = 64 << 20
OPENING = (
    "PRAGMA page_size = 16384",  # texts are mostly longer than the usual 4096
    "PRAGMA journal_mode = TRUNCATE",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA locking_mode = EXCLUSIVE",
    f"PRAGMA cache_size = -{CACHE_BYTES >> 10}",  # KiB
)


class Database:
    """Opens what is there if it was made under the same identity, else begins an empty one."""

    def __init__(self, path: Path, identity: str = "") -> None:
        self.path, self.identity = path, identity
        self._open()
        try:
            same = self._found_identity() == identity
        except sqlite3.DatabaseError:  # not whole
            same = False
        if not same:
            self.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self.connection.execute(statement, values)
        except sqlite3.OperationalError:
            self._require_writable()
            raise

    def commit(self) -> None:
        self.execute("COMMIT")
        self.execute("BEGIN")

    def clear(self) -> None:
        """Forget everything that was ever committed."""
        self.connection.close()
        for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            path.unlink(missing_ok=True)
        self._open()
        self._begin()
        self.execute("CREATE TABLE identity (of)")
        self.execute("INSERT INTO identity VALUES (?)", self.identity)

    def _open(self) -> None:
        self.connection = sqlite3.connect(self.path, isolation_level=None)

    def _begin(self) -> None:
        for statement in (*OPENING, "BEGIN"):
            self.execute(statement)

    def _found_identity(self) -> str | None:
        """None where nothing was committed."""
        self._begin()
        if self.execute("SELECT 1 FROM sqlite_master WHERE name = 'identity'").fetchone() is None:
            return None
        return str(self.execute("SELECT of FROM identity").fetchone()[0])

    def _require_writable(self) -> None:
        """SQLite keeps to itself why it cannot write: ask the system, by as much as it may have had to."""
        try:
            with self.path.open("ab", buffering=0) as stream:
                end, rest = stream.tell(), memoryview(bytes(CACHE_BYTES))
                try:
                    while rest:  # a disk that is nearly full takes a part of it first
                        rest = rest[stream.write(rest) :]
                finally:
                    stream.truncate(end)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None
