"""Muon: the momentum of a matrix is made orthogonal before it moves the weights (Jordan et al., 2024).

Every direction of an update then has about the same length, so what few gradients show is learnt as fast as
what most show. An update has the root mean square of AdamW's, and so its learning rate (Liu et al., 2025,
"Muon is Scalable for LLM Training", section 2.2).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

ITERATIONS = 5
COEFFICIENTS = 3.4445, -4.7750, 2.0315  # the reference's: steep at 0, and what is near 1 stays within a third
ADAMW_RMS = 0.2  # root mean square of AdamW's updates, measured by Liu et al.
STACKED = 1 << 22  # numbers in one stack: small matrices are too little work for a product each


class Stack(NamedTuple):
    """Matrices of one shape, orthogonalised together."""

    weights: list[Tensor]
    gradients: list[Tensor]
    momenta: list[Tensor]


class Muon:
    """Updates matrices (rows, columns) whose gradient is there."""

    def __init__(self, params: Mapping[str, nn.Parameter], *, momentum: float, weight_decay: float) -> None:
        self.params, self.momentum, self.weight_decay = params, momentum, weight_decay
        self.state = {name: {"momentum": torch.zeros_like(p)} for name, p in params.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for weights, gradients, momenta in self._stacks():
            torch._foreach_lerp_(momenta, gradients, 1 - self.momentum)
            ahead = torch._foreach_lerp(gradients, momenta, self.momentum)  # Nesterov's
            updates = orthogonalised(torch.stack(ahead))
            size = ADAMW_RMS * max(updates.shape[-2:]) ** 0.5
            torch._foreach_mul_(weights, 1 - rate * self.weight_decay)
            torch._foreach_add_(weights, updates.unbind(), alpha=-rate * size)

    def _stacks(self) -> Iterator[Stack]:
        by_shape = defaultdict(list)
        for name, weight in self.params.items():
            if weight.grad is not None:
                by_shape[weight.shape].append((weight, weight.grad, self.state[name]["momentum"]))
        for shape, matrices in by_shape.items():
            most = max(1, STACKED // shape.numel())
            for start in range(0, len(matrices), most):
                yield Stack(*map(list, zip(*matrices[start : start + most], strict=True)))


def orthogonalised(matrices: Tensor) -> Tensor:
    """The nearest matrix with all singular values 1, of each in (n, rows, columns), to within about a third.

    Newton-Schulz iteration of an odd polynomial of degree 5: x <- a x + b (x x^T) x + c (x x^T)^2 x. Products
    are of the shorter side, so a matrix that stands upright is laid down for it. Zero stays zero.
    """
    upright = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if upright else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # no singular value above 1
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT  # (n, shorter, shorter)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if upright else x
