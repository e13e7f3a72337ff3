"""The implementations of an operation: what each needs, and which one is used.

A backend is chosen once for a whole model, so each name must mean something for every operation:

    auto       the first implementation that can compute where it is asked to: the fastest
    native     C++ on the CPU; all operations have it
    triton     the scan of Mamba and the convolution in Triton, the norm and the loss in plain torch; Mamba-2,
               whose operation has no Triton version, is refused
    chunked    plain torch, by chunks of time or blocks of rows where there are such; nothing native
    reference  the formula as it is written

A name that an operation cannot follow is an error and never replaced.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from bhasa.errors import UserError

CPU = torch.device("cpu")
Compute = TypeVar("Compute")


def anywhere(device: torch.device, dtype: torch.dtype) -> str | None:
    """Plain torch: there is always one."""
    return None


@dataclass(frozen=True)
class Implementation(Generic[Compute]):
    """One implementation of an operation."""

    compute: Compute
    missing: Callable[[torch.device, torch.dtype], str | None] = anywhere
    """Why it cannot compute on this device in this dtype; None when it can."""
    limit: int | None = None
    """The largest size that it can hold, of what `Backends.size` names."""


class Backends(dict[str, Implementation[Compute]]):
    """The implementations of `operation` by name, the fastest first.

    `size` names the size that may limit one; `instead` says what backends mean here that have no
    implementation of their own.
    """

    def __init__(
        self,
        operation: str,
        *,
        size: str = "size",
        instead: Mapping[str, str] | None = None,
        **implementations: Implementation[Compute],
    ) -> None:
        super().__init__(implementations)
        self.operation, self.size, self.instead = operation, size, instead or {}

    def resolve(
        self, backend: str, device: torch.device = CPU, dtype: torch.dtype = torch.float32, size: int = 0
    ) -> str:
        """The name of the implementation that `backend` means for such inputs; raises `UserError`."""
        if backend == "auto":
            return next(name for name in self if self.missing(name, device, dtype, size) is None)
        name = self.instead.get(backend, backend)
        reason = self.missing(name, device, dtype, size)
        if reason is not None:
            allowed = ", ".join(n for n in self if self.missing(n, device, dtype, size) is None)
            raise UserError(f"{self._found(backend, reason)}; allowed on {device}: auto, {allowed}")
        return name

    def require(self, backend: str, size: int = 0) -> None:
        """Raise `UserError` for a name that cannot compute such a size on any device."""
        reason = self._impossible(self.instead.get(backend, backend), size)
        if backend != "auto" and reason is not None:
            allowed = ", ".join(name for name in self if self._impossible(name, size) is None)
            raise UserError(f"{self._found(backend, reason)}; allowed: auto, {allowed}")

    def missing(
        self, name: str, device: torch.device, dtype: torch.dtype = torch.float32, size: int = 0
    ) -> str | None:
        """Why an implementation cannot compute such inputs; None when it can."""
        return self._impossible(name, size) or self[name].missing(device, dtype)

    def available(self, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> list[str]:
        """The names of those that can compute here, the fastest first."""
        return [name for name in self if self.missing(name, device, dtype) is None]

    def has(self, backend: str) -> bool:
        """Whether `backend` means an implementation of this operation."""
        return backend == "auto" or self.instead.get(backend, backend) in self

    def _impossible(self, name: str, size: int) -> str | None:
        if name not in self:
            return "has no such implementation"
        limit = self[name].limit
        return f"holds a {self.size} of at most {limit}, not {size}" if limit and size > limit else None

    def _found(self, backend: str, reason: str) -> str:
        return f"backend: found '{backend}' ({self.operation}: {reason})"
