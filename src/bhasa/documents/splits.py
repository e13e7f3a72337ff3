"""Which split a document is in: a pure function of its group, so that adding others moves none."""

from __future__ import annotations

from bhasa.documents.config import IngestConfig


def split_of(group: str, config: IngestConfig) -> str:
    """The split of a group, a hexadecimal SHA-256; its first 64 bits are a uniform number in [0, 1)."""
    place = int(group[:16], 16) / 2**64
    if place < config.test_fraction:
        return "test"
    return "validation" if place < config.test_fraction + config.validation_fraction else "train"
