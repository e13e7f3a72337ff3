"""Eight-bit matrices: each row of weights, and each row of activations as it comes, has its own scale.

    y = (round(x / s_x) W_q) s_x s_w,    W_q = round(W / s_w),    s = max |row| / 127

Scaling activations by row keeps what one request gets independent of those it shares a batch with, which
the usual scale over the whole tensor does not. Integers are stored unsigned around 128: products of
unsigned and signed bytes saturate on processors without VNNI, and two signed ones have no fast kernel.
x_proj and dt_proj of Mamba-1 stay float32, being 5 % of the weights and setting the step size of the
recurrence. In Mamba-2 that comes from rows of in_proj, which have scales of their own and stay with the rest.
"""

import numpy as np
from numpy.typing import NDArray

from bhasa.export.graph import Graph, Value
from bhasa.model.language_model import LanguageModel

LEVELS, ZERO = 127, 128
KEPT_FLOAT = ("x_proj", "dt_proj")
TINY = 1e-30  # a row of zeros needs a scale too


def quantise_rows(weight: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(out, in) to unsigned bytes around 128, and the scale of each row (out,)."""
    scale = np.maximum(np.abs(weight).max(axis=1), TINY) / np.float32(LEVELS)
    return (np.rint(weight / scale[:, None]) + ZERO).astype(np.uint8), scale


def weight_errors(model: LanguageModel) -> dict[str, float]:
    """Root mean square error of the quantised weights over that of the weights, by the kind of matrix."""
    squares: dict[str, list[float]] = {}
    for name, kind in _matrices(model).items():
        weight = model.state_dict()[name].float().numpy()
        quantised, scale = quantise_rows(weight)
        error = (quantised.astype(np.float32) - ZERO) * scale[:, None] - weight
        noise, signal = squares.setdefault(kind, [0.0, 0.0])
        squares[kind] = [noise + float(np.square(error).sum()), signal + float(np.square(weight).sum())]
    return {kind: round((noise / signal) ** 0.5, 6) for kind, (noise, signal) in squares.items()}


def _matrices(model: LanguageModel) -> dict[str, str]:
    """The names of the weights that are quantised, each with its kind: in_proj, embeddings, ..."""
    kinds = {name: name.split(".")[-2] for name, tensor in model.named_parameters() if tensor.dim() == 2}
    return {name: kind for name, kind in kinds.items() if name.endswith(".weight") and kind not in KEPT_FLOAT}


class Int8Graph(Graph):
    """The same step with quantised matrices; a tied embedding is still one tensor."""

    def embed(self, name: str, ids: Value) -> Value:
        weight, scale = self._quantised(name)
        rows = self.add("Transpose", self.add("Gather", weight, ids, axis=1))  # (b, d_model)
        row_scale = self.add("Unsqueeze", self.add("Gather", scale, ids), self.integers(-1))  # (b, 1)
        return self.add("Mul", self._centred(self.add("Cast", rows, to=self.FLOAT)), row_scale)

    def linear(self, name: str, x: Value, output: Value | None = None) -> Value:
        if name.endswith(KEPT_FLOAT):
            return super().linear(name, x, output)
        weight, scale = self._quantised(name)
        rounded, x_scale = self._quantise(x)
        zero = self.constant("zero_point", np.array(ZERO, np.uint8))
        product = self.add("MatMulInteger", rounded, weight, zero, zero)  # (b, out), int32
        y = self.add("Mul", self.add("Cast", product, to=self.FLOAT), x_scale)
        if f"{name}.bias" not in self.tensors:
            return self.add("Mul", y, scale, output=output)
        return self.add("Add", self.add("Mul", y, scale), f"{name}.bias", output=output)

    def _quantised(self, name: str) -> tuple[Value, Value]:
        """The weight transposed (in, out), as the product needs it, and its scales (out,)."""
        if f"{name}.quantised" not in self.initializers:
            quantised, scale = quantise_rows(self.tensors[f"{name}.weight"].float().cpu().numpy())
            self.constant(f"{name}.quantised", np.ascontiguousarray(quantised.T))
            self.constant(f"{name}.scale", scale)
        return f"{name}.quantised", f"{name}.scale"

    def _quantise(self, x: Value) -> tuple[Value, Value]:
        """x (b, in) as unsigned bytes, and the scale of each row (b, 1)."""
        largest = self.add("ReduceMax", self.add("Abs", x), self.integers(-1))
        largest = self.add("Max", largest, self.constant("tiny", np.array([TINY], np.float32)))
        scale = self.add("Div", largest, self.constant("levels", np.array([LEVELS], np.float32)))
        rounded = self.add("Round", self.add("Div", x, scale))
        shifted = self.add("Add", rounded, self.constant("zero", np.array([ZERO], np.float32)))
        return self.add("Cast", shifted, to=self.UINT8), scale

    def _centred(self, x: Value) -> Value:
        return self.add("Sub", x, self.constant("zero", np.array([ZERO], np.float32)))
