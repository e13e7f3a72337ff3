"""What every implementation of the norm takes and gives."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class NormInputs(NamedTuple):
    x: Tensor
    """(..., d)."""
    weight: Tensor
    """(d,)."""
    eps: float
    z: Tensor | None
    """(..., d)."""
    groups: int
    """A divisor of d."""


Norm = Callable[[NormInputs], Tensor]
"""To y (..., d) in x's dtype."""
