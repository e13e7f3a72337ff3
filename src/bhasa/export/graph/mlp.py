"""One step of an MLP layer, which has no state."""

from bhasa.export.graph.nodes import Graph, Value
from bhasa.export.graph.protocol import StateTensor
from bhasa.model.config import ModelConfig


def states(config: ModelConfig) -> list[StateTensor]:
    return []


def step(graph: Graph, i: int, hidden: Value) -> Value:
    return graph.gated_mlp(f"backbone.layers.{i}.mixer.mlp", hidden)
