"""Which implementation each operation uses on a device: what provenance names and `bhasa doctor` shows."""

from collections.abc import Mapping

import torch

from bhasa.ops import causal_conv, cross_entropy, native, rms_norm, selective_scan, ssd
from bhasa.ops.backends import Backends

OPERATIONS: Mapping[str, Backends] = {  # type: ignore[type-arg]  # of any signature
    "selective_scan": selective_scan.BACKENDS,
    "ssd": ssd.BACKENDS,
    "causal_conv": causal_conv.BACKENDS,
    "rms_norm": rms_norm.BACKENDS,
    "cross_entropy": cross_entropy.BACKENDS,
}


def implementations(device: torch.device, backend: str = "auto") -> dict[str, str]:
    """The implementation of each operation in float32; the native ones with their instruction set."""
    OPERATIONS["selective_scan"].resolve(backend, device)  # refuses one that cannot run
    names = {name: backends.resolve(backends.known(backend), device) for name, backends in OPERATIONS.items()}
    native_name = f"native {native.current()}"
    return {
        name: native_name if implementation == "native" else implementation
        for name, implementation in names.items()
    }
