"""What each implementation of the scan takes and gives, and what surrounds the recurrence."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F


class ScanInputs(NamedTuple):
    """x, dt, z, B and C are of one dtype, the others float32, or all are float64."""

    x: Tensor
    """(b, l, d)."""
    dt: Tensor
    """(b, l, d), before the bias and the softplus."""
    A: Tensor
    """(d, n), negative."""
    B: Tensor
    """(b, l, n)."""
    C: Tensor
    """(b, l, n)."""
    D: Tensor
    """(d,)."""
    z: Tensor | None
    """(b, l, d)."""
    dt_bias: Tensor | None
    """(d,)."""
    initial_state: Tensor
    """(b, d, n)."""
    keep: Tensor | None
    """(b, l) bool: where it is false the earlier state is forgotten."""


Scan = Callable[[ScanInputs], tuple[Tensor, Tensor]]
"""To y (b, l, d) in x's dtype and the final state (b, d, n)."""

Recurrence = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""(u, dt, A, B, C, state, keep) to (y, final_state), with u = dt x: the recurrence alone."""


def with_recurrence(recurrence: Recurrence) -> Scan:
    """The scan around a recurrence: softplus before it; skip and gate after it."""

    def scan(inputs: ScanInputs) -> tuple[Tensor, Tensor]:
        x, dt, A, B, C, D, z, dt_bias, initial_state, keep = inputs
        dtype, precise = x.dtype, A.dtype
        x, dt, B, C = x.to(precise), dt.to(precise), B.to(precise), C.to(precise)
        dt = F.softplus(dt if dt_bias is None else dt + dt_bias)
        y, final_state = recurrence(dt * x, dt, A, B, C, initial_state, keep)
        y = y + D * x
        if z is not None:
            y = y * F.silu(z.to(precise))
        return y.to(dtype), final_state

    return scan
