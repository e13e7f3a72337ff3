"""Rows of several domains in stated proportions, at any step by arithmetic.

Slots are counted in blocks. Every block has the same number of rows of each domain: the weights' shares of
it, rounded by largest remainder (Hamilton's method), in an order drawn anew for each block. How many rows of
a domain came before a slot is therefore known without counting them, and which row comes is the domain's own
loader's answer: each row once before any comes again, in a new order every epoch.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bhasa.errors import UserError
from bhasa.randomness import derive
from bhasa.tokens.loader import Batch, Loader, Rows, Tokens, as_batch
from bhasa.tokens.permutation import permute

BLOCK = 1024  # slots; a share is exact to one in so many


class _Arrangement(NamedTuple):
    """Of the slots of one block."""

    domains: Tokens
    """(BLOCK,): the number of each slot's domain."""
    places: Tokens
    """(BLOCK,): how many slots of the same domain are before it, in all blocks."""


class MixLoader:
    """Draws from one loader for each domain; those that weigh nothing are left out."""

    def __init__(self, loaders: Mapping[str, Loader], weights: Mapping[str, float], *, seed: int) -> None:
        self.counts = rows_per_block(weights)
        self._loaders = [loaders[domain] for domain in self.counts]
        self._sizes = np.array([*self.counts.values()], np.int64)
        self.rows_per_epoch = sum(loader.rows_per_epoch for loader in self._loaders)
        self.seed = seed
        self._block = lru_cache(maxsize=4)(self._arrange)

    def batch(self, step: int, batch_size: int, rows: slice = slice(None)) -> Batch:
        """The `rows` of the batch of a step."""
        return as_batch(*self.draw(np.arange(step * batch_size, (step + 1) * batch_size)[rows]))

    def draw(self, slots: Tokens) -> Rows:
        """The rows at `slots` (b,), the places in the endless sequence."""
        blocks = slots // BLOCK
        domains, places = np.empty_like(slots), np.empty_like(slots)
        for block in np.unique(blocks):
            here = blocks == block
            arranged = self._block(int(block))
            domains[here] = arranged.domains[slots[here] % BLOCK]
            places[here] = arranged.places[slots[here] % BLOCK]
        parts = {
            domain: (domains == domain, self._loaders[domain].draw(places[domains == domain]))
            for domain in np.unique(domains).tolist()
        }
        return _joined(len(slots), parts)

    def _arrange(self, block: int) -> _Arrangement:
        order = permute(np.arange(BLOCK), BLOCK, seed=derive(self.seed, "mix", block))
        domains = np.repeat(np.arange(len(self._sizes)), self._sizes)[order]
        places = np.empty_like(domains)
        for domain, size in enumerate(self._sizes.tolist()):
            places[domains == domain] = block * size + np.arange(size)
        return _Arrangement(domains, places)


def rows_per_block(weights: Mapping[str, float]) -> dict[str, int]:
    """How many of `BLOCK` rows each domain has, by name; of those that weigh something, one at least."""
    names = sorted(name for name, weight in weights.items() if weight > 0)
    shares = np.array([weights[name] for name in names])
    exact = shares / shares.sum() * BLOCK
    counts = np.floor(exact).astype(np.int64)
    remainders = np.argsort(counts - exact, kind="stable")  # the largest first, of equal ones by name
    counts[remainders[: BLOCK - counts.sum()]] += 1
    if not counts.all():
        name = names[int(np.argmin(counts))]
        raise UserError(
            f"ingest.mix: {name}: found {weights[name]:g}, which is less than one row in {BLOCK:,}; "
            "weigh it more, or 0 to leave it out"
        )
    return dict(zip(names, counts.tolist(), strict=True))


def require_domains(weights: Mapping[str, float], domains: tuple[str, ...], where: str) -> None:
    """Refuse weights that do not name all `domains` that there are, and no others."""
    listing = f"{where} has the domains {', '.join(domains)}"
    for name in weights:
        if name not in domains:
            raise UserError(f"ingest.mix: {name}: no such domain; {listing}")
    for name in domains:
        if name not in weights:
            raise UserError(f"ingest.mix: {name}: missing; {listing}; a weight of 0 leaves one out")


def _joined(count: int, parts: Mapping[int, tuple[np.ndarray, Rows]]) -> Rows:
    first = next(iter(parts.values()))[1]
    tokens = np.empty((count, first.tokens.shape[1]), first.tokens.dtype)
    counted = None if first.counted is None else np.empty(tokens.shape, np.bool_)
    for here, rows in parts.values():
        tokens[here] = rows.tokens
        if counted is not None:
            counted[here] = rows.counted
    return Rows(tokens, counted)
