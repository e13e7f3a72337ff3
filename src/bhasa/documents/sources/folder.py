"""A folder of the user's files, each entry accounted for.

Every directory entry is listed once: ordinary files to be read, and hidden entries, links, pipes, sockets
and devices with the reason why they are not. Links are not followed, so nothing outside the folder is read
and no loop can form. A file is opened without blocking and read up to the limit, whatever its size claims.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bhasa.documents.config import FolderConfig
from bhasa.documents.records import Refused, quarantined, skipped
from bhasa.documents.sources.files import FileSource, InputFile
from bhasa.errors import UserError


def open_folder(config: FolderConfig, *, max_file_bytes: int) -> FileSource:
    root = Path(config.path)
    if not root.is_dir():
        raise UserError(f"{config.path}: no such folder; make it for your files, or mend ingest.sources")
    label = root.name or "folder"
    files = sorted(_walk(root, label, max_file_bytes), key=lambda file: file.name)
    if all(file.refusal for file in files):
        raise UserError(f"{config.path}: no files there; add yours, or take the folder out of ingest.sources")
    return FileSource(files)


def _walk(folder: Path, label: str, limit: int) -> Iterator[InputFile]:
    folders = [(folder, label)]
    while folders:
        here, name = folders.pop()
        try:
            entries = list(os.scandir(here))
        except OSError as error:
            yield _refused(name, quarantined(f"unreadable folder: {error.strerror}"))
            continue
        for entry in entries:
            entry_name = f"{name}/{_printable(entry.name)}"
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                folders.append((Path(entry.path), entry_name))
            else:
                yield _file(entry, entry_name, limit)


def _file(entry: os.DirEntry[str], name: str, limit: int) -> InputFile:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return _refused(name, quarantined(f"unreadable: {error.strerror}"))
    if entry.name.startswith("."):
        return _refused(name, skipped("hidden"))
    if stat.S_ISLNK(status.st_mode):
        return _refused(name, skipped("a link, which is not followed"))
    if not stat.S_ISREG(status.st_mode):
        return _refused(name, skipped("not a file but a pipe, socket or device"))
    return InputFile(name, status.st_size, partial(read, Path(entry.path), limit))


def read(path: Path, limit: int) -> bytes:
    """The content of an ordinary file of 1 to `limit` bytes; raises `Refused` for anything else."""
    try:
        # The entry may have become a link or a pipe since it was listed: follow neither, wait for neither.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise quarantined(f"unreadable: {error.strerror}") from None
    if not content:
        raise skipped("empty")
    if len(content) > limit:
        raise skipped("larger than max_file_bytes")
    return content


def _refused(name: str, refusal: Refused) -> InputFile:
    return InputFile(name, 0, lambda: b"", refusal)


def _printable(name: str) -> str:
    r"""A file name that is valid UTF-8 whatever bytes the disk holds: `\xe9` is a byte, `\\` a backslash."""
    return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
