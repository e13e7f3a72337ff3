"""One step of an attention layer: its state, the cache, goes in and comes out one token longer.

Letters are those of `model/mixers/attention.py`, and r = h / h_kv queries share a head of keys and values.
All that a cache holds lies in the window, so only where a row's own tokens begin is masked.
"""

import numpy as np

from bhasa.export.graph.nodes import Graph, Value
from bhasa.export.graph.protocol import StateTensor
from bhasa.model.config import ModelConfig
from bhasa.model.mixers.attention import alibi_slopes, frequencies

TO_THE_END = (1 << 63) - 1  # as the end of a slice


def states(config: ModelConfig) -> list[StateTensor]:
    cache = (config.attention.resolved_heads_kv, "past", config.head_dim)
    return [StateTensor("key", cache), StateTensor("value", cache), StateTensor("length", (), "int64")]


def step(graph: Graph, i: int, hidden: Value) -> Value:
    given, width = graph.config.attention, graph.config.head_dim
    heads, heads_kv = given.num_heads, given.resolved_heads_kv
    name = f"backbone.layers.{i}.mixer"
    q = graph.reshape(graph.linear(f"{name}.q_proj", hidden), heads_kv, heads // heads_kv, width)
    k, v = (graph.reshape(graph.linear(f"{name}.{x}_proj", hidden), heads_kv, 1, width) for x in "kv")
    if given.positions == "rope":
        q, k = _rotated(graph, i, q, k)
    keys, values = (
        _append_to_cache(graph, i, "key", k),
        _append_to_cache(graph, i, "value", v),
    )  # (b, h_kv, s + 1, p)
    graph.add("Add", f"length_state.{i}", graph.integers(1), output=f"length_state_out.{i}")
    scaled = graph.add("Mul", q, graph.constant("query_scale", np.array([width**-0.5], np.float32)))
    scores = graph.add("MatMul", scaled, graph.add("Transpose", keys, perm=[0, 1, 3, 2]))
    weights = graph.add("Softmax", graph.add("Add", scores, _mask(graph, i)), axis=-1)  # (b, h_kv, r, s + 1)
    return graph.linear(f"{name}.o_proj", graph.reshape(graph.add("MatMul", weights, values), heads * width))


def _rotated(graph: Graph, i: int, *heads: Value) -> list[Value]:
    """Each (b, h_kv, r or 1, p) by the angles of its position, which is the number of tokens before it."""
    width, theta = graph.config.head_dim, graph.config.attention.rope_theta
    frequency = frequencies(width, theta)  # (p / 2,)
    position = graph.add("Cast", _by_row(graph, f"length_state.{i}"), to=Graph.FLOAT)
    angle = graph.add("Mul", position, graph.constant("rope_frequency", frequency.numpy()))
    cos, sin = graph.add("Cos", angle), graph.add("Sin", angle)  # (b, 1, 1, p / 2)
    rotated = []
    for x in heads:
        real, imaginary = graph.split(x, width // 2, width // 2)
        first = graph.add("Sub", graph.add("Mul", real, cos), graph.add("Mul", imaginary, sin))
        second = graph.add("Add", graph.add("Mul", imaginary, cos), graph.add("Mul", real, sin))
        rotated.append(graph.add("Concat", first, second, axis=-1))
    return rotated


def _append_to_cache(graph: Graph, i: int, kind: str, newest: Value) -> Value:
    """The cache and the newest; the state is what a later token can see of them."""
    window = graph.config.attention.window
    state, after = f"{kind}_state.{i}", f"{kind}_state_out.{i}"
    if window is None:
        return graph.add("Concat", state, newest, axis=2, output=after)
    seen = graph.add("Concat", state, newest, axis=2)
    end = TO_THE_END if window > 1 else 0  # the last 0 of them do not begin at -0
    graph.add("Slice", seen, *map(graph.integers, (1 - window, end, 2)), output=after)
    return seen


def _mask(graph: Graph, i: int) -> Value:
    """What is added to the scores: (b, 1, 1, s + 1), with ALiBi (b, h_kv, r, s + 1)."""
    past = graph.add("Squeeze", graph.add("Shape", f"key_state.{i}", start=2, end=3))
    back = graph.constant("back", np.array(-1, np.int64))
    distance = graph.add("Range", past, back, back)  # (s + 1,): s, ..., 1, 0
    seen = graph.add("LessOrEqual", distance, _by_row(graph, f"length_state.{i}"))
    unseen = graph.constant("unseen", np.array([-np.inf], np.float32))
    return graph.add("Where", seen, _bias(graph, distance), unseen)


def _bias(graph: Graph, distance: Value) -> Value:
    """What each distance (s + 1,) adds to the scores of what is seen: (1,), with ALiBi (h_kv, r, s + 1)."""
    given = graph.config.attention
    if given.positions != "alibi":
        return graph.constant("no_bias", np.zeros(1, np.float32))
    slopes = -alibi_slopes(given.num_heads).reshape(given.resolved_heads_kv, -1, 1)  # (h_kv, r, 1)
    steps = graph.add("Cast", distance, to=Graph.FLOAT)
    return graph.add("Mul", graph.constant("alibi_slopes", slopes.numpy()), steps)


def _by_row(graph: Graph, x: Value) -> Value:
    """(b,) to (b, 1, 1, 1)."""
    return graph.reshape(x, 1, 1, 1)
