"""The ONNX graph of one decoding step, written node by node.

One token per row goes in with the state of every layer, logits and the next state come out, and nothing in
the graph loops. Initializers are the model's own tensors under their published names, so a tied embedding is
stored once. Tracing the model would save writing its equations a second time, but takes a minute for 59
layers instead of seconds, and leaves file names and duplicated weights in the graph; the tests hold this
graph against `LanguageModel.step`. Here is what all layers share; the layers themselves are in `graph/`.
"""

from collections.abc import Iterable

import onnx
from onnx import TensorProto, helper

from bhasa.export.graph import Graph, StateTensor, Value, builder
from bhasa.model.config import ModelConfig

OPSET = 18
IR_VERSION = 9  # the oldest that holds this opset: more runtimes open it
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


def states(config: ModelConfig) -> dict[str, StateTensor]:
    """The states of each layer i by the names under which they go in, `kind_state.i`, in their order."""
    return {
        f"{state.kind}_state.{i}": state
        for i, mixer in enumerate(config.layers)
        for state in builder(mixer).states(config)
    }


def input_names(config: ModelConfig) -> list[str]:
    """What a step reads: `input_ids` (b,), then the states of each layer."""
    return ["input_ids", *states(config)]


def output_names(config: ModelConfig) -> list[str]:
    """What a step gives: `logits` (b, vocab_size), then the states in the order in which they went in."""
    return ["logits", *map(_after, states(config))]


def build_decode_graph(graph: Graph) -> onnx.ModelProto:
    """One step of the model in `graph`, of ordinary operators; the same weights give the same bytes."""
    config = graph.config
    residual = graph.embed("backbone.embeddings", "input_ids")  # (b, d_model)
    for i, mixer in enumerate(config.layers):
        residual = _block(graph, i, mixer, residual)
    hidden = _norm(graph, "backbone.norm_f", residual)
    head = "backbone.embeddings" if config.tie_embeddings else "lm_head"
    graph.linear(head, hidden, output="logits")
    return _assemble(graph)


def _block(graph: Graph, i: int, mixer: str, residual: Value) -> Value:
    layer = f"backbone.layers.{i}"
    mixed = builder(mixer).step(graph, i, _norm(graph, f"{layer}.norm", residual))
    residual = graph.add("Add", residual, mixed)
    if graph.config.mlp_after_mixer:
        hidden = _norm(graph, f"{layer}.norm2", residual)
        residual = graph.add("Add", residual, graph.gated_mlp(f"{layer}.mlp", hidden))
    return residual


def _norm(graph: Graph, name: str, x: Value) -> Value:
    """RMSNorm or LayerNorm over d_model."""
    weight, eps = f"{name}.weight", graph.config.norm_eps
    if graph.config.norm == "layer":
        return graph.add("LayerNormalization", x, weight, f"{name}.bias", epsilon=eps)
    return graph.add("Mul", graph.rms_normalised(x), weight)


def _assemble(graph: Graph) -> onnx.ModelProto:
    config = graph.config
    inputs = [_value("input_ids", "int64", ())]
    outputs = [_value("logits", "float32", (config.vocab_size,))]
    for name, state in states(config).items():
        after = (f"{size}_out" if isinstance(size, str) else size for size in state.shape)
        inputs.append(_value(name, state.dtype, state.shape))
        outputs.append(_value(_after(name), state.dtype, after))
    kinds = "_".join(dict.fromkeys(config.layers))
    proto = helper.make_graph(
        graph.nodes, f"{kinds}_decode", inputs, outputs, list(graph.initializers.values())
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(proto, producer_name="bhasa", opset_imports=[opset], ir_version=IR_VERSION)


def _after(name: Value) -> Value:
    """The name under which a state comes out."""
    return name.replace("_state.", "_state_out.")


def _value(name: Value, dtype: str, shape: Iterable[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TYPES[dtype], ["batch", *shape])
