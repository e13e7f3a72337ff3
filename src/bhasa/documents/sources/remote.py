"""Files at any address that fsspec reads: buckets, web servers, members of an archive.

DVC cannot watch them, so params.yaml holds the hash of their listing: names, sizes, and the checksums or
times that the place gives. After a change there ingest refuses it until the new hash is put in. A file that
cannot be had stops the stage, since a corpus without it would be another one.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeVar

from bhasa.documents.records import Refused, skipped
from bhasa.documents.source_configs import FsspecConfig
from bhasa.documents.sources.files import FileSource, InputFile
from bhasa.errors import BhasaError, UserError

ATTEMPTS = 4
FIRST_WAIT = 1.0  # seconds, then twice as long each time
MAX_MESSAGE = 200
# What tells one content of a file from another; the first that a place gives counts.
MARKS = (
    *("sha256", "md5Hash", "ETag", "etag", "content_md5", "Content-MD5", "Digest", "CRC", "crc32c"),
    *("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created"),
)
PASSWORD = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")
SECRET = re.compile(r"(?i)[?&][^=&]*(token|key|secret|sig|pass|auth|cred)[^=&]*=")
QUERY = re.compile(r"\?[^\s'\")]*")
FOR_GOOD = (FileNotFoundError, PermissionError, NotImplementedError, ValueError)

Answer = TypeVar("Answer")


class Listed(NamedTuple):
    name: str
    """Below the address."""
    size: int
    mark: str
    path: str
    """As fsspec knows it."""


def open_remote(config: FsspecConfig, *, max_file_bytes: int) -> FileSource:
    """Raises `UserError` where the listing is not that of the config, `BhasaError` where nothing answers."""
    where = f"ingest.sources: {masked(config.address)}"
    if PASSWORD.search(config.address) or SECRET.search(config.address):
        raise UserError(
            f"{where}: holds a password, which would be kept with every run; give it by what the protocol "
            "reads itself, such as AWS_SECRET_ACCESS_KEY, or in a file in ~/.config/fsspec"
        )
    system, files = _insist(partial(_list, config.address), where)
    _check_listing(files, config.listing_sha256, where)
    return FileSource([_input_file(system, file, config.domain, where, max_file_bytes) for file in files])


def masked(text: str) -> str:
    """Without what could open a door: names and passwords, and what follows a question mark."""
    return QUERY.sub("?...", PASSWORD.sub("...@", text))


def _list(address: str) -> tuple[Any, list[Listed]]:
    """The file system and its files below the address, in the order of their names."""
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(address, skip_instance_cache=True)
    except ImportError as error:  # says which package the protocol needs
        raise UserError(f"ingest.sources: {masked(address)}: {error}, by `pip install`") from None
    files = []
    for path, details in _find(system, root).items():
        if "?" in path and path != root:  # web servers link their listings in other orders
            continue
        if details.get("size") is None:
            details = system.info(path)
        mark = next((f"{key} {details[key]}" for key in MARKS if details.get(key) is not None), "")
        files.append(Listed(_below(root, path), details.get("size") or 0, mark, path))
    return system, sorted(files)


def _find(system: Any, root: str) -> dict[str, dict[str, Any]]:
    """A folder that cannot be listed is an error, and not left out, as fsspec would do by itself."""
    listing = getattr(type(system), "_find", type(system).find)
    strict = {"on_error": "raise"} if listing.__module__ in ("fsspec.asyn", "fsspec.spec") else {}
    found: dict[str, dict[str, Any]] = system.find(root, detail=True, **strict)
    return found


def _below(root: str, path: str) -> str:
    path, root = path.partition("?")[0], root.partition("?")[0]
    return path.removeprefix(root).strip("/") or PurePosixPath(path).name


def _check_listing(files: list[Listed], expected: str | None, where: str) -> None:
    if not files:
        raise UserError(f"{where}: no files there; mend the address")
    lines = (json.dumps([file.name, file.size, file.mark]) for file in files)
    found = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    if found != expected:
        was = (
            f"has changed, its listing_sha256 was {expected}" if expected else "could change without a re-run"
        )
        size = sum(file.size for file in files)
        raise UserError(
            f"{where}: what is there {was}; to take the {len(files):,} files ({size:,} bytes) that are there "
            f"now, give it `listing_sha256: {found}`"
        )


def _input_file(system: Any, file: Listed, domain: str, where: str, limit: int) -> InputFile:
    too_large = skipped("larger than max_file_bytes") if file.size > limit else None
    read = partial(_insist, partial(_read, system, file, limit), f"{where}: {file.name}")
    return InputFile(f"{domain}/{file.name}", file.size, read, too_large)


def _read(system: Any, file: Listed, limit: int) -> bytes:
    with system.open(file.path, "rb") as stream:
        content: bytes = stream.read(limit + 1)
    if len(content) > limit:
        raise skipped("larger than max_file_bytes")
    if file.size and len(content) != file.size:
        raise ConnectionError(f"{len(content):,} of {file.size:,} bytes came")
    if not content:
        raise skipped("empty")
    return content


def _insist(ask: Callable[[], Answer], where: str) -> Answer:
    """The answer, asked for again where the network may be at fault."""
    for wait in (FIRST_WAIT * 2**attempt for attempt in range(ATTEMPTS)):
        try:
            return ask()
        except (Refused, BhasaError):
            raise
        except FOR_GOOD as error:
            raise UserError(
                f"{where}: {_said(error)}; mend the address or what you may read there"
            ) from error
        except Exception as error:  # each protocol has its own
            failure = error
            time.sleep(wait)
    raise BhasaError(
        f"{where}: {_said(failure)}, {ATTEMPTS} times; run again when it can be reached"
    ) from failure


def _said(error: Exception) -> str:
    first = next(iter(masked(str(error)).splitlines()), "")[:MAX_MESSAGE]
    return f"{type(error).__name__} {first}".strip()
