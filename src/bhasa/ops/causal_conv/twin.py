"""What every twin of the convolution takes and gives, and the parts around the sums in plain torch."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Conv = Callable[[Tensor, Tensor, Tensor | None, Tensor, Tensor | None], Tensor]
"""(x, weight, bias, initial_state, segment_ids) to silu(conv(x)); shapes as in `causal_conv`, one dtype."""

INPUTS = "Tensor x, Tensor weight, Tensor? bias, Tensor initial_state, Tensor? segment_ids"
"""The same for torch: the schema of a twin that is an operator."""

Sums = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(window, weight, segment_ids) to the sums (b, l, d); window (b, K - 1 + l, d) is the state, then x."""


def with_sums(sums: Sums) -> Conv:
    """The convolution around its sums: the window before them; bias and SiLU after them."""

    def conv(
        x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor, segment_ids: Tensor | None
    ) -> Tensor:
        window = torch.cat([initial_state.transpose(1, 2), x], dim=1)
        y = sums(window, weight, segment_ids)
        return F.silu(y if bias is None else y + bias)

    return conv
