"""Folders of work that is not finished: one process at a time, kept when it fails, gone when it succeeds.

Each is named by what is computed in it, so that the same work, started again, finds what was done before.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from bhasa.errors import BhasaError

ABANDONED_DAYS = 30  # longer than the holidays after which somebody still means to go on


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Make `folder` and hold its lock; it is removed when the block succeeds: what it was for is then done.

    What was abandoned beside it, because something else was chosen than what it began with, is removed at
    the start.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_lock_file(folder))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BhasaError(
            f"{folder}: another process is doing this very work; wait for it or stop it"
        ) from None
    try:
        folder.mkdir(exist_ok=True)
        _remove_abandoned(folder.parent)
        yield folder
        _remove(folder)
    finally:
        lock.release()


def _remove_abandoned(runs: Path) -> None:
    """Remove the work that nobody is at and nobody was for `ABANDONED_DAYS`, and say so in one line."""
    removed = []
    for lock_file in sorted(runs.glob("*.lock")):
        folder = lock_file.with_suffix("")
        with suppress(Timeout, FileNotFoundError):  # somebody is at it, or has just finished it
            if time.time() - _touched(folder) > ABANDONED_DAYS * 24 * 3600:
                with FileLock(lock_file, timeout=0):
                    _remove(folder)
                removed.append(folder.name)
    if removed:
        found = f"unfinished work not touched for {ABANDONED_DAYS} days: {', '.join(removed)}"
        print(f"removed from {runs} {found}", file=sys.stderr, flush=True)


def _touched(folder: Path) -> float:
    """When the work was begun, or last saved something."""
    if not folder.exists():
        return _lock_file(folder).stat().st_mtime
    return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))


def _remove(folder: Path) -> None:
    """Remove a folder and its lock, which the caller holds: who waits for it sees that the file is gone."""
    if folder.exists():
        shutil.rmtree(folder)
    _lock_file(folder).unlink()


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
