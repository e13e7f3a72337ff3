"""Where records come from. `SOURCES` maps a source's `kind` in params.yaml to what opens it.

A new kind is one file here, one line in `SOURCES` and its config class in `documents/source_configs.py`.
What it returns has a size and partitions: `FileSource` where these are files, a class of its own where they
are rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from bhasa.documents.records import Partition
from bhasa.documents.sources import data_sets, file, folder, python_library, remote


class Source(Protocol):
    @property
    def size(self) -> int:
        """Bytes that will be read, for the progress; 0 where nobody knows before."""

    def partitions(self) -> Iterable[Partition]:
        """In a fixed order, which decides whose of two equal texts is kept."""


SOURCES: dict[str, Callable[..., Source]] = {
    "folder": folder.open_folder,
    "file": file.open_file,
    "fsspec": remote.open_remote,
    "huggingface": data_sets.open_data_set,
    "python-library": python_library.open_library,
}


def open_source(config: Any, *, max_file_bytes: int) -> Source:
    """The source of one of the source configs; `UserError` where there is none."""
    return SOURCES[config.kind](config, max_file_bytes=max_file_bytes)
