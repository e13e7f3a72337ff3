"""A graph being written: its nodes, the tensors they use, and the pieces that several layers are made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bhasa.model.language_model import LanguageModel

Value = str
"""The name of a tensor in the graph."""


class Graph:
    """Nodes in the order of computing, and the tensors they use. A subclass may store matrices otherwise."""

    FLOAT = int(TensorProto.FLOAT)

    def __init__(self, model: LanguageModel) -> None:
        self.config = model.config
        self.tensors = model.state_dict()
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def add(self, op: str, *inputs: Value, output: Value | None = None, **attributes: Any) -> Value:
        """Append a node with one output, and name that output after the node by default."""
        return self._append(op, inputs, [output or f"{op}_{len(self.nodes)}"], **attributes)[0]

    def split(self, x: Value, *sizes: int) -> Sequence[Value]:
        """The parts of x along its last axis."""
        outputs = [f"Split_{len(self.nodes)}.{part}" for part in range(len(sizes))]
        return self._append("Split", [x, self.integers(*sizes)], outputs, axis=-1)

    def constant(self, name: Value, values: NDArray[np.generic]) -> Value:
        """Store `values` once, under `name`."""
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(values, name)
        return name

    def integers(self, *values: int) -> Value:
        """A vector of int64, as shapes and axes are given."""
        return self.constant(f"int64{list(values)}", np.array(values, np.int64))

    def embed(self, name: str, ids: Value) -> Value:
        """The rows of an embedding: ids (b,) to (b, d_model)."""
        return self.add("Gather", f"{name}.weight", ids)

    def linear(self, name: str, x: Value, output: Value | None = None) -> Value:
        """x (b, in) times the transposed weight (out, in), and the bias if there is one: (b, out)."""
        return self.gemm(x, f"{name}.weight", name, output)

    def gemm(self, x: Value, weight: Value, name: str, output: Value | None = None) -> Value:
        """The same with a weight that the graph computes; the bias is still that of the layer `name`."""
        biases = [f"{name}.bias"] if f"{name}.bias" in self.tensors else []
        return self.add("Gemm", x, weight, *biases, output=output, transB=1)

    def reshape(self, x: Value, *sizes: int) -> Value:
        """x (b, ...) to (b, *sizes)."""
        return self.add("Reshape", x, self.integers(0, *sizes))

    def silu(self, x: Value) -> Value:
        return self.add("Mul", x, self.add("Sigmoid", x))

    def rms_normalised(self, x: Value) -> Value:
        """x by the root of its mean square along the last axis."""
        square = self.add("ReduceMean", self.add("Mul", x, x), self.integers(-1))  # (..., 1)
        eps = self.constant("norm_eps", np.array([self.config.norm_eps], np.float32))
        return self.add("Div", x, self.add("Sqrt", self.add("Add", square, eps)))

    def convolve(self, i: int, x: Value) -> Value:
        """silu of the newest output of layer i's causal convolution: its window is the state and x (b, c)."""
        name, taps = f"backbone.layers.{i}.mixer.conv1d", self.config.d_conv
        weight = self.tensors[f"{name}.weight"].squeeze(1).float().cpu().numpy()  # (c, d_conv)
        kernel, last = self.constant(f"{name}.taps", weight), self.integers(-1)
        window = self.add("Concat", f"conv_state.{i}", self.add("Unsqueeze", x, last), axis=-1)
        ends = self.integers(1), self.integers(taps)
        self.add("Slice", window, *ends, last, output=f"conv_state_out.{i}")
        y = self.add("ReduceSum", self.add("Mul", window, kernel), last, keepdims=0)
        return self.silu(self.add("Add", y, f"{name}.bias") if self.config.conv_bias else y)

    def gated_mlp(self, name: str, x: Value) -> Value:
        """(b, d_model) to (b, d_model)."""
        half = self.config.d_intermediate
        value, gate = self.split(self.linear(f"{name}.fc1", x), half, half)  # (b, d_intermediate)
        return self.linear(f"{name}.fc2", self.add("Mul", value, self.silu(gate)))

    def _append(
        self, op: str, inputs: Sequence[Value], outputs: Sequence[Value], **attributes: Any
    ) -> Sequence[Value]:
        """A node; those of the model's tensors that it reads are stored with the graph."""
        for name in inputs:
            if name in self.tensors and name not in self.initializers:
                self.constant(name, self.tensors[name].float().cpu().numpy())
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attributes))
        return outputs
