"""What is finished of tokenizing, so that it goes on where it was interrupted.

The tokenizer and the shards of each finished file of documents lie in a work folder, which is named by all
that decides them, until the stage has ended. What lies there counts only with the hash that was recorded when
it was finished, so what a power cut or a full disk left half-written is made again.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bhasa.errors import FileError, UserError
from bhasa.journal import read_json, sha256_file, write_json
from bhasa.params import Config
from bhasa.tokens.shards import Shard

FORMAT = 1  # of what is kept; a change of what the same documents become is one, too


class Tally(Config):
    """What some documents became."""

    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    inexact: int = 0
    """Documents that decoding does not give back."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in Tally.model_fields})


class FinishedFile(Config):
    """One file of documents."""

    shards: tuple[Shard, ...]
    tallies: dict[str, dict[str, Tally]]
    """By domain, then by language, or media type where that is not known."""


def total(files: Iterable[FinishedFile]) -> Tally:
    """Of all documents in several files."""
    return sum(
        (tally for file in files for kinds in file.tallies.values() for tally in kinds.values()), Tally()
    )


class WorkFolder:
    """What is finished of one run."""

    def __init__(self, path: Path) -> None:
        self.path, self.tokenizer, self.tokens = path, path / "tokenizer", path / "tokens"
        self.tokens.mkdir(exist_ok=True)

    def finished(self, file: str) -> FinishedFile | None:
        """What became of a file of documents, if all of it is there and whole."""
        record = self._record(file)
        try:
            found = FinishedFile.parse(read_json(record), str(record))
        except (FileError, UserError):
            return None
        return found if all(self._whole(shard) for shard in found.shards) else None

    def finish(self, file: str, result: FinishedFile) -> None:
        """Record it, after its shards are written."""
        write_json(self._record(file), result.as_mapping())

    def _record(self, file: str) -> Path:
        return self.path / "finished" / f"{file}.json"

    def _whole(self, shard: Shard) -> bool:
        expected = {shard.file: shard.sha256, shard.offsets_file: shard.offsets_sha256}
        return all(
            (self.tokens / name).is_file() and sha256_file(self.tokens / name) == sha256
            for name, sha256 in expected.items()
        )


def fingerprint(facts: Any, files: Iterable[Path]) -> str:
    """16 hex digits that change when a fact does, or the content of a file."""
    hashes = {path.name: sha256_file(path) for path in files}
    text = json.dumps({"format": FORMAT, "facts": facts, "files": hashes}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
