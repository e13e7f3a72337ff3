"""The selective scan of Mamba: one public function, several implementations that compute the same.

    h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] x[t]        state, (d, n) per row
    y[t] = C[t] h[t] + D x[t]                           output, (d,) per row

with dt = softplus(dt + dt_bias) and, when `z` is given, y * silu(z). Source: Gu and Dao 2023, section 3.2
and algorithm 2; `selective_scan_ref` in state-spaces/mamba. Differences: time is the second axis of every
sequence, the initial and final states are differentiable, and packed documents are separated exactly.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from bhasa.ops import segments
from bhasa.ops.backends import Backends, Implementation
from bhasa.ops.native import missing
from bhasa.ops.native.structures import MAX_STATES
from bhasa.ops.selective_scan.chunked import chunked_scan
from bhasa.ops.selective_scan.interface import Scan, ScanInputs
from bhasa.ops.selective_scan.native import native_scan
from bhasa.ops.selective_scan.reference import reference_scan
from bhasa.ops.triton_support import missing as triton_missing


def triton_scan(inputs: ScanInputs) -> tuple[Tensor, Tensor]:
    from bhasa.ops.selective_scan import triton_op  # takes a while, and Triton may not be installed

    return triton_op.triton_scan(inputs)


BACKENDS: Backends[Scan] = Backends(
    "selective_scan",
    size="d_state",
    native=Implementation(native_scan, missing, limit=MAX_STATES),
    triton=Implementation(triton_scan, triton_missing),
    chunked=Implementation(chunked_scan),
    reference=Implementation(reference_scan),
)


def selective_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    *,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    initial_state: Tensor | None = None,
    segment_ids: Tensor | None = None,
    lengths: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Scan a batch of sequences; returns the output (b, l, d) in x's dtype and the final state (b, d, n).

    Args: x, dt, z (b, l, d); A (d, n), negative; B, C (b, l, n); D, dt_bias (d,); initial_state (b, d, n),
    zero if absent; segment_ids (b, l), see `ops.segments`; lengths (b,): of each row, what comes after is
    padding. The arithmetic and the states are float32, or float64 when x is.
    """
    if lengths is not None:  # a step of size 0 has decay 1 and takes nothing in: the state freezes
        padding = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]  # (b, l)
        dt = dt.masked_fill(padding[..., None], -torch.inf)  # 0 after the softplus
    precise = torch.float64 if x.dtype == torch.float64 else torch.float32
    A, D = A.to(precise), D.to(precise)
    if initial_state is None:
        initial_state = A.new_zeros(x.shape[0], *A.shape)
    keep = None if segment_ids is None else ~segments.starts(segment_ids)
    scan = BACKENDS[BACKENDS.resolve(backend, x.device, x.dtype, A.shape[1])].compute
    return scan(ScanInputs(x, dt, A, B, C, D, z, dt_bias, initial_state.to(precise), keep))


def selective_step(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *, z: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """One token of `selective_scan`: x, dt, z (b, d); B, C (b, n); state (b, d, n), not changed in place."""
    dt = F.softplus(dt)
    state = torch.exp(dt[..., None] * A) * state + (dt * x)[..., None] * B[:, None, :]
    y = torch.matmul(state, C[..., None]).squeeze(-1) + D * x  # (b, d)
    return y * F.silu(z), state
