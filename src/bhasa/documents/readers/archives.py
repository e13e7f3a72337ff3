"""Archives and compressed files, each member read by the reader of its own format.

zip and tar, gz, bz2, xz and zst, and a tar in one of these four. A member is known by its path, which becomes
the records' `part`. An archive in an archive is read, one in that is not. All that comes out is counted
against limits of the outermost file (`unpacking.Budget`): when one is passed, what came before stays, and the
rest is refused. A broken member is refused alone where the next can still be found.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import PurePosixPath

from bhasa.documents.readers import READERS, Format, format_of, suffix_of
from bhasa.documents.readers.unpacking import (
    Budget,
    Counted,
    LimitPassed,
    Member,
    decompressed,
    read_all,
    tar_members,
    zip_members,
)
from bhasa.documents.records import Record, Refused, Text, quarantined, skipped

MAX_DEPTH = 2
MAX_PART = 200  # characters of a member's path
COMPRESSED_TAR = {".tgz": ".gz", ".tbz2": ".bz2", ".txz": ".xz", ".tzst": ".zst"}

for module in {each.module for each in READERS.values()} - {__name__}:
    import_module(module)  # of a member of any format; no file can be opened later


def read(content: bytes, name: str) -> Iterator[Record | Refused]:
    found = False
    try:
        for record in _unpack(content, name, Budget(len(content)), 1):
            yield record
            found = True
    except Refused as refusal:
        yield Refused(refusal.outcome, refusal.reason, "the rest") if found else refusal


def _unpack(content: bytes, name: str, budget: Budget, depth: int) -> Iterator[Record | Refused]:
    if depth > MAX_DEPTH:
        raise skipped("archive in an archive in an archive")
    suffix, stem = _split(name)
    try:
        if suffix == ".zip":
            members = zip_members(content, budget)
        elif suffix == ".tar":
            members = tar_members(Counted(io.BytesIO(content), budget), budget)
        elif _split(stem)[0] == ".tar":
            members = tar_members(decompressed(content, suffix, budget), budget)
        else:
            members = iter([Member("", lambda: read_all(decompressed(content, suffix, budget)))])
        for member in members:
            inside = f"{name}/{member.name}" if member.name else stem
            yield from _labelled(_part(member.name), _records(member, inside, budget, depth))
    except (Refused, MemoryError):
        raise
    except Exception as error:  # any fault of the libraries is of this archive alone
        raise quarantined(f"broken archive ({type(error).__name__})") from None


def _split(name: str) -> tuple[str, str]:
    """The suffix, and the name without it: `.gz` and `a.tar` for `a.tgz` too."""
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix in COMPRESSED_TAR:
        return COMPRESSED_TAR[suffix], f"{path.with_suffix('.tar')}"
    return suffix, f"{path.with_suffix('')}"


def _records(member: Member, name: str, budget: Budget, depth: int) -> Iterator[Record | Refused]:
    """Of one member; raises `LimitPassed` alone."""
    try:
        yield from _read_member(member, name, budget, depth)
    except LimitPassed:
        raise
    except Refused as refusal:
        yield refusal
    except MemoryError:
        raise
    except Exception as error:
        yield quarantined(f"broken member of an archive ({type(error).__name__})")


def _read_member(member: Member, name: str, budget: Budget, depth: int) -> Iterator[Record | Refused]:
    if any(part.startswith(".") and part != ".." for part in PurePosixPath(member.name).parts):
        raise skipped("hidden")
    if member.refusal:
        raise member.refusal
    reader = format_of(name)
    if reader is None:
        raise skipped(f"unsupported format {suffix_of(name)}")
    content = member.read()
    if not content:
        raise skipped("empty")
    if reader.module == __name__:
        yield from _unpack(content, name, budget, depth + 1)
    else:
        for record in reader.read(content, name):
            yield _typed(record, reader)


def _typed(record: Record | Refused, reader: Format) -> Record | Refused:
    if not isinstance(record, Text):
        return record
    return replace(
        record,
        media_type=record.media_type or reader.media_type,
        language=record.language or reader.language,
    )


def _labelled(part: str, records: Iterator[Record | Refused]) -> Iterator[Record | Refused]:
    for record in records:
        inside = "#".join(filter(None, [part, record.part]))
        if isinstance(record, Refused):
            yield Refused(record.outcome, record.reason, inside)
        else:
            yield replace(record, part=inside)


def _part(name: str) -> str:
    """A member's path as text of bounded length; the end tells more than the beginning."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name[-MAX_PART:])
    return shown if len(name) <= MAX_PART else f"...{shown}"
