"""Eight bits a weight, and a scale for each row: W = W_q s, W_q = round(W / s), s = max |row| / 127."""

import numpy as np

from bhasa.quantisation.scheme import Matrix, Parts

LEVELS = 127
TINY = 1e-30  # a row of zeros needs a scale too


class Int8:
    """Parts: `values` (out, in) in int8, `scale` (out, 1) in float32."""

    def pack(self, weight: Matrix) -> Parts:
        largest = np.maximum(np.abs(weight).max(axis=1, keepdims=True), TINY)
        scale = (largest / np.float32(LEVELS)).astype(np.float32)
        return {"values": np.rint(weight / scale).astype(np.int8), "scale": scale}

    def unpack(self, parts: Parts) -> Matrix:
        matrix: Matrix = parts["values"].astype(np.float32) * parts["scale"]
        return matrix
