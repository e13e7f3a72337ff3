"""Where documents come from: the entries of `ingest.sources`, a class for each `kind`."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Literal, Self

from pathspec import GitIgnoreSpec
from pydantic import AfterValidator, Field, model_validator

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


def _check_revision(revision: str) -> str:
    if not re.fullmatch("[0-9a-f]{40}", revision):
        raise ValueError(f"not the hash of a commit, which a branch or tag is not: {_find('<dataset>')}")
    return revision


def _find(dataset: str) -> str:
    address = f"https://huggingface.co/datasets/{dataset}"
    return f"`git ls-remote {address} HEAD` says which 40 digits to give"


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


class HuggingFaceConfig(NamedConfig):
    """A data set of the Hugging Face hub, or a folder that holds one."""

    kind: Literal["huggingface"]
    dataset: Annotated[str, Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$")] | None = None
    """Its name on the hub, such as `wikimedia/wikipedia`."""
    revision: Annotated[str, AfterValidator(_check_revision)] | None = None
    """The hash of the commit that is read of it."""
    path: Name | None = None
    """Instead: a folder in the hub's layout, or one that `save_to_disk` wrote."""
    config: Name | None = None
    """Its configuration, where it has several."""
    splits: Annotated[tuple[Annotated[str, Field(pattern=r"^\w+(\.\w+)*$")], ...], Field(min_length=1)] = (
        "train",
    )
    """Those that are read; which of ours a row is in is decided here as for any other document."""
    text: Name | None = None
    """The column that is the text; with `messages` null too, a row is what its columns say."""
    messages: Name | None = None
    """The column that is a conversation."""
    streaming: bool = False
    """Whether rows are read from the hub as they are needed; else all of it is first copied below .bhasa/."""
    max_rows: Annotated[int, Field(ge=1)] | None = None
    """Of each split, the first ones; null: all."""

    @property
    def _default_name(self) -> str:
        return PurePath(self.dataset).name if self.dataset else super()._default_name

    @model_validator(mode="after")
    def _say_what_is_read(self) -> Self:
        if (self.dataset is None) == (self.path is None):
            raise ValueError("needs either `dataset`, a name on the hub, or `path`, a folder")
        if self.dataset and not self.revision:
            raise ValueError(
                f"`revision` is missing, so that '{self.dataset}' could change: {_find(self.dataset)}"
            )
        if self.path and (self.revision or self.streaming):
            raise ValueError("`revision` and `streaming` are for a `dataset` on the hub, not for a `path`")
        if self.text and self.messages:
            raise ValueError("names both `text` and `messages`; a row is one of them")
        if len(set(self.splits)) < len(self.splits):
            raise ValueError("names one of `splits` twice")
        return self


class FsspecConfig(NamedConfig):
    """Files at an address that fsspec reads."""

    kind: Literal["fsspec"]
    address: Name
    """Such as `s3://bucket/folder` or `https://host/folder/`; never with a password."""
    listing_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The hash of what is listed there; ingest says which, and refuses what does not have it."""

    @property
    def _default_name(self) -> str:
        name = PurePath(self.address.split("::")[0].partition("?")[0]).name
        return name if re.fullmatch(r"\w[\w.-]*", name) else self.kind


SourceConfig = Annotated[
    FolderConfig | FileConfig | FsspecConfig | HuggingFaceConfig | PythonLibraryConfig,
    Field(discriminator="kind"),
]
