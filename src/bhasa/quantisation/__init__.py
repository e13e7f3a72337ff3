"""Number formats in which a matrix takes less room: what is stored, and the matrix that it stands for.

A scheme is one module, and a line in `SCHEMES`. It knows neither the files that hold its parts nor the layers
that the matrices are of.
"""

from bhasa.quantisation.int8 import Int8
from bhasa.quantisation.scheme import Scheme, error

SCHEMES: dict[str, Scheme] = {"int8": Int8()}

__all__ = ["SCHEMES", "Int8", "Scheme", "error"]
