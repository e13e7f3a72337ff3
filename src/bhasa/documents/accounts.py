"""`accounts.parquet`: what became of every partition, one row each, in the order in which they were read.

Rows are written as they come and only counts of them are kept, so memory does not grow with their number.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from bhasa.documents.records import Outcome

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("outcome", pa.string()),
        ("media_type", pa.string()),
        ("bytes", pa.int64()),
        ("reason", pa.string()),
        ("details", pa.list_(pa.string())),
    ]
)
ROW_GROUP = 10_000


@dataclass(frozen=True)
class Account:
    """What became of one partition."""

    source: str
    """Its name."""
    outcome: Outcome
    media_type: str
    bytes: int
    reason: str = ""
    details: tuple[str, ...] = ()
    """What it is a duplicate of; the parts that could not be read."""


class Kind(NamedTuple):
    """What accounts are counted by."""

    source: int
    """The place in `ingest.sources`."""
    outcome: Outcome
    media_type: str
    reason: str


class Accounts:
    """Writes the file, whole when the block has ended, and counts."""

    def __init__(self, path: Path) -> None:
        self.count: Counter[Kind] = Counter()
        self.bytes: Counter[Kind] = Counter()
        self._rows: list[Account] = []
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def add(self, source: int, account: Account) -> None:
        kind = Kind(source, account.outcome, account.media_type, account.reason)
        self.count[kind] += 1
        self.bytes[kind] += account.bytes
        self._rows.append(account)
        if len(self._rows) == ROW_GROUP:
            self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        self._writer.write_table(pa.Table.from_pylist([asdict(account) for account in self._rows], SCHEMA))
        self._rows = []
