"""Which entries of a folder its `include`, `exclude` and .gitignore files leave out.

A pattern means what it means in a .gitignore file there. A folder that is left out is not entered, so nothing
in it can be taken in again. A .gitignore file comes with the data and is not trusted: no link is followed to
it, and a line that could take long to compare with a name is passed over, as a line is that git cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from bhasa.documents.records import EXCLUDED, GIT_IGNORED, NOT_INCLUDED, Refused, skipped
from bhasa.documents.source_configs import FolderConfig

MAX_STARS = 3  # in a line of .gitignore; each one more multiplies the time by the length of the name
MAX_GITIGNORE_BYTES = 1 << 20


@dataclass(frozen=True)
class Patterns:
    """The rules for the entries of one folder."""

    include: GitIgnoreSpec | None
    exclude: GitIgnoreSpec
    gitignore: bool
    ignored: tuple[tuple[str, GitIgnoreSpec], ...] = ()
    """The .gitignore files of this folder and of those above, innermost first, each with its folder."""

    @classmethod
    def of(cls, config: FolderConfig) -> Patterns:
        return cls(
            _parse(config.include) if config.include else None, _parse(config.exclude), config.gitignore
        )

    def entering(self, folder: str, read: Callable[[str, int], bytes]) -> Patterns:
        """Those for the entries of `folder`, relative and ending in a slash; `read` gives a file's bytes."""
        if not self.gitignore:
            return self
        try:
            content = read(f"{folder}.gitignore", MAX_GITIGNORE_BYTES)
        except Refused:
            return self
        rules = GitIgnoreSpec(_rules(content.decode(errors="replace").splitlines()))
        return replace(self, ignored=((folder, rules), *self.ignored))

    def refusal(self, entry: str) -> Refused | None:
        """Why the entry is left out; it is relative to the source's folder, and a folder ends in a slash."""
        if self.exclude.match_file(entry):
            return skipped(EXCLUDED)
        if self._is_ignored(entry):
            return skipped(GIT_IGNORED)
        if self.include and not entry.endswith("/") and not self.include.match_file(entry):
            return skipped(NOT_INCLUDED)
        return None

    def _is_ignored(self, entry: str) -> bool:
        """The innermost file that says anything decides."""
        for folder, rules in self.ignored:
            said = rules.check_file(entry.removeprefix(folder)).include
            if said is not None:
                return said
        return False


def _parse(lines: Iterable[str]) -> GitIgnoreSpec:
    """To git `x/**` is all that is in x; to the library it is x itself too, which would not be entered."""
    return GitIgnoreSpec.from_lines(re.sub(r"/\*\*\s*$", "/**/*", line) for line in lines)


def _rules(lines: Iterable[str]) -> Iterator[GitIgnoreSpecPattern]:
    for line in lines:
        if line.replace("**/", "*/").count("*") <= MAX_STARS:
            with suppress(ValueError):
                yield from _parse([line]).patterns
