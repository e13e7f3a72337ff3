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

from bhasa.documents.records import Refused, quarantined, skipped
from bhasa.documents.source_configs import FolderConfig
from bhasa.documents.sources.files import FileSource, InputFile
from bhasa.documents.sources.patterns import Patterns
from bhasa.errors import UserError

TOO_LARGE = "larger than max_file_bytes"


def open_folder(config: FolderConfig, *, max_file_bytes: int) -> FileSource:
    root = Path(config.path)
    if not root.is_dir():
        raise UserError(f"{config.path}: no such folder; make it for your files, or mend ingest.sources")
    walk = _walk(root, config.domain, Patterns.of(config), max_file_bytes)
    files = sorted(walk, key=lambda file: file.name)
    if all(file.refusal for file in files):
        patterns = ", or change include and exclude" if config.include or config.exclude else ""
        raise UserError(
            f"{config.path}: no files there; add yours{patterns}, or take the folder out of ingest.sources"
        )
    return FileSource(files)


def _walk(root: Path, label: str, patterns: Patterns, limit: int) -> Iterator[InputFile]:
    folders = [("", label, patterns)]
    while folders:
        below, name, patterns = folders.pop()
        here = root / below
        patterns = patterns.entering(below, lambda path, most: read(root / path, most))
        try:
            entries = list(os.scandir(here))
        except OSError as error:
            yield _refused(name, quarantined(f"unreadable folder: {error.strerror}"))
            continue
        for entry in entries:
            entry_name = f"{name}/{printable(entry.name)}"
            if entry.name.startswith("."):
                yield _refused(entry_name, skipped("hidden"))
            elif entry.is_dir(follow_symlinks=False):
                inner = f"{below}{entry.name}/"
                if refusal := patterns.refusal(inner):
                    yield _refused(f"{entry_name}/", refusal)
                else:
                    folders.append((inner, entry_name, patterns))
            else:
                yield _file(entry, entry_name, patterns.refusal(below + entry.name), limit)


def _file(entry: os.DirEntry[str], name: str, refusal: Refused | None, limit: int) -> InputFile:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return _refused(name, quarantined(f"unreadable: {error.strerror}"))
    if stat.S_ISLNK(status.st_mode):
        return _refused(name, skipped("a link, which is not followed"))
    if not stat.S_ISREG(status.st_mode):
        return _refused(name, skipped("not a file but a pipe, socket or device"))
    if not refusal and status.st_size > limit:
        refusal = skipped(TOO_LARGE)
    stamp = f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    return InputFile(name, status.st_size, partial(read, Path(entry.path), limit), refusal, stamp)


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
        raise skipped(TOO_LARGE)
    return content


def _refused(name: str, refusal: Refused) -> InputFile:
    return InputFile(name, 0, lambda: b"", refusal)


def printable(name: str) -> str:
    r"""A file name that is valid UTF-8 whatever bytes the disk holds: `\xe9` is a byte, `\\` a backslash."""
    return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
