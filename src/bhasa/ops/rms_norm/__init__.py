"""RMSNorm (Zhang and Sennrich 2019): x weight / sqrt(mean(x^2) + eps) over the last axis, in float32."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from bhasa.ops.backends import Backends, Twin
from bhasa.ops.native import missing
from bhasa.ops.rms_norm.native import native_norm

Norm = Callable[[Tensor, Tensor, float], Tensor]


def reference_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return F.rms_norm(x, weight.shape, weight, eps)


BACKENDS: Backends[Norm] = Backends(native=Twin(native_norm, missing), reference=Twin(reference_norm))


def rms_norm(x: Tensor, weight: Tensor, eps: float, *, backend: str = "auto") -> Tensor:
    """Args: x (..., d), weight (d,). Returns (..., d)."""
    return BACKENDS[BACKENDS.resolve(backend, x.device, x.dtype)].compute(x, weight, eps)
