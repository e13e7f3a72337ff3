"""What `ingest` writes and later stages read: splits, roles, the columns of a document, the names of files.

`documents` writes it and `tokens` reads it; neither knows the other.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

SPLITS: Final = ("train", "validation", "test")

Role = Literal["system", "user", "assistant"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Who speaks in a message `{"role": ..., "content": ...}` of a conversation."""


@dataclass(frozen=True)
class Document:
    """One row of the Parquet files; its fields are their columns."""

    id: str
    """SHA-256 of the text, hexadecimal."""
    group: str
    """Documents of one group are in one split: a hexadecimal SHA-256, the own `id` where nothing belongs
    together."""
    domain: str
    """The name of the entry of `ingest.sources` that it came from, which `ingest.mix` weighs."""
    source: str
    """The file, or the row of a data set, that it came from."""
    media_type: str
    language: str
    text: str
    bytes: int
    """Of the text in UTF-8."""
    meta: str
    """JSON, what a reader found beside the text."""


def document_file(split: str, number: int) -> str:
    """A split is in one file or more, numbered from 0 on without a gap."""
    return f"{split}-{number:05d}.parquet"


def conversation_file(split: str) -> str:
    """A conversation a line: `{"id": ..., "messages": [...]}`."""
    return f"{split}.jsonl"


def preference_file(split: str) -> str:
    """A pair a line: of messages: `{"id": ..., "prompt": [...], "chosen": [...], "rejected": [...]}`."""
    return f"{split}.preferences.jsonl"
