"""Parts of an Office Open XML file and how they refer to each other (ECMA-376, part 2)."""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import basename, dirname, join, normpath
from urllib.parse import unquote

from bhasa.documents.readers.page import MAX_META
from bhasa.documents.readers.xml_events import elements
from bhasa.documents.readers.zipped import Zip
from bhasa.documents.records import Refused

CORE_PROPERTIES = {"title": "title", "language": "language", "created": "date"}
MAX_RELATIONSHIPS = 100_000


@dataclass(frozen=True)
class Related:
    kind: str
    """The last word of its type's address: `footnotes`, `slide`."""
    member: str


class Package:
    def __init__(self, content: bytes) -> None:
        self._zip = Zip(content)
        self.main = self.only("", "officeDocument")

    def read(self, member: str) -> bytes:
        return self._zip.read(member)

    def related(self, member: str) -> dict[str, Related]:
        """What a part refers to, by the id that it uses; of the package itself where `member` is empty."""
        listing = join(dirname(member), "_rels", f"{basename(member)}.rels")
        if listing not in self._zip:
            return {}
        found = [one.attributes for one in elements(self._zip.read(listing)) if one.tag == "Relationship"]
        return {
            one.get("Id", ""): Related(basename(one.get("Type", "")), _target(member, one.get("Target", "")))
            for one in found[:MAX_RELATIONSHIPS]
            if one.get("TargetMode") != "External"
        }

    def only(self, member: str, kind: str) -> str:
        """The part of this kind that `member` refers to; empty where there is none."""
        return next((one.member for one in self.related(member).values() if one.kind == kind), "")

    def meta(self) -> dict[str, str]:
        part = self.only("", "core-properties")
        try:
            listed = elements(self.read(part)) if part else []
        except Refused:  # not worth losing the text for
            listed = []
        found: dict[str, str] = {}
        for one in listed:
            text = " ".join(one.text.split())[:MAX_META]
            if text and one.tag in CORE_PROPERTIES:
                found.setdefault(CORE_PROPERTIES[one.tag], text)
        return found


class Alternatives:
    """Content that is there for programs that know a feature and again for others: the first is taken."""

    def __init__(self) -> None:
        self._taken: list[bool] = []  # of each element `AlternateContent` that is open

    def open(self) -> None:
        self._taken.append(False)

    def close(self) -> None:
        self._taken.pop()

    def are_taken(self, tag: str) -> bool:
        """Whether an element that begins now is another one than that taken."""
        if tag not in ("Choice", "Fallback") or not self._taken:
            return False
        taken, self._taken[-1] = self._taken[-1], True
        return taken


def diagram(content: bytes) -> list[str]:
    """A line for each point of a SmartArt diagram, from the part that holds its data."""
    lines: list[str] = []
    for one in elements(content):
        if one.tag == "pt":
            lines.append("")
        elif one.tag == "t" and lines:
            lines[-1] += one.text
    return [line for line in lines if line.strip()]


def _target(member: str, target: str) -> str:
    return normpath(join("/", dirname(member), unquote(target))).lstrip("/")
