"""Which process computes what, and what the processes agree on: today one process, which does everything.

Training computes the same numbers under any strategy, but for the order of its sums. Methods that take part
in communication are called by all processes, in the same order.
"""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn


class Strategy(Protocol):
    """How the rows of each step, and the state of training, are shared out among `world` processes."""

    rank: int
    """This process's number. Only rank 0 locks folders, writes and speaks."""
    world: int
    """The number of processes."""

    def wrap(self, model: nn.Module) -> nn.Module:
        """A module that computes what `model` does, to be called instead of it.

        After its backward, each process has the mean of all processes' gradients in `model`'s parameters,
        as DDP and FSDP leave it. It may replace the parameters, so the optimiser is built afterwards.
        """

    def rows(self, count: int) -> slice:
        """Those of a batch's `count` rows that this process computes."""

    def sum(self, values: Tensor) -> Tensor:
        """`values`, on any device, added up over the processes."""

    def agree(self, value: int) -> int:
        """The largest `value` of all processes, so that what one is told, such as a signal, all do."""

    def gather(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The whole of tensors of which each process may hold a part; for rank 0 to write."""


class SingleProcess:
    """One process, which computes every row and holds everything whole."""

    rank, world = 0, 1

    def wrap(self, model: nn.Module) -> nn.Module:
        return model

    def rows(self, count: int) -> slice:
        return slice(0, count)

    def sum(self, values: Tensor) -> Tensor:
        return values

    def agree(self, value: int) -> int:
        return value

    def gather(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(state)
