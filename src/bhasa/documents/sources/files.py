"""A file as a partition, and a source that is a list of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from bhasa.documents.readers import Format, format_of, suffix_of
from bhasa.documents.records import Refused, skipped


@dataclass(frozen=True)
class InputFile:
    """A file that a source offers. `read` returns its bytes or raises `Refused`."""

    name: str
    size: int
    read: Callable[[], bytes]
    refusal: Refused | None = None
    """Set when the source already knows that the file is not wanted."""
    stamp: str = ""
    """Times and numbers that change with the file, where the source has any."""

    @property
    def media_type(self) -> str:
        return self._format.media_type if self._format else "unknown"

    @property
    def language(self) -> str:
        return self._format.language if self._format else "und"

    @property
    def module(self) -> str:
        return self._format.module if self._format else ""

    def content(self) -> bytes:
        if self._format is None:
            raise self.refusal or skipped(f"unsupported format {suffix_of(self.name)}")
        return self.read()

    @cached_property
    def _format(self) -> Format | None:
        return None if self.refusal else format_of(self.name)


@dataclass(frozen=True)
class FileSource:
    files: Sequence[InputFile]

    @property
    def size(self) -> int:
        """Of those that will be read."""
        return sum(file.size for file in self.files if file.module)

    def partitions(self) -> Iterator[InputFile]:
        return iter(self.files)
