"""Dropout by arithmetic: what is dropped is a function of (seed, step, row, layer).

A generator would give other masks to other micro-batches, and on other devices. A hash of the place in the
row gives the same everywhere, and again when activations are recomputed in backward.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bhasa.randomness import derive


class RowDropout(nn.Dropout):
    """torch's, of rows (b, ...) of which each has a key; without keys it is torch's own."""

    keys: Tensor | None = None
    """(b,) int64, while training."""

    def forward(self, x: Tensor) -> Tensor:
        if self.keys is None or not self.training:
            return super().forward(x)
        return x.masked_fill(dropped(self.keys, x.shape, self.p), 0.0) / (1 - self.p)


def drop_by_row(model: nn.Module) -> dict[str, RowDropout]:
    """Put a `RowDropout` in place of each dropout in `model`, adapters' too; returns them by name."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout and child.p:
                setattr(module, name, RowDropout(child.p))
    return {name: module for name, module in model.named_modules() if isinstance(module, RowDropout)}


@contextmanager
def keyed(
    dropouts: Mapping[str, RowDropout], seed: int, step: int, rows: range, device: torch.device
) -> Iterator[None]:
    """Give the layers the keys of a step's `rows`, for their forward and backward."""
    for name, module in dropouts.items():
        keys = [derive(seed, "dropout", step, row, name) for row in rows]
        module.keys = torch.tensor(keys, device=device)
    try:
        yield
    finally:
        for module in dropouts.values():
            module.keys = None


def dropped(keys: Tensor, shape: torch.Size, p: float) -> Tensor:
    """Which numbers of rows of `shape` (b, ...) are dropped, each with probability `p`.

    Each number's place is hashed with its row's key by two multiplications modulo 2^32. Source of the
    constants: Wellons 2018, "Prospecting for hash functions" (lowbias32).
    """
    places = torch.arange(math.prod(shape[1:]), dtype=torch.int32, device=keys.device)
    x = places + keys[:, None].to(torch.int32)  # (b, n); the lower half of the key
    x ^= x >> 16 & 0xFFFF
    x *= 0x7FEB352D
    x ^= (keys >> 32)[:, None].to(torch.int32)
    x ^= x >> 15 & 0x1FFFF
    x *= 0x846CA68B - (1 << 32)
    x ^= x >> 16 & 0xFFFF
    return (x < round(p * (1 << 32)) - (1 << 31)).view(shape)
