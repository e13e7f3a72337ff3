"""The vocabulary of ingest: partitions of a source, the records in them, and why one may be refused.

A partition is what one account is given of: a file, or a row of a data set. Its reader yields records lazily,
and a `Refused` for each part, or for the whole, that cannot be taken: skipped when it is readable but not
wanted, quarantined when it is wanted but cannot be read, filtered when its text is not good enough. A reason
is one of a small set of phrases, so that reports can count by it; it never holds a path or an address.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Outcome(StrEnum):
    KEPT = "kept"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near duplicate"
    FILTERED = "filtered"
    SKIPPED = "skipped"
    QUARANTINED = "quarantined"


EXCERPT_CHARACTERS = 200  # that are shown of a text that is left out


class Refused(Exception):
    """Raised by a reader when nothing more can be read, or yielded among the records."""

    def __init__(self, outcome: Outcome, reason: str, part: str = "", excerpt: str = "") -> None:
        super().__init__(reason)
        self.outcome, self.reason, self.part = outcome, reason, part
        """`part` says where in the partition, such as `line 3`; empty: all of it."""
        self.excerpt = excerpt[:EXCERPT_CHARACTERS]
        """How the text begins that was read and is not good enough; empty: there is none."""

    def __reduce__(self) -> tuple[type[Refused], tuple[Outcome, str, str, str]]:
        """As it is sent to another machine."""
        return Refused, (self.outcome, self.reason, self.part, self.excerpt)


# Reasons for what a source passes over because its config says so, which is no surprise.
BEYOND_MAX_BYTES = "beyond max_bytes"
EXCLUDED = "excluded by a pattern"
GIT_IGNORED = "excluded by .gitignore"
NOT_INCLUDED = "not included by a pattern"
ASKED_FOR = {BEYOND_MAX_BYTES, EXCLUDED, GIT_IGNORED, NOT_INCLUDED}


def skipped(reason: str) -> Refused:
    return Refused(Outcome.SKIPPED, reason)


def filtered(reason: str, part: str = "") -> Refused:
    return Refused(Outcome.FILTERED, reason, part)


def quarantined(reason: str, part: str = "") -> Refused:
    return Refused(Outcome.QUARANTINED, reason, part)


@dataclass(frozen=True)
class Text:
    """One document as it is found, not yet cleaned."""

    text: str
    meta: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    """Names what it must stay together with in one split, such as a book or a folder; empty: it is alone."""
    part: str = ""
    """Where in the partition it was, such as `line 3` or a member of an archive; empty: it is all of it."""
    media_type: str = ""
    """Where the part's differs from the partition's, as in an archive."""
    language: str = ""
    """Where the part's is known better than the partition's."""


Messages = tuple[tuple[str, str], ...]
"""(role, content) in order."""


@dataclass(frozen=True)
class Conversation:
    messages: Messages
    part: str = ""
    group: str = ""
    """Names what it must stay together with in one split, such as a thread; empty: it is alone."""

    @property
    def id(self) -> str:
        """SHA-256 of the messages as JSON."""
        return _digest(self.messages)

    @property
    def group_id(self) -> str:
        """SHA-256 of the group as JSON, or the own `id`."""
        return _digest(self.group) if self.group else self.id


@dataclass(frozen=True)
class Preference:
    """Two answers to one prompt, the first of which people like better."""

    prompt: Messages
    chosen: Messages
    rejected: Messages
    part: str = ""

    @property
    def id(self) -> str:
        """SHA-256 of all three as JSON."""
        return _digest([self.prompt, self.chosen, self.rejected])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


Record = Text | Conversation | Preference


class Origin(Protocol):
    """What is known of a text before it is read."""

    @property
    def name(self) -> str:
        """Unique in its source, whose name it begins with: `raw/notes.md`. Valid UTF-8, never absolute."""

    @property
    def media_type(self) -> str: ...

    @property
    def language(self) -> str:
        """Programming language, or `und` where nothing tells which language the text is in."""


class Partition(Origin, Protocol):
    """What ingest is handed by a source, in this process; its records are found in another one."""

    @property
    def size(self) -> int:
        """In bytes, for reports and the progress."""

    @property
    def module(self) -> str:
        """Where `read(content, name)` is, which finds the records in the content."""

    @property
    def stamp(self) -> str:
        """Another one when the content may have changed, found without reading it."""

    def content(self) -> bytes:
        """Each time anew; raises `Refused`, and nothing else, where it cannot be had or is not wanted."""
