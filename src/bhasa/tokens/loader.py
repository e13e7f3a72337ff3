"""Batches by arithmetic: which row comes at (step, slot) is a function of (seed, step, slot) alone.

There is no position to save or restore, any step can be computed first, and any number of workers that
share out the slots see the same batches. A loader numbers the rows of an epoch; the base class puts them
in a random order that differs by epoch, or leaves them as they are when there is no seed.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bhasa.errors import UserError
from bhasa.randomness import derive
from bhasa.tokens.permutation import permute
from bhasa.tokens.shards import TokenSplit
from bhasa.tokens.special import END_OF_TEXT

IGNORED = -100  # the target of a position that has none; PyTorch's cross-entropy knows the number

Tokens = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Batch(NamedTuple):
    """Rows of a step, all (b, l) int64."""

    inputs: Tokens
    targets: Tokens
    """The token after each input, or `IGNORED`."""
    segment_ids: Tokens
    """Counts the documents that began in the row; 0 is the rest of one that began before it."""


class Loader(ABC):
    """Rows of `context_length` inputs and the tokens after them; without a `seed` in their own order."""

    rows_per_epoch: int

    def __init__(self, split: TokenSplit, context_length: int, *, seed: int | None) -> None:
        self.split, self.context_length, self.seed = split, context_length, seed

    @abstractmethod
    def row(self, epoch: int, number: int) -> tuple[Tokens, Flags]:
        """Tokens (l + 1,) of a row of an epoch, and which of them count as targets."""

    def batch(self, step: int, batch_size: int, rows: slice = slice(None)) -> Batch:
        """The `rows` of the batch of a step. Over the steps, each row comes once before any comes twice."""
        slots = np.arange(step * batch_size, (step + 1) * batch_size)[rows]
        epochs, places = np.divmod(slots, self.rows_per_epoch)
        drawn = [self.row(int(e), int(n)) for e, n in zip(epochs, self._order(epochs, places), strict=True)]
        return as_batch(np.stack([tokens for tokens, _ in drawn]), np.stack([flags for _, flags in drawn]))

    def _order(self, epochs: Tokens, places: Tokens) -> Tokens:
        if self.seed is None:
            return places
        numbers = np.empty_like(places)
        for epoch in np.unique(epochs):
            seed = derive(self.seed, "row order", int(epoch))
            numbers[epochs == epoch] = permute(places[epochs == epoch], self.rows_per_epoch, seed=seed)
        return numbers


def as_batch(tokens: Tokens, counted: Flags) -> Batch:
    """Rows (b, l + 1) to inputs and targets (b, l); a segment begins at every `<|endoftext|>`."""
    inputs = np.ascontiguousarray(tokens[:, :-1])
    targets = np.where(counted[:, 1:], tokens[:, 1:], IGNORED)
    return Batch(inputs, targets, np.cumsum(inputs == END_OF_TEXT, axis=1))


class WindowLoader(Loader):
    """Documents end to end, cut into windows.

    The stream is a ring, which is exact because a document knows nothing of those before it. Each epoch
    cuts it from another place, so windows begin elsewhere; the tokens left over, less than one window,
    are others too. Every token is a target.
    """

    def __init__(self, split: TokenSplit, context_length: int, *, seed: int | None) -> None:
        super().__init__(split, context_length, seed=seed)
        self.rows_per_epoch = split.index.tokens // context_length
        if not self.rows_per_epoch:
            raise UserError(
                f"{split.name}: {split.index.tokens:,} tokens do not fill one row of {context_length:,}; "
                "lower the context length or add documents"
            )

    def row(self, epoch: int, number: int) -> tuple[Tokens, Flags]:
        size = self.split.index.tokens
        first = 0 if self.seed is None else derive(self.seed, "ring", epoch) % size
        start = (first + number * self.context_length) % size
        stop = start + self.context_length + 1
        tokens = self.split.read(start, min(stop, size))
        if stop > size:
            tokens = np.concatenate([tokens, self.split.read(0, stop - size)])
        return tokens, np.ones(len(tokens), np.bool_)
