"""The loss of a language model from its last hidden states, without ever holding all logits.

    loss = sum over rows of log(sum over v of exp(hidden weight[v])) - hidden weight[target]

Logits are made for some rows at a time (and some of a large vocabulary), turned into their gradient in
place, and multiplied into those of `hidden` and `weight` at once, so nothing of their size outlives them.
Source: the idea is that of Wijmans et al. 2024, "Cut your losses in large-vocabulary language models".
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from bhasa.ops.backends import Backends, Implementation
from bhasa.ops.cross_entropy import blocks
from bhasa.ops.cross_entropy.blocks import NativeSoftmax, TorchSoftmax
from bhasa.ops.native import missing

Losses = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(hidden, weight, targets) as `_rows` gives them, to the loss."""


class CrossEntropy(NamedTuple):
    """What an implementation computes."""

    summed: Losses
    """(): differentiable in `hidden` and `weight`."""
    by_token: Losses
    """(rows,): without gradients."""


def reference_loss(hidden: Tensor, weight: Tensor, targets: Tensor, *, reduction: str = "sum") -> Tensor:
    """All logits at once."""
    return F.cross_entropy(F.linear(hidden, weight), targets, ignore_index=-1, reduction=reduction)


def _by_blocks(name: str, softmax: type[TorchSoftmax]) -> CrossEntropy:
    return CrossEntropy(blocks.register(name, softmax), partial(blocks.token_losses, softmax))


BACKENDS: Backends[CrossEntropy] = Backends(
    "cross_entropy",
    instead={"triton": "chunked"},
    native=Implementation(_by_blocks("native", NativeSoftmax), missing),
    chunked=Implementation(_by_blocks("chunked", TorchSoftmax)),
    reference=Implementation(
        CrossEntropy(reference_loss, torch.no_grad()(partial(reference_loss, reduction="none")))
    ),
)


def cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, ignore_index: int = -100, backend: str = "auto"
) -> Tensor:
    """Summed loss in nats, float32 or float64.

    Args: hidden (..., d); weight (V, d); targets (...) of ids, `ignore_index` where there is no loss.
    Products are computed in hidden's dtype, or autocast's; softmax and sums at least in float32.
    """
    compute = BACKENDS[BACKENDS.resolve(backend, hidden.device, hidden.dtype)].compute
    return compute.summed(*_rows(hidden, weight, targets, ignore_index))


def token_losses(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, ignore_index: int = -100, backend: str = "auto"
) -> Tensor:
    """The loss of each target, in the shape of `targets`, 0 where there is none; without gradients."""
    compute = BACKENDS[BACKENDS.resolve(backend, hidden.device, hidden.dtype)].compute
    return compute.by_token(*_rows(hidden, weight, targets, ignore_index)).view(targets.shape)


def _rows(
    hidden: Tensor, weight: Tensor, targets: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What each implementation takes: (rows, d), (V, d) of one dtype, (rows,) with -1 for no loss."""
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        hidden, weight = (t.to(torch.get_autocast_dtype(device)) for t in (hidden, weight))
    targets = targets.flatten()
    targets = targets.masked_fill(targets == ignore_index, -1)
    return hidden.flatten(0, -2), weight.to(hidden.dtype), targets
