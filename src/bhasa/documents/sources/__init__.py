"""Where files come from. `SOURCES` maps a source's `kind` in params.yaml to what lists its files.

A new kind is one file here, one line in `SOURCES` and its config class in `documents/config.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bhasa.documents.files import InputFile
from bhasa.documents.sources import folder, python_library

SOURCES: dict[str, Callable[..., list[InputFile]]] = {
    "folder": folder.list_files,
    "python-library": python_library.list_files,
}


def list_files(source: Any, *, max_file_bytes: int) -> list[InputFile]:
    """The files that `source`, one of the source configs, offers, in a fixed order."""
    return SOURCES[source.kind](source, max_file_bytes=max_file_bytes)
