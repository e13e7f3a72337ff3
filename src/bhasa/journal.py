"""What a run writes, written so that it is either whole or absent.

`publish` puts a file or folder in place by one rename after everything in it reached the disk; `Journal`
is the append-only record of a run, one JSON object a line, that MLflow, DVC metrics and curves are made
from. Hashes name what was read and written. No torch, no MLflow here.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bhasa.errors import UserError


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Yield a path to write to (a file, or a folder to make); it becomes `target` if the block succeeds.

    What stood at `target` stays until the new one is complete, and for ever if the block raises.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    _remove(draft)
    try:
        yield draft
        _sync(draft)
        if os.path.lexists(target) and (draft.is_dir() or target.is_dir()):  # no rename replaces these
            retired = target.with_name(f".{target.name}.{os.getpid()}.old")
            target.rename(retired)
            draft.rename(target)
            _remove(retired)
        else:
            draft.replace(target)
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
        raise UserError(f"{path}: no such file; run `dvc repro`, which makes what is missing") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete it and run `dvc repro`") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object; delete it and run `dvc repro`")
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
        found = f"{what} needs {needed / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB free"
        raise UserError(f"{folder}: {found}; make room and run again")


class Journal:
    """An append-only file of JSON lines; one line is one event, and a torn last line is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def append(self, event: Mapping[str, Any]) -> None:
        with self.path.open("ab+") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":  # a writer before this one died in the middle of its line
                    stream.truncate(self.path.read_bytes().rfind(b"\n") + 1)
            stream.write(json.dumps(event).encode() + b"\n")

    def sync(self) -> None:
        """Make everything appended so far survive a power cut."""
        if self.path.exists():
            _sync(self.path)

    def read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]  # no newline, not written whole
        return [json.loads(line) for line in lines]

    def truncate(self, keep: list[dict[str, Any]]) -> None:
        """Replace the content by `keep`: a resumed run forgets the steps after its checkpoint."""
        write_text(self.path, "".join(json.dumps(event) + "\n" for event in keep))


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
