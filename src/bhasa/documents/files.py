"""The vocabulary of ingest: a file to read, what a reader finds in it, and why it may be refused.

A file ends in exactly one outcome. `Refused` is how a source or a reader sets a file aside: skipped when
the file is sound but not wanted, quarantined when it is wanted but cannot be read. A reason is one of a
small set of phrases, so that reports can count by it; it never holds a path or an address.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    KEPT = "kept"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    QUARANTINED = "quarantined"


class Refused(Exception):
    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome, self.reason = outcome, reason


def skipped(reason: str) -> Refused:
    return Refused(Outcome.SKIPPED, reason)


def quarantined(reason: str) -> Refused:
    return Refused(Outcome.QUARANTINED, reason)


@dataclass(frozen=True)
class InputFile:
    """A file that a source offers. `read` returns its bytes or raises `Refused`."""

    name: str
    """Begins with the source's name, `/` between parts: `raw/notes.md`. Valid UTF-8, never absolute."""
    size: int
    read: Callable[[], bytes]
    refusal: Refused | None = None
    """Set when the source already knows that the file is not wanted."""


@dataclass(frozen=True)
class Text:
    """One document as a reader finds it, not yet cleaned."""

    text: str
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversation:
    messages: tuple[tuple[str, str], ...]
    """(role, content) in order."""

    @property
    def id(self) -> str:
        """SHA-256 of the messages as JSON."""
        return hashlib.sha256(json.dumps(self.messages).encode()).hexdigest()


@dataclass(frozen=True)
class Reading:
    """All that a reader found in one file."""

    texts: list[Text] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Parts that could not be read in a file that otherwise could: `line 3: not JSON`."""


@dataclass(frozen=True)
class Document:
    """One row of the Parquet files."""

    id: str
    source: str
    media_type: str
    language: str
    text: str
    bytes: int
    meta: str
