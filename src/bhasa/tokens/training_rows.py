"""The kinds of rows that a base model learns from, and the loader for each, as a training preset asks."""

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np

from bhasa.errors import UserError
from bhasa.randomness import derive
from bhasa.tokens.loader import Batch, Flags, Loader, Rows, Tokens, WindowLoader, as_batch
from bhasa.tokens.mix import MixLoader, require_domains
from bhasa.tokens.shard_reader import TokenSplit
from bhasa.tokens.special import END_OF_TEXT

RowKind = Literal["packed", "documents", "streams"]
"""The key `rows` of a training preset."""


class DocumentLoader(Loader):
    """One document a row, filled up with `<|endoftext|>`, which is no target.

    A document longer than a row loses its end; one without any text would teach nothing and is left out.
    """

    def __init__(self, split: TokenSplit, context_length: int, *, seed: int | None) -> None:
        super().__init__(split, context_length, seed=seed)
        lengths = np.diff(split.offsets)
        self._starts = split.offsets[:-1][lengths > 1]
        self._lengths = np.minimum(lengths[lengths > 1], context_length + 1)
        self.rows_per_epoch = len(self._starts)
        self.left_out_tokens = int(lengths.sum() - self._lengths.sum())
        """Tokens that are in no row."""
        if not self.rows_per_epoch:
            raise UserError(f"{split.name}: no document has any text; add documents")

    def places(self, epoch: int, numbers: Tokens) -> Tokens:
        """The numbers themselves."""
        return numbers

    def rows(self, places: Tokens) -> Rows:
        tokens = self.split.windows(self._starts[places], self.context_length + 1)
        counted = np.arange(self.context_length + 1) < self._lengths[places, None]
        tokens[~counted] = END_OF_TEXT
        return Rows(tokens, counted)


class StreamLoader:
    """Contiguous text: what a slot of the batch reads at a step goes on where it stopped at the step before.

    The stream, a ring cut open at another place in every epoch, is divided into as many parts of equal
    length as the batch has rows, and slot b reads the rows of part b in turn. A model that carries a
    state from step to step keeps one for every slot, and forgets it where `begins` says so: at the first
    step of an epoch. Within a row, a segment id other than 0 forgets it as in every other row.
    """

    def __init__(self, split: TokenSplit, context_length: int, *, seed: int | None) -> None:
        if split.tokens < context_length:
            raise UserError(
                f"{split.name}: {split.tokens:,} tokens do not fill one row of {context_length:,}; "
                "lower the context length or add documents"
            )
        self.split, self.context_length, self.seed = split, context_length, seed
        self.rows_per_epoch = split.tokens // context_length

    def batch(self, step: int, batch_size: int, rows: slice = slice(None)) -> Batch:
        """The `rows` of the batch of a step; the part of a slot depends on `batch_size`."""
        epoch, row = divmod(step, self._rows_of_a_part(batch_size))
        first = 0 if self.seed is None else derive(self.seed, "ring", epoch) % self.split.tokens
        parts = np.arange(batch_size)[rows] * (self.split.tokens // batch_size)
        starts = (first + parts + row * self.context_length) % self.split.tokens
        return as_batch(self.split.windows(starts, self.context_length + 1), None)

    def begins(self, step: int, batch_size: int, rows: slice = slice(None)) -> Flags:
        """(b,): whether the row of a step does not go on from that of the step before in the same slot."""
        anew = step % self._rows_of_a_part(batch_size) == 0
        return np.full(batch_size, anew)[rows]

    def _rows_of_a_part(self, batch_size: int) -> int:
        count = self.split.tokens // batch_size // self.context_length
        if not count:
            raise UserError(
                f"{self.split.name}: {self.split.tokens:,} tokens do not fill {batch_size} rows of "
                f"{self.context_length:,}; lower tokens_per_step or add documents"
            )
        return count


class RowSource(Protocol):
    """What all of these have, see `training.step.Batches`."""

    rows_per_epoch: int

    def batch(self, step: int, batch_size: int, rows: slice) -> Batch: ...


LOADERS: Mapping[str, type[Loader]] = {"packed": WindowLoader, "documents": DocumentLoader}


def training_rows(
    split: TokenSplit, context_length: int, *, kind: RowKind, mix: Mapping[str, float] | None, seed: int
) -> RowSource:
    """The rows of a split in random order: in their natural proportions, or as `mix` weighs the domains."""
    if mix is None:
        return _loader(split, context_length, kind, seed)
    require_domains(mix, split.index.domains, split.name)
    if kind == "streams":
        raise UserError("ingest.mix: the training preset has rows: streams, which are not mixed; set null")
    loaders = {
        domain: LOADERS[kind](split.of_domain(domain), context_length, seed=derive(seed, "domain", domain))
        for domain, weight in mix.items()
        if weight > 0
    }
    return MixLoader(loaders, mix, seed=seed)


def _loader(split: TokenSplit, context_length: int, kind: RowKind, seed: int) -> RowSource:
    if kind == "streams":
        return StreamLoader(split, context_length, seed=seed)
    return LOADERS[kind](split, context_length, seed=seed)
