"""What every mixer offers, and what every state is."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from bhasa.model.config import ModelConfig

LayerState = tuple[Tensor, ...]
"""A NamedTuple of tensors, the batch first in each."""

State = list[Any]
"""One `LayerState` a layer."""

Kind = TypeVar("Kind", bound=LayerState)


class Mixer(nn.Module, Generic[Kind]):
    """Moves information between tokens; `Kind` is its own state."""

    def __init__(self, config: ModelConfig, backend: str = "auto") -> None:
        super().__init__()
        self.config, self.backend = config, backend

    @abstractmethod
    def forward(
        self,
        hidden: Tensor,
        state: Kind | None = None,
        segment_ids: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, Kind]:
        """hidden (b, l, d_model), read after `state`, to the same shape, and the state after it.

        segment_ids (b, l) separate packed documents, see `ops.segments`. lengths (b,): what comes after in
        a row is padding and leaves the state as it is.
        """

    @abstractmethod
    def step(self, hidden: Tensor, state: Kind) -> tuple[Tensor, Kind]:
        """One token: hidden (b, d_model) to (b, d_model), and the state after it."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> Kind:
        """The state before the first token."""

    def operations(self) -> dict[str, int]:
        """Which of `ops.operations.OPERATIONS` it computes with, and the size that may limit each."""
        return {}

    def select(self, state: Kind, rows: Tensor) -> Kind:
        """The states of these rows (r,), in this order; a row may come more than once."""
        return type(state)(*(part.index_select(0, rows) for part in state))

    def join(self, states: Sequence[Kind]) -> Kind:
        """All rows of several states, in order."""
        return type(states[0])(*(torch.cat(parts) for parts in zip(*states, strict=True)))

    def state_bytes(self, tokens: int) -> int:
        """Size of one sequence's state after so many tokens; here it does not depend on how many."""
        return sum(part.nbytes for part in self.initial_state(1))


def map_state(function: Callable[[Tensor], Tensor], state: State) -> State:
    """`function` of every tensor of a state."""
    return [type(layer)(*map(function, layer)) for layer in state]


def scale_output(projection: nn.Linear, config: ModelConfig) -> None:
    """Let what all layers together add to the residual stream begin as large as one layer's (GPT-2)."""
    if config.rescale_prenorm_residual:
        with torch.no_grad():
            projection.weight /= math.sqrt(config.residual_additions)
