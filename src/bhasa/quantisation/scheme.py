"""What a number format offers, and how much a matrix loses by it."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""(out, in): a row of weights for each output."""

Parts = Mapping[str, NDArray[Any]]
"""The arrays that are stored for a matrix, by names of the scheme's own."""


class Scheme(Protocol):
    """One number format."""

    def pack(self, weight: Matrix) -> Parts:
        """What to store; the same matrix gives the same bits."""

    def unpack(self, parts: Parts) -> Matrix:
        """The matrix that is computed with."""


def error(scheme: Scheme, weight: Matrix) -> tuple[float, float]:
    """Sums of squares: of what packing changes, and of the weights. The root of their ratio is relative."""
    change = scheme.unpack(scheme.pack(weight)).astype(np.float64) - weight
    return float(np.square(change).sum()), float(np.square(weight, dtype=np.float64).sum())
