"""Whether Triton's kernels can run (on a GPU, or in its interpreter for tests), and what they read."""

import os
from importlib.util import find_spec

import torch
from torch import Tensor

_INSTALLED = find_spec("triton") is not None
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def missing(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot compute on this device from this dtype; None when they can."""
    if dtype == torch.float64:
        return "it computes in float32"
    if not _INSTALLED:
        return "triton is not installed"
    if device.type != ("cpu" if _INTERPRETED else "cuda"):
        return "it computes on CUDA and ROCm GPUs"
    return None


def rows(sequence: Tensor | None) -> tuple[Tensor, int, int] | None:
    """What a kernel needs of (b, l, ...): where it begins and how far apart rows and steps are."""
    if sequence is None:
        return None
    if sequence.dim() == 3 and sequence.stride(2) != 1:
        sequence = sequence.contiguous()
    return sequence, sequence.stride(0), sequence.stride(1)
