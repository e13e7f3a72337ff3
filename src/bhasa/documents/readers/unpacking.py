"""Members of zip and tar archives and the content of compressed files, in memory, one after the other.

Nothing is allocated by a size that an archive declares: what is unpacked is asked for in small pieces and
counted by a `Budget`. What a member is called is only a name, since nothing is written to disk.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

import zstandard

from bhasa.documents.records import Outcome, Refused, quarantined, skipped

MAX_RATIO, RATIO_FLOOR = 100, 10 << 20
"""Bytes out for a byte of the outermost file; and the bytes out that any file may have."""
MAX_TOTAL_BYTES = 1 << 30
MAX_MEMBERS = 10_000
MAX_MEMBER_BYTES = 64 << 20
MAX_DIRECTORY = 100_000  # entries of a zip file's directory, which is read whole
MAX_HEADER_BYTES = 64 << 10  # of names and attributes before a tar member
MAX_WINDOW_BYTES = 128 << 20  # memory that a decoder of xz or zstd may take, as their own programs allow
PIECE = 4096  # bytes asked for at once; `zipfile` makes up to 80 MB of as many in bz2
PACKED_PIECE = 1024  # bytes given to a decoder at once; zstd makes up to 34 MB of them
# Not LZMA: `zipfile` lets a header say how much memory its decoder takes.
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
DIRECTORY_ENTRY = b"PK\1\2"
ENCRYPTED, UTF8_NAME = 0x41, 0x800  # flags of a zip member


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class LimitPassed(Refused):
    """Nothing more is read of the outermost file."""

    def __init__(self, reason: str) -> None:
        super().__init__(Outcome.QUARANTINED, reason)


class Budget:
    """How much may still come out of a file, whatever is nested in it."""

    def __init__(self, packed: int) -> None:
        self._bytes = min(MAX_TOTAL_BYTES, max(RATIO_FLOOR, packed * MAX_RATIO))
        self._ratio_decides = self._bytes < MAX_TOTAL_BYTES
        self._members = MAX_MEMBERS

    def take_bytes(self, count: int) -> None:
        self._bytes -= count
        if self._bytes < 0:
            limit = f"{MAX_RATIO} times its size" if self._ratio_decides else f"{MAX_TOTAL_BYTES >> 20} MiB"
            raise LimitPassed(f"archive that unpacks to more than {limit}")

    def take_member(self) -> None:
        self._members -= 1
        if self._members < 0:
            raise LimitPassed(f"archive of more than {MAX_MEMBERS:,} members")


@dataclass(frozen=True)
class Member:
    name: str
    read: Callable[[], bytes] = lambda: b""
    """Its content; raises `Refused` for one that is not wanted."""
    refusal: Refused | None = None


def read_all(stream: Readable) -> bytes:
    """What is left of a stream, up to the most that a member may have."""
    content = io.BytesIO()
    while piece := stream.read(PIECE):
        content.write(piece)
        if content.tell() > MAX_MEMBER_BYTES:
            raise skipped(f"larger than {MAX_MEMBER_BYTES >> 20} MiB unpacked")
    return content.getvalue()


class Counted:
    """A stream that is read forwards, in small pieces, and counted."""

    def __init__(self, stream: Readable, budget: Budget) -> None:
        self._stream, self._budget, self._position = stream, budget, 0
        self.latest = b""
        """What the last `read` gave."""

    def read(self, size: int, /) -> bytes:
        if size > MAX_HEADER_BYTES:  # members are read in pieces, so only a header can ask for it
            raise quarantined("archive with a header that is too long")
        content = piece = self._stream.read(size)
        while piece and len(content) < size:
            piece = self._stream.read(size - len(content))
            content += piece
        self._position += len(content)
        self._budget.take_bytes(len(content))
        self.latest = content
        return content

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        while self._position < position and self.read(min(position - self._position, MAX_HEADER_BYTES)):
            pass


class _Frames:
    """What a compressed file holds, one frame after another, the last of which must have its end.

    Not `lzma.LZMAFile`, where a header may ask for 4 GiB of memory, nor zstandard's reader, which takes a
    file that was cut short for a whole one.
    """

    def __init__(self, stream: IO[bytes], make_decoder: Callable[[], Any]) -> None:
        self._stream, self._make_decoder = stream, make_decoder
        self._decoder = make_decoder()
        self._out = io.BytesIO()

    def read(self, size: int, /) -> bytes:
        while not (piece := self._out.read(size)):
            packed = self._stream.read(PACKED_PIECE)
            if self._decoder.eof:
                packed = (self._decoder.unused_data + packed).lstrip(b"\0")
                if not packed:
                    return b""
                self._decoder = self._make_decoder()
            elif not packed:
                raise EOFError("the end is missing")
            self._out = io.BytesIO(self._decoder.decompress(packed))
        return piece


def decompressed(content: bytes, suffix: str, budget: Budget) -> Counted:
    stream = io.BytesIO(content)
    if suffix == ".gz":
        return Counted(gzip.GzipFile(fileobj=stream), budget)
    return Counted(_Frames(stream, DECODERS[suffix]), budget)


DECODERS: dict[str, Callable[[], Any]] = {
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lambda: lzma.LZMADecompressor(memlimit=MAX_WINDOW_BYTES),
    ".zst": lambda: zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj(),
}


def tar_members(stream: Counted, budget: Budget) -> Iterator[Member]:
    """Each is to be read before the next is asked for."""
    with tarfile.open(fileobj=stream, mode="r:") as archive:  # type: ignore[call-overload]
        while info := archive.next():
            archive.members = []  # it would remember all of them
            budget.take_member()
            if not info.isdir():
                yield _tar_member(archive, info)
    if stream.latest.strip(b"\0"):  # which `tarfile` takes for the end
        raise quarantined("broken archive (a damaged header)")


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    if info.issym() or info.islnk():
        return Member(info.name, refusal=skipped("a link, which is not followed"))
    if not info.isreg():
        return Member(info.name, refusal=skipped("not a file but a pipe, socket or device"))
    if info.issparse():  # a few bytes may stand for any number of zeros
        return Member(info.name, refusal=skipped("a sparse file in an archive"))
    return Member(info.name, lambda: read_all(cast(Readable, archive.extractfile(info))))


def zip_members(content: bytes, budget: Budget) -> Iterator[Member]:
    if content.count(DIRECTORY_ENTRY) > MAX_DIRECTORY:
        raise quarantined(f"archive of more than {MAX_DIRECTORY:,} members")
    archive = zipfile.ZipFile(io.BytesIO(content))  # left open, so that members may be read in any order
    infos = archive.infolist()
    if sum(info.compress_size for info in infos) > len(content):
        raise quarantined("archive whose members overlap")
    for info in infos:
        budget.take_member()
        if not info.is_dir():
            yield _zip_member(archive, info, budget)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> Member:
    name = _zip_name(info)
    if stat.S_ISLNK(info.external_attr >> 16):
        return Member(name, refusal=skipped("a link, which is not followed"))
    if info.flag_bits & ENCRYPTED:
        return Member(name, refusal=skipped("encrypted member of an archive"))
    if info.compress_type not in ZIP_METHODS:
        return Member(name, refusal=skipped("member compressed in a way that is not read"))

    def read() -> bytes:
        with archive.open(info) as stream:
            return read_all(Counted(stream, budget))

    return Member(name, read)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Many programs write UTF-8 without the flag that says so; `zipfile` then takes it for code page 437."""
    if info.flag_bits & UTF8_NAME:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename
