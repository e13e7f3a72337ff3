"""What every twin takes and gives, and the parts around the recurrence in plain torch."""

from collections.abc import Callable

from torch import Tensor

Ssd = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""(x, dt, A, B, C, D, initial_state, keep) to (y, final_state).

Shapes as in `ssd`, dt as it comes out of softplus and clamp; x, B and C are of one dtype, the others float32,
or all are float64. Where `keep` (b, l) bool is false the earlier state is forgotten.
"""

INPUTS = "Tensor x, Tensor dt, Tensor A, Tensor B, Tensor C, Tensor D, Tensor initial_state, Tensor? keep"
"""The same in torch's schema language."""

Recurrence = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""(u, log_decay, B, C, initial_state, keep) to (y, final_state); see `reference.py`."""


def with_recurrence(recurrence: Recurrence) -> Ssd:
    """The operation around a recurrence: step sizes before it, skip after it."""

    def ssd(
        x: Tensor,
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        initial_state: Tensor,
        keep: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        dtype, precise = x.dtype, A.dtype
        x, B, C = x.to(precise), B.to(precise), C.to(precise)
        y, final_state = recurrence(dt[..., None] * x, dt * A, B, C, initial_state, keep)
        return (y + D[:, None] * x).to(dtype), final_state

    return ssd


def per_head(of_groups: Tensor, heads: int) -> Tensor:
    """(..., g, n) to (..., h, n): neighbouring heads share a group."""
    return of_groups.repeat_interleave(heads // of_groups.shape[-2], dim=-2)
