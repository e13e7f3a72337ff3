"""The token folder: one stream of tokens per split, in `.npy` shards that are read through memory maps.

`<split>-00000.npy` and on hold the tokens (uint16, or uint32 for vocabularies from 65,536 up),
`<split>-00000.mask.npy` beside them which of those count in the loss, where not all do;
`<split>.offsets.npy` where each document starts in the stream, and its end; `index.json` the sizes, the
largest ids and the hash of every file, so that its own hash names the whole folder.
A document may cross from one shard to the next. Writing holds one shard in memory, reading none.

What is checked when: on opening, that every file is there with its type and length, and that no id is beyond
the vocabulary, by the index alone; when a file is read for the first time, its hash.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bhasa.errors import FileError, UserError
from bhasa.journal import read_json, sha256_file, write_json
from bhasa.params import Config

INDEX_FILE = "index.json"
TOKENIZER_FILE = "tokenizer.json"
SHARD_TOKENS = 1 << 26  # 128 MiB of uint16


class TokenDocument(NamedTuple):
    """A document or conversation to write."""

    ids: ArrayLike
    bytes: int
    """UTF-8 bytes of the text it was made from."""
    mask: ArrayLike | None = None
    """1 for tokens that count in the loss; None: all do."""


class Shard(Config):
    file: str
    tokens: int
    max_id: int
    sha256: str
    mask_sha256: str | None
    """None where all tokens count."""


class SplitIndex(Config):
    tokens: int
    documents: int
    bytes: int
    target_tokens: int
    """Those that count in the loss."""
    masked: bool
    offsets_sha256: str
    shards: tuple[Shard, ...]


class Index(Config):
    dtype: Literal["uint16", "uint32"]
    vocab_size: int
    tokenizer_sha256: str
    splits: dict[str, SplitIndex]


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
    dtype: Literal["uint16", "uint32"] = "uint16" if vocab_size < 1 << 16 else "uint32"
    writers = {split: _SplitWriter(folder, split, np.dtype(dtype), masked, shard_tokens) for split in splits}
    index = Index(
        dtype=dtype,
        vocab_size=vocab_size,
        tokenizer_sha256=sha256_file(tokenizer / TOKENIZER_FILE),
        splits={split: writers[split].write(documents, vocab_size) for split, documents in splits.items()},
    )
    write_json(folder / INDEX_FILE, {"version": 1} | index.as_mapping())
    return index


def identity(folder: Path) -> str:
    """The hash of a token folder: of its index, which holds those of all its files."""
    return sha256_file(folder / INDEX_FILE)


class _SplitWriter:
    """Fills one shard in memory, writes it out when it is full, and goes on with the next."""

    def __init__(
        self, folder: Path, split: str, dtype: np.dtype[Any], masked: bool, shard_tokens: int
    ) -> None:
        self.folder, self.split, self.masked = folder, split, masked
        self.tokens = np.empty(shard_tokens, dtype)
        self.mask = np.empty(shard_tokens, np.uint8)
        self.used = 0
        self.shards: list[Shard] = []

    def write(self, documents: Iterable[TokenDocument], vocab_size: int) -> SplitIndex:
        offsets, size, target_tokens = [0], 0, 0
        for document in documents:
            ids = np.asarray(document.ids, np.int64)
            _check_ids(ids, vocab_size, self.folder, f"{self.split}, document {len(offsets)}")
            mask = (
                np.ones(len(ids), np.uint8) if document.mask is None else np.asarray(document.mask, np.uint8)
            )
            self._append(ids, mask)
            offsets.append(offsets[-1] + len(ids))
            size += document.bytes
            target_tokens += int(mask.sum())
        self._flush()
        offsets_file = self.folder / _offsets_file(self.split)
        np.save(offsets_file, np.array(offsets, np.int64))
        return SplitIndex(
            tokens=offsets[-1],
            documents=len(offsets) - 1,
            bytes=size,
            target_tokens=target_tokens,
            masked=self.masked,
            offsets_sha256=sha256_file(offsets_file),
            shards=tuple(self.shards),
        )

    def _append(self, ids: NDArray[np.int64], mask: NDArray[np.uint8]) -> None:
        while len(ids):
            fits = min(len(ids), len(self.tokens) - self.used)
            self.tokens[self.used : self.used + fits] = ids[:fits]
            self.mask[self.used : self.used + fits] = mask[:fits]
            self.used += fits
            ids, mask = ids[fits:], mask[fits:]
            if self.used == len(self.tokens):
                self._flush()

    def _flush(self) -> None:
        if not self.used:
            return
        name = f"{self.split}-{len(self.shards):05d}.npy"
        np.save(self.folder / name, self.tokens[: self.used])
        mask_sha256 = None
        if self.masked:
            np.save(self.folder / _mask_file(name), self.mask[: self.used])
            mask_sha256 = sha256_file(self.folder / _mask_file(name))
        self.shards.append(
            Shard(
                file=name,
                tokens=self.used,
                max_id=int(self.tokens[: self.used].max()),
                sha256=sha256_file(self.folder / name),
                mask_sha256=mask_sha256,
            )
        )
        self.used = 0


class _Array:
    """A memory map of a file, which is compared with the index before it is read for the first time."""

    def __init__(self, path: Path, dtype: np.dtype[Any], length: int, sha256: str | None) -> None:
        self.path, self.sha256 = path, sha256
        self._values = _open_array(path, dtype, length)

    @cached_property
    def values(self) -> NDArray[Any]:
        if sha256_file(self.path) != self.sha256:
            raise FileError(self.path, f"damaged: its SHA-256 is not that in {INDEX_FILE}")
        return self._values


@dataclass(frozen=True)
class TokenSplit:
    """One split of a token folder, open for reading at any place."""

    folder: Path
    split: str
    vocab_size: int
    index: SplitIndex
    _offsets: _Array
    _starts: NDArray[np.int64]
    _shards: list[_Array]
    _masks: list[_Array]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(documents + 1,): where each document starts in the stream, and where the last one ends."""
        return self._offsets.values

    def require_rows(self, rows: int) -> None:
        """Refuse a model with too few rows of the embedding, on which a GPU would crash much later."""
        largest = max((shard.max_id for shard in self.index.shards), default=0)
        if largest >= rows:
            found = f"token id {largest:,} is beyond the {rows:,} rows of the embedding"
            raise FileError(self.folder, f"{self.split}: {found}")

    @property
    def name(self) -> str:
        """Folder and split, for messages."""
        return f"{self.folder} ({self.split})"

    def read(self, start: int, stop: int) -> NDArray[np.int64]:
        """The tokens [start, stop) of the stream."""
        return self._span(self._shards, start, stop).astype(np.int64)

    def read_mask(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of the tokens [start, stop) count in the loss."""
        if not self._masks:
            return np.ones(stop - start, np.bool_)
        return self._span(self._masks, start, stop).astype(np.bool_)

    def _span(self, shards: list[_Array], start: int, stop: int) -> NDArray[Any]:
        first = max(0, int(np.searchsorted(self._starts, start, side="right")) - 1)
        touched = slice(first, int(np.searchsorted(self._starts, stop)))
        parts = [
            shard.values[max(0, start - here) : stop - here]
            for shard, here in zip(shards[touched], self._starts[touched], strict=True)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


def open_split(folder: Path, split: str, *, tokenizer: Path) -> TokenSplit:
    """Open a split for reading; `tokenizer` is the folder of the tokenizer it must have been made with.

    Raises `UserError` naming the file when anything is missing, truncated or of another tokenizer.
    """
    index = _read_index(folder, tokenizer)
    if split not in index.splits:
        raise FileError(folder, f"no split '{split}'; there are: {', '.join(index.splits)}")
    entry, dtype = index.splits[split], np.dtype(index.dtype)
    offsets_file, documents = folder / _offsets_file(split), entry.documents
    opened = TokenSplit(
        folder=folder,
        split=split,
        vocab_size=index.vocab_size,
        index=entry,
        _offsets=_Array(offsets_file, np.dtype(np.int64), documents + 1, entry.offsets_sha256),
        _starts=np.cumsum([0, *(shard.tokens for shard in entry.shards)])[:-1],
        _shards=[_Array(folder / shard.file, dtype, shard.tokens, shard.sha256) for shard in entry.shards],
        _masks=[
            _Array(folder / _mask_file(shard.file), np.dtype(np.uint8), shard.tokens, shard.mask_sha256)
            for shard in entry.shards
            if entry.masked
        ],
    )
    opened.require_rows(index.vocab_size)
    return opened


def _read_index(folder: Path, tokenizer: Path) -> Index:
    path = folder / INDEX_FILE
    values = read_json(path)
    try:
        index = Index.parse(values, str(path))
    except UserError as error:
        raise FileError(path, str(error).removeprefix(f"{path}: ")) from None
    file = tokenizer / TOKENIZER_FILE
    if not file.is_file():
        raise FileError(file, "no such file")
    if sha256_file(file) != index.tokenizer_sha256:
        raise FileError(path, f"these tokens were made with another tokenizer than {file}")
    return index


def _open_array(path: Path, dtype: np.dtype[Any], length: int) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except (ValueError, OSError, EOFError) as error:
        raise FileError(path, f"truncated or not an .npy file ({error})") from None
    if array.dtype != dtype or array.shape != (length,):
        found = f"{array.dtype} {array.shape}"
        raise FileError(path, f"found {found}, {INDEX_FILE} asks for {dtype} ({length},)")
    return array


def _check_ids(ids: NDArray[np.int64], vocab_size: int, folder: Path, where: str) -> None:
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if len(wrong):
        raise FileError(folder, f"{where}: token id {wrong[0]} is outside the vocabulary of {vocab_size}")


def _offsets_file(split: str) -> str:
    return f"{split}.offsets.npy"


def _mask_file(shard: str) -> str:
    return shard.removesuffix(".npy") + ".mask.npy"
