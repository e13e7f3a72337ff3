"""The decoding step with its large matrices in 8 bits, which are computed with in float32.

A matrix is stored as bytes and a scale for each row, and two ordinary nodes make float32 of them. A runtime
that evaluates constant nodes once, as onnxruntime does on opening, then runs as fast as with the float32 file
and in as much memory. Rounding activations to bytes too would save memory traffic in large models; on the
default one it cost six times the KL divergence and was not faster.

x_proj and dt_proj of Mamba-1 stay float32, being 5 % of the weights and setting the step size of the
recurrence. In Mamba-2 that comes from rows of in_proj, which have scales of their own and stay with the rest.
"""

import numpy as np

from bhasa.export.graph import Graph, Value
from bhasa.model.language_model import LanguageModel
from bhasa.quantisation import SCHEMES, error

INT8 = SCHEMES["int8"]
KEPT_FLOAT = ("x_proj", "dt_proj")


class Int8Graph(Graph):
    """The same step with packed matrices; a tied embedding is still stored once."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model)
        self.unpacked: dict[str, Value] = {}

    def embed(self, name: str, ids: Value) -> Value:
        values, scale = self._packed(name)
        rows = self.add("Cast", self.add("Gather", values, ids), to=self.FLOAT)  # (b, d_model)
        return self.add("Mul", rows, self.add("Gather", scale, ids))

    def linear(self, name: str, x: Value, output: Value | None = None) -> Value:
        if name.endswith(KEPT_FLOAT):
            return super().linear(name, x, output)
        if name not in self.unpacked:
            values, scale = self._packed(name)
            self.unpacked[name] = self.add("Mul", self.add("Cast", values, to=self.FLOAT), scale)
        return self.gemm(x, self.unpacked[name], name, output)

    def _packed(self, name: str) -> tuple[Value, Value]:
        """The names of the bytes (out, in) and of the scales (out, 1)."""
        if f"{name}.values" not in self.initializers:
            for part, array in INT8.pack(self.tensors[f"{name}.weight"].float().cpu().numpy()).items():
                self.constant(f"{name}.{part}", array)
        return f"{name}.values", f"{name}.scale"


def weight_errors(model: LanguageModel) -> dict[str, float]:
    """Root mean square error of the packed weights over that of the weights, by the kind of matrix."""
    squares: dict[str, list[tuple[float, float]]] = {}
    for name, tensor in model.named_parameters():
        kind = name.split(".")[-2]
        if tensor.dim() == 2 and name.endswith(".weight") and kind not in KEPT_FLOAT:
            squares.setdefault(kind, []).append(error(INT8, tensor.detach().float().cpu().numpy()))
    sums = {kind: np.sum(pairs, axis=0) for kind, pairs in squares.items()}
    return {kind: float(np.sqrt(change / weight)) for kind, (change, weight) in sums.items()}
