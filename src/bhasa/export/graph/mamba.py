"""One step of a Mamba-1 layer. Letters and shapes are those of `model/mixers/mamba.py`."""

import torch

from bhasa.export.graph.nodes import Graph, Value
from bhasa.export.graph.protocol import StateTensor
from bhasa.model.config import ModelConfig


def states(config: ModelConfig) -> list[StateTensor]:
    return [
        StateTensor("conv", (config.d_inner, config.d_conv - 1)),
        StateTensor("ssm", (config.d_inner, config.d_state)),
    ]


def step(graph: Graph, i: int, hidden: Value) -> Value:
    config, name = graph.config, f"backbone.layers.{i}.mixer"
    x, z = graph.split(graph.linear(f"{name}.in_proj", hidden), config.d_inner, config.d_inner)
    x = graph.convolve(i, x)  # (b, d_inner)
    projected = graph.linear(f"{name}.x_proj", x)
    dt, B, C = graph.split(projected, config.resolved_dt_rank, config.d_state, config.d_state)
    dt = graph.add("Softplus", graph.linear(f"{name}.dt_proj", dt))  # (b, d_inner)
    y = _scan(graph, i, x, dt, B, C)
    return graph.linear(f"{name}.out_proj", graph.add("Mul", y, graph.silu(z)))


def _scan(graph: Graph, i: int, x: Value, dt: Value, B: Value, C: Value) -> Value:
    """One step of the recurrence: x and dt (b, d_inner), B and C (b, d_state) to (b, d_inner)."""
    name, last, middle = f"backbone.layers.{i}.mixer", graph.integers(-1), graph.integers(1)
    A = graph.constant(f"{name}.A", -torch.exp(graph.tensors[f"{name}.A_log"].float()).cpu().numpy())
    decay = graph.add("Exp", graph.add("Mul", graph.add("Unsqueeze", dt, last), A))  # (b, d_inner, d_state)
    dt_x = graph.add("Unsqueeze", graph.add("Mul", dt, x), last)  # (b, d_inner, 1)
    entering = graph.add("Mul", dt_x, graph.add("Unsqueeze", B, middle))  # (b, d_inner, d_state)
    kept = graph.add("Mul", decay, f"ssm_state.{i}")
    state = graph.add("Add", kept, entering, output=f"ssm_state_out.{i}")
    scanned = graph.add("MatMul", state, graph.add("Unsqueeze", C, last))  # (b, d_inner, 1)
    return graph.add("Add", graph.add("Squeeze", scanned, last), graph.add("Mul", x, f"{name}.D"))
