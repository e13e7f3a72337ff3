"""Which split a document is in: a pure function of its group, so that adding others moves none."""

from __future__ import annotations

from pathlib import PurePosixPath

from bhasa.documents.config import IngestConfig, SplitBy
from bhasa.documents.readers import ARCHIVES, READERS


def split_of(group: str, config: IngestConfig) -> str:
    """The split of a group, a hexadecimal SHA-256; its first 64 bits are a uniform number in [0, 1)."""
    place = int(group[:16], 16) / 2**64
    if place < config.test_fraction:
        return "test"
    return "validation" if place < config.test_fraction + config.validation_fraction else "train"


def place_of(name: str, part: str, split_by: SplitBy) -> str:
    """The name of what a text must stay together with: the folder that it lies in, or the first folder below
    its source; empty for a text that lies in none, and where each document is alone.

    An archive is a folder. `name` is the partition's, which begins with the source's; `part` is in it.
    """
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if part and suffix in READERS and READERS[suffix].module == ARCHIVES:
        path /= part
    folders = path.parts[:-1]
    if split_by == "document" or len(folders) < 2:
        return ""
    return "/".join(folders if split_by == "folder" else folders[:2])
