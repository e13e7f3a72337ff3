"""Reading a token folder at any place, through memory maps.

What is checked when: on opening, that every file is there with its type and length, and that no id is beyond
the vocabulary, by the index alone; when a file is read for the first time, its hash.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bhasa.errors import FileError, UserError
from bhasa.journal import read_json, sha256_file
from bhasa.tokens.shards import INDEX_FILE, TOKENIZER_FILE, Index, Shard, SplitIndex


class _Array:
    """A memory map of a file, which is compared with the index before it is read for the first time."""

    def __init__(self, path: Path, dtype: str, length: int, sha256: str | None) -> None:
        self.path, self.sha256 = path, sha256
        self._values = _open_array(path, np.dtype(dtype), length)

    @cached_property
    def values(self) -> NDArray[Any]:
        if sha256_file(self.path) != self.sha256:
            raise FileError(self.path, f"damaged: its SHA-256 is not that in {INDEX_FILE}")
        return self._values


@dataclass(frozen=True)
class _Opened:
    """The arrays of a shard."""

    tokens: _Array
    offsets: _Array
    mask: _Array | None


@dataclass(frozen=True)
class TokenSplit:
    """One split of a token folder, or one of its domains, open for reading at any place."""

    folder: Path
    split: str
    vocab_size: int
    index: SplitIndex
    _opened: tuple[_Opened, ...]

    @property
    def name(self) -> str:
        """Folder and split, for messages."""
        return f"{self.folder} ({self.split})"

    @cached_property
    def tokens(self) -> int:
        return self.index.tokens

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """(shards + 1,): where each shard starts in the stream, and where the last one ends."""
        return np.cumsum([0, *(shard.tokens for shard in self.index.shards)], dtype=np.int64)

    @cached_property
    def _starts_list(self) -> list[int]:
        return [int(start) for start in self._starts]

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """(documents + 1,): where each document starts in the stream, and where the last one ends."""
        starts = self._starts[:-1]
        parts = [one.offsets.values[:-1] + at for one, at in zip(self._opened, starts, strict=True)]
        return np.concatenate([*parts, self._starts[-1:]])

    def of_domain(self, domain: str) -> "TokenSplit":
        """What came from one domain, as a stream of its own."""
        places = [place for place, shard in enumerate(self.index.shards) if shard.domain == domain]
        shards = tuple(self.index.shards[place] for place in places)
        return replace(
            self,
            split=f"{self.split}, {domain}",
            index=self.index.model_copy(update={"shards": shards}),
            _opened=tuple(self._opened[place] for place in places),
        )

    def require_rows(self, rows: int) -> None:
        """Refuse a model with too few rows of the embedding, on which a GPU would crash much later."""
        if self.index.max_id >= rows:
            found = f"token id {self.index.max_id:,} is beyond the {rows:,} rows of the embedding"
            raise FileError(self.folder, f"{self.split}: {found}")

    def read(self, start: int, stop: int) -> NDArray[np.int64]:
        """The tokens [start, stop) of the stream."""
        return self._span([one.tokens for one in self._opened], start, stop).astype(np.int64)

    def read_mask(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of the tokens [start, stop) count in the loss."""
        if not self.index.masked:
            return np.ones(stop - start, np.bool_)
        masks = [one.mask for one in self._opened if one.mask is not None]
        return self._span(masks, start, stop).astype(np.bool_)

    def windows(self, starts: NDArray[np.int64], length: int) -> NDArray[Any]:
        """Tokens (n, length) from each of `starts` (n,) on, in the type stored; the stream is a ring."""
        firsts, opened = self._starts_list, self._opened
        rows = np.empty((len(starts), length), opened[0].tokens.values.dtype)
        for row, start in enumerate(starts.tolist()):
            shard = bisect_right(firsts, start) - 1
            if start + length <= firsts[shard + 1]:
                place = start - firsts[shard]
                rows[row] = opened[shard].tokens.values[place : place + length]
            else:
                rows[row] = self._around(start, length)
        return rows

    def _around(self, start: int, length: int) -> NDArray[Any]:
        """A span that goes over the end of a shard, or over that of the ring, also several times."""
        arrays, left = [one.tokens for one in self._opened], length
        parts = []
        while left:
            stop = min(start + left, self.tokens)
            parts.append(self._span(arrays, start, stop))
            start, left = 0, left - (stop - start)
        return np.concatenate(parts)

    def _span(self, arrays: Sequence[_Array], start: int, stop: int) -> NDArray[Any]:
        first = max(0, int(np.searchsorted(self._starts, start, side="right")) - 1)
        touched = slice(first, int(np.searchsorted(self._starts[:-1], stop)))
        parts = [
            array.values[max(0, start - here) : stop - here]
            for array, here in zip(arrays[touched], self._starts[:-1][touched], strict=True)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


def open_split(folder: Path, split: str, *, tokenizer: Path) -> TokenSplit:
    """Open a split for reading; `tokenizer` is the folder of the tokenizer it must have been made with.

    Raises `UserError` naming the file when anything is missing, truncated or of another tokenizer.
    """
    index = _read_index(folder, tokenizer)
    if split not in index.splits:
        raise FileError(folder, f"no split '{split}'; there are: {', '.join(index.splits)}")
    entry = index.splits[split]
    opened = TokenSplit(
        folder=folder,
        split=split,
        vocab_size=index.vocab_size,
        index=entry,
        _opened=tuple(_open_shard(folder, shard, index.dtype, entry.masked) for shard in entry.shards),
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


def _open_shard(folder: Path, shard: Shard, dtype: str, masked: bool) -> _Opened:
    mask = _Array(folder / shard.mask_file, "uint8", shard.tokens, shard.mask_sha256) if masked else None
    return _Opened(
        _Array(folder / shard.file, dtype, shard.tokens, shard.sha256),
        _Array(folder / shard.offsets_file, "int64", shard.documents + 1, shard.offsets_sha256),
        mask,
    )


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
    return np.asarray(array)  # slicing a `memmap` costs several times as much
