"""What every twin of the scan takes and gives, and the parts around the recurrence in plain torch."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

Scan = Callable[
    [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor, Tensor | None],
    tuple[Tensor, Tensor],
]
"""(x, dt, A, B, C, D, z, dt_bias, initial_state, keep) to (y, final_state).

Shapes as in `selective_scan`; x, dt, z, B and C are of one dtype, the others float32, or all are float64.
Where `keep` (b, l) bool is false the earlier state is forgotten.
"""

INPUTS = (
    "Tensor x, Tensor dt, Tensor A, Tensor B, Tensor C, Tensor D, Tensor? z, Tensor? dt_bias, "
    "Tensor initial_state, Tensor? keep"
)
"""The same for torch: the schema of a twin that is an operator."""

Recurrence = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""(u, dt, A, B, C, state, keep) to (y, final_state), with u = dt x: the recurrence alone."""


def with_recurrence(recurrence: Recurrence) -> Scan:
    """The scan around a recurrence: softplus before it; skip and gate after it."""

    def scan(
        x: Tensor,
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        z: Tensor | None,
        dt_bias: Tensor | None,
        initial_state: Tensor,
        keep: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        dtype, precise = x.dtype, A.dtype
        x, dt, B, C = x.to(precise), dt.to(precise), B.to(precise), C.to(precise)
        dt = F.softplus(dt if dt_bias is None else dt + dt_bias)
        y, final_state = recurrence(dt * x, dt, A, B, C, initial_state, keep)
        y = y + D * x
        if z is not None:
            y = y * F.silu(z.to(precise))
        return y.to(dtype), final_state

    return scan
