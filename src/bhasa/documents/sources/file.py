"""A single file of the user's."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bhasa.documents.source_configs import FileConfig
from bhasa.documents.sources.files import FileSource, InputFile
from bhasa.documents.sources.folder import printable, read
from bhasa.errors import UserError


def open_file(config: FileConfig, *, max_file_bytes: int) -> FileSource:
    path = Path(config.path)
    if path.is_dir():
        raise UserError(f"{config.path}: a folder; `kind: folder` reads it")
    if not path.is_file():
        raise UserError(f"{config.path}: no such file; add it, or mend ingest.sources")
    path = path.resolve()  # the user names it, so a link is followed once
    name = f"{config.domain}/{printable(Path(config.path).name)}"
    return FileSource([InputFile(name, path.stat().st_size, partial(read, path, max_file_bytes))])
