"""The scan as the recurrence is written: one step a token, differentiated by autograd. Slow and plain."""

import torch
from torch import Tensor

from bhasa.ops.selective_scan.interface import with_recurrence


def recurrence(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor]:
    """u = dt x and dt (b, l, d), A (d, n), B and C (b, l, n), state (b, d, n), keep (b, l) bool or None.

    Where `keep` is false the earlier state is forgotten. Returns y (b, l, d) and the final state.
    """
    outputs = []
    for t in range(u.shape[1]):
        decay = torch.exp(dt[:, t, :, None] * A)  # (b, d, n)
        if keep is not None:
            decay = decay * keep[:, t, None, None]
        state = decay * state + u[:, t, :, None] * B[:, t, None, :]  # (b, d, n)
        outputs.append((state * C[:, t, None, :]).sum(-1))  # (b, d)
    return torch.stack(outputs, dim=1), state


reference_scan = with_recurrence(recurrence)
