"""What the module of a kind of layer offers, and what a layer's state is made of."""

from dataclasses import dataclass
from typing import Literal, Protocol

from bhasa.export.graph.nodes import Graph, Value
from bhasa.model.config import ModelConfig


@dataclass(frozen=True)
class StateTensor:
    """One tensor of a layer's state: layer i reads it as `kind_state.i`, writes it as `kind_state_out.i`."""

    kind: str
    shape: tuple[int | str, ...]
    """Without the batch; an axis with a name instead of a size grows, and begins at 0."""
    dtype: Literal["float32", "int64"] = "float32"

    @property
    def initial_shape(self) -> tuple[int, ...]:
        return tuple(0 if isinstance(size, str) else size for size in self.shape)


class LayerBuilder(Protocol):
    """A module of this package."""

    def states(self, config: ModelConfig) -> list[StateTensor]:
        """The states of a layer, in the order of its mixer's state."""

    def step(self, graph: Graph, i: int, hidden: Value) -> Value:
        """The mixer of layer i for one token: hidden (b, d_model) to (b, d_model), by its states."""
