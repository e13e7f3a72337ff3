"""What every implementation takes and gives, and the parts around the recurrence in plain torch."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class SsdInputs(NamedTuple):
    """x, B and C are of one dtype, the others float32, or all are float64."""

    x: Tensor
    """(b, l, h, p)."""
    dt: Tensor
    """(b, l, h), as it comes out of softplus and clamp."""
    A: Tensor
    """(h,), negative."""
    B: Tensor
    """(b, l, g, n)."""
    C: Tensor
    """(b, l, g, n)."""
    D: Tensor
    """(h,)."""
    initial_state: Tensor
    """(b, h, p, n)."""
    keep: Tensor | None
    """(b, l) bool: where it is false the earlier state is forgotten."""


Ssd = Callable[[SsdInputs], tuple[Tensor, Tensor]]
"""To y (b, l, h, p) in x's dtype and the final state (b, h, p, n)."""

Recurrence = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""(u, log_decay, B, C, initial_state, keep) to (y, final_state); see `reference.py`."""


def with_recurrence(recurrence: Recurrence) -> Ssd:
    """The operation around a recurrence: step sizes before it, skip after it."""

    def ssd(inputs: SsdInputs) -> tuple[Tensor, Tensor]:
        x, dt, A, B, C, D, initial_state, keep = inputs
        dtype, precise = x.dtype, A.dtype
        x, B, C = x.to(precise), B.to(precise), C.to(precise)
        y, final_state = recurrence(dt[..., None] * x, dt * A, B, C, initial_state, keep)
        return (y + D[:, None] * x).to(dtype), final_state

    return ssd


def per_head(of_groups: Tensor, heads: int) -> Tensor:
    """(..., g, n) to (..., h, n): neighbouring heads share a group."""
    return of_groups.repeat_interleave(heads // of_groups.shape[-2], dim=-2)
