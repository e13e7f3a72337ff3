"""Where documents come from: the entries of `ingest.sources`, a class for each `kind`."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Literal

from pathspec import GitIgnoreSpec
from pydantic import AfterValidator, Field

from bhasa.params import Config


def _check_pattern(pattern: str) -> str:
    try:
        (parsed,) = GitIgnoreSpec.from_lines([pattern]).patterns
    except ValueError:  # none, or what gitignore does not know
        parsed = None
    if parsed is None or parsed.include is None:
        raise ValueError(
            "not a pattern; allowed is a line as in .gitignore, such as *.md, /docs/ or **/old/*"
        )
    return pattern


Name = Annotated[str, Field(min_length=1)]
Pattern = Annotated[str, AfterValidator(_check_pattern)]


class NamedConfig(Config):
    """What every source has."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    """What its documents' `domain` is; null: the last part of its path, or its kind."""

    @property
    def domain(self) -> str:
        return self.name or self._default_name

    @property
    def local_path(self) -> str | None:
        """What it reads of the user's files, which DVC has to watch; None: it is held fixed otherwise."""
        return getattr(self, "path", None)

    @property
    def _default_name(self) -> str:
        kind = str(getattr(self, "kind"))  # noqa: B009 - every subclass has it, each with its own values
        name = PurePath(self.local_path or "").name
        return kind if name in ("", "..") else name


class FolderConfig(NamedConfig):
    """A folder of the user's files."""

    kind: Literal["folder"]
    path: Name
    """The folder, relative to where the command runs; everything below it is read."""
    include: tuple[Pattern, ...] = ()
    """As in .gitignore, relative to the folder; if there are any, only files that match are read."""
    exclude: tuple[Pattern, ...] = ()
    """Patterns of files and folders that are left out, whatever `include` says."""
    gitignore: bool = False
    """Whether what the .gitignore files in the folder and below it name is left out too."""


class FileConfig(NamedConfig):
    """One file."""

    kind: Literal["file"]
    path: Name

    @property
    def _default_name(self) -> str:
        return PurePath(self.path).stem or self.kind


class PythonLibraryConfig(NamedConfig):
    """The running interpreter's own source files and language reference."""

    kind: Literal["python-library"]
    max_bytes: Annotated[int, Field(ge=10_000)]
    """Budget in bytes; which files fill it is decided by hash, so a larger budget only adds."""


SourceConfig = Annotated[FolderConfig | FileConfig | PythonLibraryConfig, Field(discriminator="kind")]
