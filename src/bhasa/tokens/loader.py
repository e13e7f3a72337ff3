"""Batches by arithmetic: which row comes at (step, slot) is a function of (seed, step, slot) alone.

There is no position to save or restore, any step can be computed first, and any number of workers that
share out the slots see the same batches. A loader numbers the rows of an epoch; the base class puts them
in a random order that differs by epoch, or leaves them as they are when there is no seed.
"""

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bhasa.errors import UserError
from bhasa.randomness import derive
from bhasa.tokens.permutation import permute
from bhasa.tokens.shard_reader import TokenSplit
from bhasa.tokens.special import END_OF_TEXT

IGNORED = -100  # the target of a position that has none; PyTorch's cross-entropy knows the number
ORDER_BLOCK = 4096  # slots whose order is computed at once: alone, each would cost a hundred times as much

Tokens = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Batch(NamedTuple):
    """Rows of a step, all (b, l) int64."""

    inputs: Tokens
    targets: Tokens
    """The token after each input, or `IGNORED`."""
    segment_ids: Tokens
    """Counts the documents that began in the row; 0 is the rest of one that began before it."""


class Rows(NamedTuple):
    """Rows as they are drawn."""

    tokens: NDArray[Any]
    """(b, l + 1) of any integer type."""
    counted: Flags | None
    """(b, l + 1): which of them count as targets; None: all do."""


class Loader(ABC):
    """Rows of `context_length` inputs and the tokens after them; without a `seed` in their own order."""

    rows_per_epoch: int

    def __init__(self, split: TokenSplit, context_length: int, *, seed: int | None) -> None:
        self.split, self.context_length, self.seed = split, context_length, seed
        self._block = lru_cache(maxsize=4)(self._order_of_block)

    @abstractmethod
    def rows(self, epochs: Tokens, numbers: Tokens) -> Rows:
        """The rows that have these numbers (b,) in these epochs (b,)."""

    def batch(self, step: int, batch_size: int, rows: slice = slice(None)) -> Batch:
        """The `rows` of the batch of a step. Over the steps, each row comes once before any comes twice."""
        return as_batch(*self.draw(np.arange(step * batch_size, (step + 1) * batch_size)[rows]))

    def draw(self, slots: Tokens) -> Rows:
        """The rows at `slots` (b,), the places in the endless sequence of all epochs."""
        if self.seed is None:
            return self.rows(*np.divmod(slots, self.rows_per_epoch))
        size = min(ORDER_BLOCK, self.rows_per_epoch)  # so a block is of two epochs at most
        blocks = slots // size
        if (blocks == blocks[0]).all():
            return self.rows(*self._block(int(blocks[0]))[:, slots - blocks[0] * size])
        drawn = np.empty((2, len(slots)), np.int64)
        for block in np.unique(blocks).tolist():
            here = blocks == block
            drawn[:, here] = self._block(block)[:, slots[here] - block * size]
        return self.rows(*drawn)

    def _order_of_block(self, block: int) -> Tokens:
        """(2, block size): epoch and number of the row at each slot of a block."""
        size = min(ORDER_BLOCK, self.rows_per_epoch)
        epochs, places = np.divmod(np.arange(block * size, (block + 1) * size), self.rows_per_epoch)
        assert self.seed is not None
        for epoch in np.unique(epochs):
            here = epochs == epoch
            seed = derive(self.seed, "row order", int(epoch))
            places[here] = permute(places[here], self.rows_per_epoch, seed=seed)
        return np.stack([epochs, places])


def as_batch(tokens: NDArray[Any], counted: Flags | None) -> Batch:
    """Rows (b, l + 1) to inputs and targets (b, l); a segment begins at every `<|endoftext|>`."""
    inputs, targets = tokens[:, :-1].astype(np.int64), tokens[:, 1:].astype(np.int64)
    if counted is not None:
        targets[~counted[:, 1:]] = IGNORED
    begins = tokens[:, :-1] == END_OF_TEXT
    segment_ids = np.zeros_like(inputs)
    some = begins.any(axis=1)
    segment_ids[some] = np.cumsum(begins[some], axis=1)
    return Batch(inputs, targets, segment_ids)


class WindowLoader(Loader):
    """Documents end to end, cut into windows.

    The stream is a ring, which is exact because a document knows nothing of those before it. Each epoch
    cuts it from another place, so windows begin elsewhere; the tokens left over, less than one window,
    are others too. Every token is a target. A split of fewer tokens than a window gives one, which goes round
    the ring more than once.
    """

    def __init__(self, split: TokenSplit, context_length: int, *, seed: int | None) -> None:
        super().__init__(split, context_length, seed=seed)
        if not split.tokens:
            raise UserError(f"{split.name}: no tokens; add documents")
        self.rows_per_epoch = max(1, split.tokens // context_length)
        self._first = lru_cache(maxsize=64)(self._ring_start)

    def rows(self, epochs: Tokens, numbers: Tokens) -> Rows:
        starts = numbers * self.context_length
        if self.seed is not None:
            first = np.fromiter(map(self._first, epochs.tolist()), np.int64, len(epochs))
            starts = (starts + first) % self.split.tokens
        return Rows(self.split.windows(starts, self.context_length + 1), None)

    def _ring_start(self, epoch: int) -> int:
        assert self.seed is not None
        return derive(self.seed, "ring", epoch) % self.split.tokens
