"""Writing a token folder, shard by shard: what is in memory is one shard of each domain at most."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bhasa.errors import FileError
from bhasa.journal import sha256_file
from bhasa.tokens.shards import SHARD_TOKENS, Index, Shard, beside, dtype_of, write_index


class TokenDocument(NamedTuple):
    """A document or conversation to write."""

    ids: ArrayLike
    bytes: int
    """UTF-8 bytes of the text it was made from."""
    mask: ArrayLike | None = None
    """1 for tokens that count in the loss; None: all do."""
    domain: str = ""


def write_tokens(
    folder: Path,
    splits: Mapping[str, Iterable[TokenDocument]],
    *,
    vocab_size: int,
    tokenizer: Path,
    masked: bool,
    shard_tokens: int = SHARD_TOKENS,
) -> Index:
    """Write the whole folder, which must not exist, with masks or without.

    `tokenizer` is the folder of the tokenizer that gave the ids. A split may be lazy; it is read once.
    """
    folder.mkdir()
    shards = {
        split: write_shards(
            folder, split, documents, vocab_size=vocab_size, masked=masked, shard_tokens=shard_tokens
        )
        for split, documents in splits.items()
    }
    return write_index(folder, shards, vocab_size=vocab_size, tokenizer=tokenizer, masked=masked)


def write_shards(
    folder: Path,
    prefix: str,
    documents: Iterable[TokenDocument],
    *,
    vocab_size: int,
    masked: bool = False,
    shard_tokens: int = SHARD_TOKENS,
) -> tuple[Shard, ...]:
    """Write the documents into shards `<prefix>-00000.npy` and on, each of one domain, in that order."""
    drafts: dict[str, _Draft] = {}
    written: list[Shard] = []

    def finish(draft: _Draft) -> None:
        written.append(draft.write(folder, f"{prefix}-{len(written):05d}.npy"))

    for number, document in enumerate(documents, start=1):
        ids = _checked(document.ids, vocab_size, folder, f"{prefix}, document {number}")
        draft = drafts.setdefault(document.domain, _Draft(document.domain, masked))
        draft.add(ids, document)
        if draft.tokens >= shard_tokens:
            finish(drafts.pop(document.domain))
    for domain in sorted(drafts):
        finish(drafts[domain])
    return tuple(written)


@dataclass
class _Draft:
    """A shard that is not yet full."""

    domain: str
    masked: bool
    tokens: int = 0
    bytes: int = 0
    ids: list[NDArray[Any]] = field(default_factory=list)
    masks: list[NDArray[np.uint8]] = field(default_factory=list)

    def add(self, ids: NDArray[Any], document: TokenDocument) -> None:
        self.ids.append(ids)
        if self.masked:
            whole = np.ones(len(ids), np.uint8)
            self.masks.append(whole if document.mask is None else np.asarray(document.mask, np.uint8))
        self.tokens += len(ids)
        self.bytes += document.bytes

    def write(self, folder: Path, file: str) -> Shard:
        path, offsets_path, mask_path = (
            folder / name for name in (file, beside(file, "offsets"), beside(file, "mask"))
        )
        tokens = np.concatenate(self.ids)
        np.save(path, tokens)
        np.save(offsets_path, np.cumsum([0, *map(len, self.ids)], dtype=np.int64))
        mask = np.concatenate(self.masks) if self.masked else None
        if mask is not None:
            np.save(mask_path, mask)
        return Shard(
            file=file,
            domain=self.domain,
            tokens=self.tokens,
            documents=len(self.ids),
            bytes=self.bytes,
            target_tokens=self.tokens if mask is None else int(mask.sum()),
            max_id=int(tokens.max(initial=0)),
            sha256=sha256_file(path),
            offsets_sha256=sha256_file(offsets_path),
            mask_sha256=None if mask is None else sha256_file(mask_path),
        )


def _checked(values: ArrayLike, vocab_size: int, folder: Path, where: str) -> NDArray[Any]:
    ids = np.asarray(values)
    if ids.size and not (ids.min() >= 0 and ids.max() < vocab_size):
        wrong = ids[(ids < 0) | (ids >= vocab_size)]
        raise FileError(folder, f"{where}: token id {wrong[0]} is outside the vocabulary of {vocab_size}")
    return ids.astype(dtype_of(vocab_size), copy=False)
