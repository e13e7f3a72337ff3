"""What each implementation of the convolution takes and gives, and what surrounds the sums."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class ConvInputs(NamedTuple):
    """All but the segments are of one dtype."""

    x: Tensor
    """(b, l, d)."""
    weight: Tensor
    """(d, K)."""
    bias: Tensor | None
    """(d,)."""
    initial_state: Tensor
    """(b, d, K - 1)."""
    segment_ids: Tensor | None
    """(b, l), see `ops.segments`."""


Conv = Callable[[ConvInputs], Tensor]
"""To silu(conv(x)), (b, l, d)."""

Sums = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(window, weight, segment_ids) to the sums (b, l, d); window (b, K - 1 + l, d) is the state, then x."""


def with_sums(sums: Sums) -> Conv:
    """The convolution around its sums: the window before them; bias and SiLU after them."""

    def conv(inputs: ConvInputs) -> Tensor:
        x, weight, bias, initial_state, segment_ids = inputs
        window = torch.cat([initial_state.transpose(1, 2), x], dim=1)
        y = sums(window, weight, segment_ids)
        return F.silu(y if bias is None else y + bias)

    return conv
