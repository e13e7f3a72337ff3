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
MANY = 8  # boundaries a row, from which on adding up all places is faster than going from one to the next

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
        self._block = lru_cache(maxsize=4)(self._places_of_block)

    @abstractmethod
    def places(self, epoch: int, numbers: Tokens) -> Tokens:
        """Where the rows with these numbers (b,) are in an epoch, in the terms of `rows`."""

    @abstractmethod
    def rows(self, places: Tokens) -> Rows:
        """The rows at these places (b,)."""

    def batch(self, step: int, batch_size: int, rows: slice = slice(None)) -> Batch:
        """The `rows` of the batch of a step. Over the steps, each row comes once before any comes twice."""
        slots = range(step * batch_size, (step + 1) * batch_size)[rows]
        size = self._block_size
        block = slots.start // size
        if slots.step == 1 and slots.stop <= (block + 1) * size:
            places = self._block(block)[slots.start - block * size : slots.stop - block * size]
            return as_batch(*self.rows(places))
        return as_batch(*self.draw(np.array(slots, np.int64)))

    def draw(self, slots: Tokens) -> Rows:
        """The rows at `slots` (b,), the places in the endless sequence of all epochs."""
        blocks, within = np.divmod(slots, self._block_size)
        places = np.empty_like(slots)
        for block in np.unique(blocks).tolist():
            here = blocks == block
            places[here] = self._block(block)[within[here]]
        return self.rows(places)

    @property
    def _block_size(self) -> int:
        return min(ORDER_BLOCK, self.rows_per_epoch)  # so a block is of two epochs at most

    def _places_of_block(self, block: int) -> Tokens:
        """(block size,): the place of the row at each slot of a block."""
        slots = np.arange(block * self._block_size, (block + 1) * self._block_size)
        epochs, numbers = np.divmod(slots, self.rows_per_epoch)
        places = np.empty_like(slots)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            places[here] = self.places(epoch, self._order(epoch, numbers[here]))
        return places

    def _order(self, epoch: int, numbers: Tokens) -> Tokens:
        if self.seed is None:
            return numbers
        return permute(numbers, self.rows_per_epoch, seed=derive(self.seed, "row order", epoch))


def as_batch(tokens: NDArray[Any], counted: Flags | None) -> Batch:
    """Rows (b, l + 1) to inputs and targets (b, l); a segment begins at every `<|endoftext|>`."""
    inputs, targets = tokens[:, :-1].astype(np.int64), tokens[:, 1:].astype(np.int64)
    if counted is not None:
        targets[~counted[:, 1:]] = IGNORED
    return Batch(inputs, targets, _count_along(tokens[:, :-1] == END_OF_TEXT))


def _count_along(flags: Flags) -> Tokens:
    """(b, l): how many flags are set in a row up to each place, itself included."""
    rows, length = flags.shape
    places = np.flatnonzero(flags)
    if len(places) > MANY * rows:
        return np.cumsum(flags, axis=1)
    counts = np.zeros((rows, length), np.int64)
    for place in places.tolist():
        row, column = divmod(place, length)
        counts[row, column:] += 1
    return counts


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

    def places(self, epoch: int, numbers: Tokens) -> Tokens:
        """Starts in the stream."""
        first = 0 if self.seed is None else derive(self.seed, "ring", epoch) % self.split.tokens
        return (first + numbers * self.context_length) % self.split.tokens

    def rows(self, places: Tokens) -> Rows:
        return Rows(self.split.windows(places, self.context_length + 1), None)
