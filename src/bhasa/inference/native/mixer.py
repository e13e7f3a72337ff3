"""What the native step asks of a kind of mixer: a module whose `MIXER` is a `NativeMixer`."""

import ctypes
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from bhasa.model.mixers.protocol import LayerState
from bhasa.ops.native import address

Part = tuple[str, nn.Module, type[nn.Module]]
"""A module by name, and what the kernel knows it to be."""

Kind = TypeVar("Kind", bound=nn.Module)


class Memory:
    """What the kernel's arguments point to: it stays, also where a model's parameters are put elsewhere."""

    def __init__(self) -> None:
        self._kept: list[object] = []
        self._scratch: dict[tuple[str, int], Tensor] = {}

    def keep(self, tensor: Tensor | None) -> int | None:
        """The tensor's address."""
        if tensor is not None:
            self._kept.append(tensor.detach())
        return address(tensor)

    def keep_structure(self, structure: ctypes.Structure) -> int:
        """The structure's address."""
        self._kept.append(structure)
        return ctypes.addressof(structure)

    def scratch(self, **sizes: int) -> list[int | None]:
        """Addresses of so many floats, for use within a layer: layers share those of one name and size."""
        for key in sizes.items():
            if key not in self._scratch:
                self._scratch[key] = torch.empty(key[1])
        return [address(self._scratch[key]) for key in sizes.items()]


class NativeMixer(Generic[Kind]):
    """One layer's mixer as the kernel sees it, with a state of its own at batch one."""

    code: ClassVar[int]
    """Which of the DECODE_ constants it is."""
    structure: ctypes.Structure
    own: int = 0
    """Floats that each thread needs for itself, if they are more than the residual."""

    @classmethod
    @abstractmethod
    def parts(cls, mixer: Kind) -> Iterator[Part]:
        """What the mixer is made of."""

    @abstractmethod
    def __init__(self, mixer: Kind, memory: Memory) -> None: ...

    @abstractmethod
    def read(self, state: Any) -> None:
        """Take over another state's values."""

    @abstractmethod
    def advance(self) -> LayerState:
        """Make room for one more token; the state as it is after the kernel has read it."""


class FixedState(NativeMixer[Kind]):
    """A mixer whose state has one size and one place."""

    state: LayerState

    def read(self, state: LayerState) -> None:
        for own, other in zip(self.state, state, strict=True):
            own.copy_(other)

    def advance(self) -> LayerState:
        return self.state


def named(module: nn.Module, kind: type[nn.Module], *names: str) -> Iterator[Part]:
    """These submodules, all of one kind."""
    for name in names:
        yield name, getattr(module, name), kind
