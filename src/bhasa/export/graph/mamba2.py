"""One step of a Mamba-2 layer. Letters and shapes are those of `model/mixers/mamba2.py`."""

import numpy as np
import torch

from bhasa.export.graph.nodes import Graph, Value
from bhasa.export.graph.protocol import StateTensor
from bhasa.model.config import ModelConfig


def states(config: ModelConfig) -> list[StateTensor]:
    return [
        StateTensor("conv", (config.d_inner + 2 * config.ngroups * config.d_state, config.d_conv - 1)),
        StateTensor("ssm", (config.nheads, config.headdim, config.d_state)),
    ]


def step(graph: Graph, i: int, hidden: Value) -> Value:
    config, name = graph.config, f"backbone.layers.{i}.mixer"
    d_inner, grouped = config.d_inner, config.ngroups * config.d_state
    projected = graph.linear(f"{name}.in_proj", hidden)
    z, xBC, dt = graph.split(projected, d_inner, d_inner + 2 * grouped, config.nheads)
    x, B, C = graph.split(graph.convolve(i, xBC), d_inner, grouped, grouped)
    x = graph.reshape(x, config.nheads, config.headdim)  # (b, h, p)
    y = _scan(graph, i, x, _step_size(graph, name, dt), _by_head(graph, B), _by_head(graph, C))
    gated = graph.add("Mul", graph.reshape(y, d_inner), graph.silu(z))
    parts = graph.rms_normalised(graph.reshape(gated, config.ngroups, d_inner // config.ngroups))
    normed = graph.add("Mul", graph.reshape(parts, d_inner), f"{name}.norm.weight")
    return graph.linear(f"{name}.out_proj", normed)


def _step_size(graph: Graph, name: str, dt: Value) -> Value:
    """(b, h)."""
    dt = graph.add("Softplus", graph.add("Add", dt, f"{name}.dt_bias"))
    if graph.config.dt_limit is None:
        return dt
    limits = zip(("dt_min", "dt_max"), graph.config.dt_limit, strict=True)
    return graph.add("Clip", dt, *(graph.constant(key, np.array(value, np.float32)) for key, value in limits))


def _by_head(graph: Graph, x: Value) -> Value:
    """B or C of each head's group: (b, g n) to (b, h, n)."""
    config = graph.config
    group = np.arange(config.nheads) // (config.nheads // config.ngroups)  # (h,)
    groups = graph.reshape(x, config.ngroups, config.d_state)
    return graph.add("Gather", groups, graph.constant("group_of_head", group.astype(np.int64)), axis=1)


def _scan(graph: Graph, i: int, x: Value, dt: Value, B: Value, C: Value) -> Value:
    """One step of the recurrence: x (b, h, p), dt (b, h), B and C (b, h, n) to (b, h, p)."""
    name, last, before = f"backbone.layers.{i}.mixer", graph.integers(-1), graph.integers(-2)
    A = graph.constant(f"{name}.A", -torch.exp(graph.tensors[f"{name}.A_log"].float()).cpu().numpy())
    decay = graph.add("Unsqueeze", graph.add("Exp", graph.add("Mul", dt, A)), graph.integers(-1, -2))
    dt_x = graph.add("Mul", graph.add("Unsqueeze", dt, last), x)  # (b, h, p)
    entering = graph.add(
        "Mul", graph.add("Unsqueeze", dt_x, last), graph.add("Unsqueeze", B, before)
    )  # (b, h, p, n)
    kept = graph.add("Mul", decay, f"ssm_state.{i}")
    state = graph.add("Add", kept, entering, output=f"ssm_state_out.{i}")
    scanned = graph.add("MatMul", state, graph.add("Unsqueeze", C, last))  # (b, h, p, 1)
    skipped = graph.add("Mul", x, graph.add("Unsqueeze", f"{name}.D", last))
    return graph.add("Add", graph.add("Squeeze", scanned, last), skipped)
