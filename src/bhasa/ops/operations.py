"""Which implementation each operation uses on a device: what provenance names and `bhasa doctor` shows."""

from collections.abc import Mapping

import torch

from bhasa.ops import causal_conv, cross_entropy, native, rms_norm, selective_scan, ssd
from bhasa.ops.backends import Backends

OPERATIONS: Mapping[str, Backends] = {  # type: ignore[type-arg]  # of any signature
    backends.operation: backends
    for backends in (
        selective_scan.BACKENDS,
        ssd.BACKENDS,
        causal_conv.BACKENDS,
        rms_norm.BACKENDS,
        cross_entropy.BACKENDS,
    )
}


def require_backend(backend: str, sizes: Mapping[str, int]) -> None:
    """Raise `UserError` if one of these operations cannot follow `backend` for its size, on any device."""
    for operation, size in sizes.items():
        OPERATIONS[operation].require(backend, size)


def implementations(
    device: torch.device, backend: str = "auto", sizes: Mapping[str, int] | None = None
) -> dict[str, str]:
    """The implementation of each operation in float32; the native ones with their instruction set.

    `sizes` are of the operations that a model uses; without them, all that can follow `backend`.
    """
    if sizes is None:
        sizes = {name: 0 for name, backends in OPERATIONS.items() if backends.has(backend)}
    names = {name: OPERATIONS[name].resolve(backend, device, size=size) for name, size in sizes.items()}
    return {
        name: f"native {native.current()}" if implementation == "native" else implementation
        for name, implementation in names.items()
    }


def missing_kernels() -> str | None:
    """A warning where the native kernels cannot be used, with the way to get them; None where they can."""
    reason = native.missing(torch.device("cpu"), torch.float32)
    if reason is None:
        return None
    return (
        "WARNING: training on the CPU will be many times slower than it could be: "
        f"the native kernels are missing: {reason}"
    )
