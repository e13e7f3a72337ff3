"""RMSNorm (Zhang and Sennrich 2019): x weight / sqrt(mean(x^2) + eps) over the last axis, in float32.

With a gate z it is that of x silu(z), and with groups the mean is that of each equal part of the axis:
`RMSNormGated` of state-spaces/mamba with norm_before_gate=False.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from bhasa.ops.backends import Backends, Implementation
from bhasa.ops.native import missing
from bhasa.ops.rms_norm.interface import Norm, NormInputs
from bhasa.ops.rms_norm.native import native_norm


def reference_norm(inputs: NormInputs) -> Tensor:
    x, weight, eps, z, groups = inputs
    precise = torch.promote_types(x.dtype, torch.float32)
    gated = x.to(precise) if z is None else x.to(precise) * F.silu(z.to(precise))
    parts = gated.unflatten(-1, (groups, -1))
    scale = torch.rsqrt(parts.square().mean(-1, keepdim=True) + eps)  # (..., groups, 1)
    normed: Tensor = (parts * scale).flatten(-2) * weight.to(precise)
    return normed.to(x.dtype)


def torch_norm(inputs: NormInputs) -> Tensor:
    """By torch's own RMSNorm."""
    x, weight, eps, z, groups = inputs
    if z is not None:
        x = x * F.silu(z)
    if groups == 1:
        return F.rms_norm(x, weight.shape, weight, eps)
    parts = x.unflatten(-1, (groups, -1))
    return F.rms_norm(parts, parts.shape[-1:], None, eps).flatten(-2) * weight


BACKENDS: Backends[Norm] = Backends(
    "rms_norm",
    instead={"triton": "chunked"},
    native=Implementation(native_norm, missing),
    chunked=Implementation(torch_norm),
    reference=Implementation(reference_norm),
)


def rms_norm(
    x: Tensor, weight: Tensor, eps: float, *, z: Tensor | None = None, groups: int = 1, backend: str = "auto"
) -> Tensor:
    """Args: x and z (..., d), weight (d,); groups divides d. Returns (..., d)."""
    compute = BACKENDS[BACKENDS.resolve(backend, x.device, x.dtype)].compute
    return compute(NormInputs(x, weight, eps, z, groups))
