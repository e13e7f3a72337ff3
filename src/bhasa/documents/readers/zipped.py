"""Members of a zip file, read into memory one by one under limits on what they become.

EPUB, DOCX, ODT and PPTX are zip files. The sizes that a zip file states may be lies, so what is counted is
what comes out, over all reads. Nothing is extracted to disk.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib

from bhasa.documents.records import quarantined

MAX_MEMBERS = 50_000
MAX_MEMBER_BYTES = 256 << 20
MAX_TOTAL_BYTES = 512 << 20
MAX_RATIO = 200  # of all bytes that came out to the size of the file; text takes a tenth, blank tables a hundredth
RATIO_FROM_BYTES = 8 << 20  # what a small file becomes does no harm
MEMBER_RECORD = b"PK\x01\x02"  # begins the directory's record of a member

# What zipfile and its decompressors raise on damaged files, found by mutating some.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, IndexError, OverflowError, RuntimeError),  # NotImplementedError is a RuntimeError
)


class Zip:
    """Names are looked up without regard to case and the kind of slash, as the office formats ask for."""

    def __init__(self, content: bytes, *, max_members: int = MAX_MEMBERS) -> None:
        # Counted before zipfile makes an object of each.
        if content.count(MEMBER_RECORD) > max_members:
            raise quarantined("zip file with too many members")
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
        except DAMAGE:
            raise quarantined("broken zip file") from None
        self.members = [info for info in self._archive.infolist() if not info.is_dir()]
        """In the order of the directory; two may have one name."""
        self._by_name = {_key(info.filename): info for info in self.members}
        self._allowed = min(MAX_TOTAL_BYTES, max(MAX_RATIO * len(content), RATIO_FROM_BYTES))

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._by_name

    def read(self, name: str) -> bytes:
        if name not in self:
            raise quarantined("zip file without a part that it needs")
        return self.read_member(self._by_name[_key(name)])

    def read_member(self, info: zipfile.ZipInfo) -> bytes:
        if info.flag_bits & 1:
            raise quarantined("encrypted zip file")
        limit = min(MAX_MEMBER_BYTES, self._allowed)
        try:
            with self._archive.open(info) as member:
                content = member.read(limit + 1)
        except DAMAGE:
            raise quarantined("broken zip file") from None
        if len(content) > limit:
            raise quarantined("zip file that grows beyond its limits")
        self._allowed -= len(content)
        return content


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").casefold()
