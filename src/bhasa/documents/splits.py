"""Which side a document is on: a pure function of its id, so that adding others moves none."""

from __future__ import annotations

from bhasa.documents.config import IngestConfig

SPLITS = ("train", "validation", "test")


def split_of(identifier: str, config: IngestConfig) -> str:
    """The split of a hexadecimal SHA-256; its first 64 bits are a uniform number in [0, 1)."""
    place = int(identifier[:16], 16) / 2**64
    if place < config.test_fraction:
        return "test"
    return "validation" if place < config.test_fraction + config.validation_fraction else "train"
