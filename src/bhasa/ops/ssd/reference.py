"""The recurrence as it is written: one step a token, differentiated by autograd. Slow and plain."""

import torch
from torch import Tensor

from bhasa.ops.ssd.interface import per_head, with_recurrence


def recurrence(
    u: Tensor, log_decay: Tensor, B: Tensor, C: Tensor, state: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor]:
    """u = dt x (b, l, h, p), log_decay = dt A (b, l, h), B and C (b, l, g, n), state (b, h, p, n).

    Where `keep` (b, l) bool is false the earlier state is forgotten. Returns y (b, l, h, p), the final state.
    """
    B, C = per_head(B, u.shape[2]), per_head(C, u.shape[2])  # (b, l, h, n)
    outputs = []
    for t in range(u.shape[1]):
        decay = torch.exp(log_decay[:, t])  # (b, h)
        if keep is not None:
            decay = decay * keep[:, t, None]
        state = decay[..., None, None] * state + u[:, t, :, :, None] * B[:, t, :, None, :]  # (b, h, p, n)
        outputs.append((state * C[:, t, :, None, :]).sum(-1))  # (b, h, p)
    return torch.stack(outputs, dim=1), state


reference_ssd = with_recurrence(recurrence)
