"""The implementations of an operation: what each needs, and which one is used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from bhasa.errors import UserError

CPU = torch.device("cpu")
Compute = TypeVar("Compute", bound=Callable[..., object])


def anywhere(device: torch.device, dtype: torch.dtype) -> str | None:
    """Plain torch: there is always one."""
    return None


@dataclass(frozen=True)
class Implementation(Generic[Compute]):
    """One implementation of an operation."""

    compute: Compute
    missing: Callable[[torch.device, torch.dtype], str | None] = anywhere
    """Why it cannot compute on this device in this dtype; None when it can."""


class Backends(dict[str, Implementation[Compute]]):
    """Implementations by name, the fastest first.

    "auto" is the first that can compute where it is asked to; one that is named and cannot is an error.
    """

    def resolve(self, backend: str, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> str:
        """The name of the implementation that `backend` means on this device."""
        missing = {name: implementation.missing(device, dtype) for name, implementation in self.items()}
        there = [name for name, reason in missing.items() if reason is None]
        if backend == "auto":
            return there[0]
        if backend not in there:
            reason = f" ({missing[backend]})" if backend in missing else ""
            raise UserError(
                f"backend: found '{backend}'{reason}; allowed on {device}: auto, {', '.join(there)}"
            )
        return backend

    def require(self, backend: str) -> None:
        """Refuse a name that no implementation has."""
        if backend != "auto" and backend not in self:
            raise UserError(f"backend: found '{backend}'; allowed: auto, {', '.join(self)}")

    def known(self, backend: str) -> str:
        """`backend` if an implementation has that name, else "auto"; operations differ in what they have."""
        return backend if backend in self else "auto"

    def reasons(self, device: torch.device) -> Mapping[str, str | None]:
        """Each implementation, and why it cannot be used on this device."""
        return {name: implementation.missing(device, torch.float32) for name, implementation in self.items()}
