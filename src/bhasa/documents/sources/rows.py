"""A row as a partition: where a source has records and no bytes that a reader would take."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from bhasa.documents import wire
from bhasa.documents.records import Record, Refused


@dataclass(frozen=True)
class Row:
    name: str
    found: Sequence[Record | Refused]
    size: int
    """Bytes of the strings in it."""
    media_type: str = "text/plain"
    language: str = "und"

    @property
    def stamp(self) -> str:
        return hashlib.sha256(self.content()).hexdigest()

    @property
    def module(self) -> str:
        return wire.RECORDS

    def content(self) -> bytes:
        return wire.pack_records(self.found)
