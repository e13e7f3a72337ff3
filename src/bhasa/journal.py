"""What a run writes, written so that it is either whole or absent.

`publish` puts a file or folder in place in one step after everything in it reached the disk; `Journal`
is the append-only record of a run, one JSON object a line, that MLflow, DVC metrics and curves are made
from. Hashes name what was read and written. No torch, no MLflow here.
"""

import ctypes
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bhasa.errors import BhasaError, FileError, UserError


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Yield a path to write to (a file, or a folder to make); it becomes `target` if the block succeeds.

    What stood at `target` stays until the new one is complete, and for ever if the block raises. Whoever may
    read a new file here may read what is published. What a killed process left beside `target` is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _recover(target)
    draft = _beside(target, "draft")
    try:
        yield draft
        _allow_reading(draft)
        _sync(draft)
        _put_in_place(draft, target)
        _sync(target.parent, deep=False)
    finally:
        _remove(draft)


def write_text(path: Path, text: str) -> None:
    with publish(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Indented JSON in the order given, without NaN, ending in a newline."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except ValueError as error:
        raise FileError(path, f"not valid JSON ({error})") from None
    if not isinstance(values, dict):
        raise FileError(path, "expected a JSON object")
    return values


def sha256_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_folder(folder: Path) -> str:
    """One hash for a folder: of each file's relative path and content, in path order."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_file(path)}\n".encode())
    return digest.hexdigest()


def require_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to start what cannot be finished: `needed` bytes free where `folder` lies or will lie."""
    existing = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        found = f"{what} needs {size(needed)}, the disk has {size(free)} free"
        raise UserError(f"{folder}: {found}; make room and run again")


def size(count: float) -> str:
    """So many bytes in the unit that fits, such as `12.3 MB`."""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count:.0f} bytes"


class Mark(NamedTuple):
    """A journal up to some moment, by which it is recognised later."""

    size: int
    """Bytes."""
    sha256: str


class Journal:
    """An append-only file of JSON lines; one line is one event, and a torn last line is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def append(self, event: Mapping[str, Any]) -> None:
        with self.path.open("ab") as stream:
            stream.write(json.dumps(event).encode() + b"\n")

    def sync(self) -> None:
        """Make everything appended so far survive a power cut."""
        if self.path.exists():
            _sync(self.path)

    def mark(self) -> Mark:
        """Everything appended so far."""
        content = self._content()
        return Mark(len(content), hashlib.sha256(content).hexdigest())

    def begins_with(self, mark: Mark) -> bool:
        """Whether what was there at `mark` is still there."""
        return hashlib.sha256(self._content()[: mark.size]).hexdigest() == mark.sha256

    def read(self) -> list[dict[str, Any]]:
        """Every event; raises `BhasaError` for a line that is none."""
        lines = self._content().split(b"\n")[:-1]  # no newline, not written whole
        return [self._parsed(number, line) for number, line in enumerate(lines, 1)]

    def truncate(self, size: int) -> None:
        """Keep the first `size` bytes: a resumed run forgets the steps after its checkpoint."""
        with self.path.open("ab") as stream:
            stream.truncate(size)
        _sync(self.path)

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            event = json.loads(line)
        except ValueError:  # also what is not UTF-8
            event = None
        if not isinstance(event, dict):
            raise BhasaError(f"{self.path}: line {number} is no JSON object, so this record is damaged")
        return event

    def _content(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename `draft` to `target`; afterwards `draft` is gone, or what stood at `target` before."""
    if not os.path.lexists(target) or not (draft.is_dir() or target.is_dir()):
        draft.replace(target)
    elif not _exchange(draft, target):  # no plain rename replaces a folder
        retired = _beside(target, "old")
        target.rename(retired)
        draft.rename(target)
        _remove(retired)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step, by Linux's renameat2; False where this system or file system has none."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except AttributeError:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _recover(target: Path) -> None:
    """Remove what killed processes left beside `target`; put back what one had moved aside."""
    name = re.compile(rf"\.{re.escape(target.name)}\.(\d+)\.(draft|old)")
    for path in sorted(target.parent.iterdir()):
        found = name.fullmatch(path.name)
        if found and not _runs(int(found[1])):
            if found[2] == "old" and not os.path.lexists(target):
                path.rename(target)
            else:
                _remove(path)


def _runs(pid: int) -> bool:
    """Whether another process has this number; one with our own is dead, as in a container's next start."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()


def _beside(target: Path, role: str) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{role}")


def _allow_reading(draft: Path) -> None:
    """Add the permissions that a new file or folder gets here: some writers, as safetensors, give fewer."""
    umask = os.umask(0o077)  # there is no other way to read it
    os.umask(umask)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | (0o777 if path.is_dir() else 0o666) & ~umask)


def _sync(path: Path, *, deep: bool = True) -> None:
    if deep and path.is_dir():
        for child in path.iterdir():
            _sync(child)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
