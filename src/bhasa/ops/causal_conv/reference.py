"""The convolution token by token, each with its own window. Slow and plain."""

import torch
from torch import Tensor

from bhasa.ops.causal_conv.interface import with_sums


def sums(window: Tensor, weight: Tensor, segment_ids: Tensor | None) -> Tensor:
    """window (b, K - 1 + l, d): the state, then x; weight (d, K). Returns the sums (b, l, d)."""
    taps = weight.shape[1]
    length = window.shape[1] - taps + 1
    outputs = []
    for t in range(length):
        inputs = window[:, t : t + taps]  # (b, K, d), the newest last
        if segment_ids is not None:
            ids = [
                segment_ids[:, s] if s >= 0 else torch.zeros_like(segment_ids[:, 0])
                for s in range(t - taps + 1, t + 1)
            ]
            inputs = inputs * (torch.stack(ids, dim=1) == segment_ids[:, t, None])[..., None]
        outputs.append((inputs * weight.T).sum(1))
    return torch.stack(outputs, dim=1)


reference_conv = with_sums(sums)
