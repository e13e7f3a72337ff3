"""The ONNX graph of one decoding step, written node by node.

One token per row goes in with the state of every layer, logits and the next state come out; nothing in the
graph loops, and the state's size does not depend on how much was read. Initializers are the model's own
tensors under their published names, so a tied embedding is stored once. Tracing the model would save
writing its equations a second time, but takes a minute for 59 layers instead of seconds, and leaves file
names and duplicated weights in the graph; the tests hold this graph against `LanguageModel.step`.
Letters and shapes are those of `model/mixers/mamba.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel

OPSET = 18
IR_VERSION = 9  # the oldest that holds this opset: more runtimes open it
Value = str
"""The name of a tensor in the graph."""


def input_names(config: ModelConfig) -> list[str]:
    """What a step reads: `input_ids` (b,), then the states of each layer."""
    return ["input_ids", *state_names(config)]


def output_names(config: ModelConfig) -> list[str]:
    """What a step gives: `logits` (b, vocab_size), then the states in the order in which they went in."""
    return ["logits", *(name.replace("_state.", "_state_out.") for name in state_names(config))]


def state_names(config: ModelConfig) -> list[str]:
    """`conv_state.i` (b, d_inner, d_conv - 1) and `ssm_state.i` (b, d_inner, d_state) of each layer i."""
    return [f"{kind}_state.{i}" for i in range(config.n_layer) for kind in ("conv", "ssm")]


def state_shapes(config: ModelConfig) -> list[tuple[int, int]]:
    """The shape of each state, without the batch."""
    return [(config.d_inner, config.d_conv - 1), (config.d_inner, config.d_state)] * config.n_layer


def build_decode_graph(graph: "Graph") -> onnx.ModelProto:
    """One step of the model in `graph`, of ordinary operators; the same weights give the same bytes."""
    config = graph.config
    residual = graph.embed("backbone.embeddings", "input_ids")  # (b, d_model)
    for i in range(config.n_layer):
        residual = _block(graph, i, residual)
    hidden = _norm(graph, "backbone.norm_f", residual)
    head = "backbone.embeddings" if config.tie_embeddings else "lm_head"
    graph.linear(head, hidden, output="logits")
    return graph.finish()


class Graph:
    """Nodes in the order of computing, and the tensors they use. A subclass may store matrices otherwise."""

    FLOAT, UINT8 = int(TensorProto.FLOAT), int(TensorProto.UINT8)

    def __init__(self, model: LanguageModel) -> None:
        self.config = model.config
        self.tensors = model.state_dict()
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def add(self, op: str, *inputs: Value, output: Value | None = None, **attributes: Any) -> Value:
        """Append a node with one output, and name that output after the node unless told."""
        return self.split(op, *inputs, outputs=[output or f"{op}_{len(self.nodes)}"], **attributes)[0]

    def split(self, op: str, *inputs: Value, outputs: Sequence[Value], **attributes: Any) -> Sequence[Value]:
        """Append a node with the `outputs`."""
        for name in inputs:
            if name in self.tensors and name not in self.initializers:
                self.constant(name, self.tensors[name].float().cpu().numpy())
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attributes))
        return outputs

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
        biases = [f"{name}.bias"] if f"{name}.bias" in self.tensors else []
        return self.add("Gemm", x, f"{name}.weight", *biases, output=output, transB=1)

    def silu(self, x: Value) -> Value:
        return self.add("Mul", x, self.add("Sigmoid", x))

    def finish(self) -> onnx.ModelProto:
        config = self.config
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch"])
        shapes = [(config.vocab_size,), *state_shapes(config)]
        outputs = [_batched(name, shape) for name, shape in zip(output_names(config), shapes, strict=True)]
        inputs = [_batched(name, shape) for name, shape in zip(state_names(config), shapes[1:], strict=True)]
        graph = helper.make_graph(
            self.nodes, "mamba_decode", [ids, *inputs], outputs, list(self.initializers.values())
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, producer_name="bhasa", opset_imports=[opset], ir_version=IR_VERSION)


def _batched(name: Value, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


def _block(graph: Graph, i: int, residual: Value) -> Value:
    layer = f"backbone.layers.{i}"
    residual = graph.add("Add", residual, _mixer(graph, i, _norm(graph, f"{layer}.norm", residual)))
    if graph.config.d_intermediate:
        residual = graph.add(
            "Add", residual, _mlp(graph, f"{layer}.mlp", _norm(graph, f"{layer}.norm2", residual))
        )
    return residual


def _norm(graph: Graph, name: str, x: Value) -> Value:
    """RMSNorm or LayerNorm over the last axis."""
    weight, eps = f"{name}.weight", graph.config.norm_eps
    if graph.config.norm == "layer":
        return graph.add("LayerNormalization", x, weight, f"{name}.bias", epsilon=eps)
    square = graph.add("ReduceMean", graph.add("Mul", x, x), graph.integers(-1))  # (b, 1)
    root = graph.add(
        "Sqrt", graph.add("Add", square, graph.constant("norm_eps", np.array([eps], np.float32)))
    )
    return graph.add("Mul", graph.add("Div", x, root), weight)


def _mlp(graph: Graph, name: str, x: Value) -> Value:
    half = graph.config.d_intermediate
    value, gate = _split(graph, graph.linear(f"{name}.fc1", x), half, half)  # (b, d_intermediate)
    return graph.linear(f"{name}.fc2", graph.add("Mul", value, graph.silu(gate)))


def _mixer(graph: Graph, i: int, hidden: Value) -> Value:
    """(b, d_model) to (b, d_model); reads and writes the states of layer i."""
    config, name = graph.config, f"backbone.layers.{i}.mixer"
    d_inner, d_state = config.d_inner, config.d_state
    x, z = _split(graph, graph.linear(f"{name}.in_proj", hidden), d_inner, d_inner)  # (b, d_inner)
    x = _conv(graph, i, x)
    projected = graph.linear(f"{name}.x_proj", x)
    dt, B, C = _split(graph, projected, config.resolved_dt_rank, d_state, d_state)
    dt = graph.add("Softplus", graph.linear(f"{name}.dt_proj", dt))  # (b, d_inner)

    A = graph.constant(f"{name}.A", -torch.exp(graph.tensors[f"{name}.A_log"].float()).cpu().numpy())
    last, middle = graph.integers(-1), graph.integers(1)
    decay = graph.add("Exp", graph.add("Mul", graph.add("Unsqueeze", dt, last), A))  # (b, d_inner, d_state)
    dt_x = graph.add("Unsqueeze", graph.add("Mul", dt, x), last)  # (b, d_inner, 1)
    entering = graph.add("Mul", dt_x, graph.add("Unsqueeze", B, middle))  # (b, d_inner, d_state)
    kept = graph.add("Mul", decay, f"ssm_state.{i}")
    state = graph.add("Add", kept, entering, output=f"ssm_state_out.{i}")
    scanned = graph.add("MatMul", state, graph.add("Unsqueeze", C, last))  # (b, d_inner, 1)
    y = graph.add(
        "Add", graph.add("Squeeze", scanned, last), graph.add("Mul", x, f"{name}.D")
    )  # (b, d_inner)
    return graph.linear(f"{name}.out_proj", graph.add("Mul", y, graph.silu(z)))


def _conv(graph: Graph, i: int, x: Value) -> Value:
    """The newest output of the causal convolution: its window is the state and x (b, d_inner)."""
    name, taps = f"backbone.layers.{i}.mixer.conv1d", graph.config.d_conv
    weight = graph.constant(f"{name}.taps", graph.tensors[f"{name}.weight"].squeeze(1).float().cpu().numpy())
    last = graph.integers(-1)
    window = graph.add(
        "Concat", f"conv_state.{i}", graph.add("Unsqueeze", x, last), axis=-1
    )  # (b, d_inner, d_conv)
    ends = graph.integers(1), graph.integers(taps)
    graph.add("Slice", window, *ends, last, output=f"conv_state_out.{i}")
    y = graph.add("ReduceSum", graph.add("Mul", window, weight), last, keepdims=0)
    return graph.silu(graph.add("Add", y, f"{name}.bias") if graph.config.conv_bias else y)


def _split(graph: Graph, x: Value, *sizes: int) -> Sequence[Value]:
    """The parts of x along its last axis."""
    outputs = [f"Split_{len(graph.nodes)}.{part}" for part in range(len(sizes))]
    return graph.split("Split", x, graph.integers(*sizes), outputs=outputs, axis=-1)
