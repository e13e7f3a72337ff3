"""The loss and its gradients block by block: rows of `hidden` by columns of the vocabulary.

Where the vocabulary is one block, its logits are made once; else twice: first for the sums, then for the
gradients. Both gradients come out of the forward pass, for a loss whose own gradient is 1; backward scales.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from bhasa.ops import native, operators
from bhasa.ops.native import SoftmaxArguments, address, require_shapes

LOGITS = 1 << 23  # held at once on a CPU: 32 MB, near the caches and yet many rows to a matrix product
LOGITS_ON_A_GPU = 1 << 27
COLUMNS = 1 << 16  # of the vocabulary in one block
WITHOUT_FLOAT64 = ("mps",)
"""Devices that have no float64; there the losses of blocks are added in float32."""


class TorchSoftmax:
    """The softmaxes of some rows, taken in block by block of the vocabulary; a target of -1 has no loss."""

    def __init__(self, targets: Tensor, dtype: torch.dtype) -> None:
        self.targets = targets
        self.largest = targets.new_full(targets.shape, -torch.inf, dtype=dtype)
        self.total, self.target_logit = torch.zeros_like(self.largest), torch.zeros_like(self.largest)

    def gather(self, logits: Tensor, first: int) -> None:
        """Take in the block of columns that begins at `first`."""
        before, self.largest = self.largest, torch.maximum(self.largest, logits.amax(1))
        self.total = self.total * (before - self.largest).exp() + (logits - self.largest[:, None]).exp().sum(
            1
        )
        rows, columns = self._here(logits, first)
        self.target_logit[rows] = logits[rows, columns]

    def losses(self) -> Tensor:
        """Of each row, once all blocks are in."""
        nats = self.total.log() + self.largest - self.target_logit
        return nats.masked_fill(self.targets < 0, 0)

    def gradient_(self, logits: Tensor, first: int) -> Tensor:
        """Turn a block of logits into the gradient of the summed loss, in place."""
        share = self.total.reciprocal().masked_fill(self.targets < 0, 0)
        logits.sub_(self.largest[:, None]).exp_().mul_(share[:, None])
        rows, columns = self._here(logits, first)
        logits[rows, columns] -= 1
        return logits

    def _here(self, logits: Tensor, first: int) -> tuple[Tensor, Tensor]:
        columns = self.targets - first
        inside = (columns >= 0) & (columns < logits.shape[1]) & (self.targets >= 0)
        (rows,) = torch.nonzero(inside, as_tuple=True)
        return rows, columns[rows]


class NativeSoftmax(TorchSoftmax):
    """The same in native code, with one pass over a block each: `ops/native/rows.h`."""

    def gather(self, logits: Tensor, first: int) -> None:
        native.call("softmax_gather", self._arguments(logits, first))

    def gradient_(self, logits: Tensor, first: int) -> Tensor:
        native.call("softmax_gradient", self._arguments(logits, first))
        return logits

    def _arguments(self, logits: Tensor, first: int) -> SoftmaxArguments:
        require_shapes((len(logits),), targets=self.targets)
        tensors = (logits, self.targets, self.largest, self.total, self.target_logit)
        return SoftmaxArguments(*logits.shape, first, *map(address, tensors))


def register(name: str, softmax: type[TorchSoftmax]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Make the operator bhasa::cross_entropy_<name>; returns the differentiable loss."""
    operator = operators.define(
        f"cross_entropy_{name}",
        "(Tensor hidden, Tensor weight, Tensor targets, bool want_hidden, bool want_weight) "
        "-> (Tensor, Tensor, Tensor)",
        compute=lambda *arguments: _compute(softmax, *arguments),
        fake=lambda hidden, weight, _, *wanted: _results(hidden, weight, *wanted),
    )

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.set_materialize_grads(False)  # nobody differentiates the gradients: spare zeros of their size
        ctx.dtypes = [
            value.dtype if wanted else None for value, wanted in zip(inputs[:2], inputs[3:], strict=True)
        ]
        ctx.save_for_backward(*output[1:])

    def differentiate(ctx: Any, dloss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        found = (
            None if dtype is None else (gradient * dloss).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return (*found, None, None, None)

    operators.register_autograd(f"cross_entropy_{name}", differentiate, setup_context)

    def loss(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        grad = torch.is_grad_enabled()
        result: Tensor = operator(
            hidden, weight, targets, grad and hidden.requires_grad, grad and weight.requires_grad
        )[0]
        return result

    return loss


def _results(
    hidden: Tensor, weight: Tensor, want_hidden: bool, want_weight: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Room for the loss and both gradients; what is not wanted has none."""
    precise = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    return (
        hidden.new_empty((), dtype=precise),
        hidden.new_empty(hidden.shape if want_hidden else (0,)),
        weight.new_empty(weight.shape if want_weight else (0,), dtype=precise),
    )


def token_losses(softmax: type[TorchSoftmax], hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The loss of each row, without gradients."""
    with torch.no_grad():
        return torch.cat([sums.losses() for _, _, sums in _row_blocks(softmax, hidden, weight, targets)])


def _row_blocks(
    softmax: type[TorchSoftmax], hidden: Tensor, weight: Tensor, targets: Tensor
) -> Iterator[tuple[slice, Tensor, TorchSoftmax]]:
    """Some rows at a time: which, the logits of their last block of columns, and their softmaxes."""
    precise = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    blocks = weight.split(COLUMNS)
    rows = (LOGITS if hidden.device.type == "cpu" else LOGITS_ON_A_GPU) // blocks[0].shape[0]
    for start in range(0, len(hidden), max(1, rows)):
        here = slice(start, start + max(1, rows))
        sums = softmax(targets[here].contiguous(), precise)
        for i, block in enumerate(blocks):
            logits = torch.mm(hidden[here], block.T).to(precise)
            sums.gather(logits, i * COLUMNS)
        yield here, logits, sums


def _accumulate(total: Tensor, a: Tensor, b: Tensor, *, first: bool) -> None:
    """total += a b, in total's precision; total = a b if it is the first."""
    if total.dtype == a.dtype:
        total.addmm_(a, b, beta=0 if first else 1)
    elif first:
        total.copy_(torch.mm(a, b))
    else:
        total += torch.mm(a, b)


def _compute(
    softmax: type[TorchSoftmax],
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    want_hidden: bool,
    want_weight: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    loss, dhidden, dweight = _results(hidden, weight, want_hidden, want_weight)
    exact = torch.float32 if hidden.device.type in WITHOUT_FLOAT64 else torch.float64
    nats = torch.zeros((), dtype=exact, device=hidden.device)
    blocks = weight.split(COLUMNS)
    if not len(hidden):
        dweight.zero_()
    for here, logits, sums in _row_blocks(softmax, hidden, weight, targets):
        h = hidden[here]
        nats += sums.losses().sum(dtype=exact)
        for i, block in enumerate(blocks if want_hidden or want_weight else ()):
            if len(blocks) > 1:
                logits = torch.mm(h, block.T).to(loss.dtype)
            gradient = sums.gradient_(logits, i * COLUMNS).to(h.dtype)
            if want_hidden:
                _accumulate(dhidden[here], gradient, block, first=i == 0)
            if want_weight:
                columns = slice(i * COLUMNS, i * COLUMNS + len(block))
                _accumulate(dweight[columns], gradient.T, h, first=here.start == 0)
    return nats.to(loss.dtype), dhidden, dweight
