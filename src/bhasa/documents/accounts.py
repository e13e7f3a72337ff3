"""Two ledgers: what became of every partition, and of every text that a reader found in one.

Each partition has one account, in the order in which they were read; `accounts.parquet` has a row for each.
Bytes of partitions are those of the files. Bytes of texts are those that readers gave, before cleaning; a
text that is a document in the spool is counted there, since it may still turn out to be a near duplicate.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bhasa.documents.database import Database
from bhasa.documents.records import Outcome
from bhasa.documents.spool import REMAINS

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("outcome", pa.string()),
        ("media_type", pa.string()),
        ("bytes", pa.int64()),
        ("reason", pa.string()),
        ("details", pa.list_(pa.string())),
        ("text_bytes", pa.int64()),
        ("kept_bytes", pa.int64()),
    ]
)
ROW_GROUP = 10_000
NEARLY_EQUAL_TEXT = "nearly equal text"
TABLES = (
    "CREATE TABLE IF NOT EXISTS accounts (number INTEGER PRIMARY KEY, place, source, stamp, outcome, "
    "media_type, bytes, reason, details, text_bytes, chats)",
    "CREATE TABLE IF NOT EXISTS texts (account, outcome, media_type, reason, texts, bytes)",
)


@dataclass(frozen=True)
class Account:
    """What became of one partition."""

    place: int
    """Of its source in `ingest.sources`."""
    source: str
    """Its name."""
    stamp: str
    """Tells whether it is still the same."""
    outcome: Outcome
    media_type: str
    bytes: int
    reason: str = ""
    details: tuple[str, ...] = ()
    """What it is a duplicate of; the parts that were not taken."""
    text_bytes: int = 0
    """Of all texts that its reader gave."""
    chats: int = 0
    """Conversations and preferences kept."""
    texts: Counter[tuple[Outcome, str, str]] = field(default_factory=Counter)
    """Texts by outcome, media type and reason, without those that are documents in the spool."""
    sizes: Counter[tuple[Outcome, str, str]] = field(default_factory=Counter)
    """Their bytes."""

    @property
    def read_bytes(self) -> int:
        """Of what is skipped next to nothing is read, whatever its size."""
        return 0 if self.outcome == Outcome.SKIPPED else self.bytes


class Entry(NamedTuple):
    """A sum in one of the ledgers."""

    place: int
    outcome: str
    media_type: str
    reason: str
    number: int
    bytes: int


class Accounts:
    """In the tables of a database; `len` is how many there are."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute
        for table in TABLES:
            self._execute(table)
        (self._count,) = self._execute("SELECT count(*) FROM accounts").fetchone()

    def __len__(self) -> int:
        return int(self._count)

    def add(self, account: Account) -> None:
        """The next one."""
        row = (
            *(len(self), account.place, account.source, account.stamp, account.outcome, account.media_type),
            *(account.bytes, account.reason, json.dumps(account.details), account.text_bytes, account.chats),
        )
        self._execute(f"INSERT INTO accounts VALUES ({', '.join('?' * len(row))})", *row)
        for kind, texts in account.texts.items():
            texts_row = (len(self), *kind, texts, account.sizes[kind])
            self._execute("INSERT INTO texts VALUES (?, ?, ?, ?, ?, ?)", *texts_row)
        self._count += 1

    def known(self) -> Iterator[tuple[str, str, int]]:
        """Name and stamp of each partition in order, and its bytes if it was read."""
        size = f"CASE outcome WHEN '{Outcome.SKIPPED}' THEN 0 ELSE bytes END"
        yield from self._execute(f"SELECT source, stamp, {size} FROM accounts ORDER BY number")

    def settle(self) -> None:
        """A partition of which only near duplicates were left is one itself; called when these are known."""
        self._execute(
            f"UPDATE accounts SET outcome = ?, reason = '{NEARLY_EQUAL_TEXT}', "
            "details = json_insert(details, '$[#]', printf('like %s (%.2f)', found.source, similarity)) "
            "FROM (SELECT d.account AS account, min(document), o.source AS source, similarity "
            "FROM near_duplicates "
            'JOIN documents AS d ON d.rowid = document JOIN documents AS o ON o.rowid = "like" '
            "GROUP BY d.account) AS found WHERE number = found.account AND outcome = ? AND chats = 0 "
            f"AND number NOT IN (SELECT account FROM documents WHERE {REMAINS})",
            Outcome.NEAR_DUPLICATE,
            Outcome.KEPT,
        )

    def partitions(self) -> list[Entry]:
        """The ledger of partitions."""
        sums = "SELECT place, outcome, media_type, reason, count(*), sum(bytes) FROM accounts "
        return [Entry(*row) for row in self._execute(sums + "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4")]

    def texts(self) -> list[Entry]:
        """The ledger of texts, in bytes that readers gave."""
        kind = f"CASE WHEN {REMAINS} THEN '{Outcome.KEPT}' ELSE '{Outcome.NEAR_DUPLICATE}' END"
        reason = f"CASE WHEN {REMAINS} THEN '' ELSE '{NEARLY_EQUAL_TEXT}' END"
        sums = (
            f"SELECT place, {kind}, documents.media_type, {reason}, count(*), sum(given) "
            "FROM documents JOIN accounts ON number = account GROUP BY 1, 2, 3, 4 UNION ALL "
            "SELECT place, texts.outcome, texts.media_type, texts.reason, sum(texts), sum(texts.bytes) "
            "FROM texts JOIN accounts ON number = account GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        )
        return [Entry(*row) for row in self._execute(sums)]

    def removed(self) -> dict[int, int]:
        """By place, what cleaning made of the documents that remain: bytes given less bytes kept."""
        sums = (
            "SELECT place, sum(given - documents.bytes) FROM documents "
            f"JOIN accounts ON number = account WHERE {REMAINS} GROUP BY 1"
        )
        return dict(self._execute(sums))

    def text_bytes(self) -> int:
        """Of all texts that readers gave."""
        return int(self._execute("SELECT coalesce(sum(text_bytes), 0) FROM accounts").fetchone()[0])

    def write(self, path: Path) -> None:
        # A table with a key: joined to a bare SELECT, each account would be looked for in all of it.
        self._execute("CREATE TEMP TABLE IF NOT EXISTS kept (account INTEGER PRIMARY KEY, size)")
        self._execute("DELETE FROM kept")
        sums = f"SELECT account, sum(bytes) FROM documents WHERE {REMAINS} GROUP BY account"
        self._execute(f"INSERT INTO kept {sums}")
        rows = self._execute(
            "SELECT source, outcome, media_type, bytes, reason, details, text_bytes, coalesce(size, 0) "
            "FROM accounts LEFT JOIN kept ON number = account ORDER BY number"
        )
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            while many := rows.fetchmany(ROW_GROUP):
                values = [dict(zip(SCHEMA.names, row, strict=True)) for row in many]
                for value in values:
                    value["details"] = json.loads(value["details"])
                writer.write_table(pa.Table.from_pylist(values, SCHEMA))
