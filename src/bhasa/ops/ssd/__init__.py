"""State-space duality, the operation of Mamba-2: one function, several implementations.

    h[t] = exp(dt[t] A) h[t-1] + dt[t] x[t] (outer) B[t]     state, (p, n) per head
    y[t] = h[t] C[t] + D x[t]                                output, (p,) per head

with dt = clamp(softplus(dt + dt_bias), dt_limit). A head has one decay, so a chunk of steps is a few products
of matrices. Source: Dao and Gu 2024, "Transformers are SSMs", section 6 and listing 1;
`ssd_chunk_scan_combined_ref` in state-spaces/mamba. Differences: the initial and final states are
differentiable, packed documents are separated exactly, and padding freezes the state.
"""

from math import inf

import torch
from torch import Tensor
from torch.nn import functional as F

from bhasa.ops import segments
from bhasa.ops.backends import Backends, Implementation
from bhasa.ops.native import missing
from bhasa.ops.ssd.chunked import chunked_ssd
from bhasa.ops.ssd.interface import Ssd, SsdInputs, per_head
from bhasa.ops.ssd.native import native_ssd
from bhasa.ops.ssd.reference import reference_ssd

BACKENDS: Backends[Ssd] = Backends(
    "ssd",
    native=Implementation(native_ssd, missing),
    chunked=Implementation(chunked_ssd),
    reference=Implementation(reference_ssd),
)


def ssd(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    *,
    dt_bias: Tensor | None = None,
    dt_limit: tuple[float, float] = (0.0, inf),
    initial_state: Tensor | None = None,
    segment_ids: Tensor | None = None,
    lengths: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Scan a batch of sequences; returns y (b, l, h, p) in x's dtype and the final state (b, h, p, n).

    Args: x (b, l, h, p); dt (b, l, h); A (h,), negative; B, C (b, l, g, n), where g divides h and head i uses
    group i // (h / g); D, dt_bias (h,); initial_state (b, h, p, n), zero if absent; segment_ids (b, l), see
    `ops.segments`; lengths (b,): of each row, what comes after is padding. The arithmetic and the states are
    float32, or float64 when x is.
    """
    (batch, length, heads, p), (groups, n) = x.shape, B.shape[2:]
    if heads % groups:
        raise ValueError(f"{heads} heads cannot share {groups} groups of B and C evenly")
    precise = torch.float64 if x.dtype == torch.float64 else torch.float32
    A, D = A.to(precise), D.to(precise)
    dt = step_size(dt.to(precise), dt_bias, dt_limit)
    if lengths is not None:  # a step of size 0 has decay 1 and takes nothing in: the state freezes
        padding = torch.arange(length, device=x.device) >= lengths[:, None]  # (b, l)
        dt = dt.masked_fill(padding[..., None], 0.0)
    if initial_state is None:
        initial_state = A.new_zeros(batch, heads, p, n)
    keep = None if segment_ids is None else ~segments.starts(segment_ids)
    compute = BACKENDS[BACKENDS.resolve(backend, x.device, x.dtype)].compute
    return compute(SsdInputs(x, dt, A, B, C, D, initial_state.to(precise), keep))


def ssd_step(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    *,
    dt_bias: Tensor | None = None,
    dt_limit: tuple[float, float] = (0.0, inf),
    state: Tensor,
) -> tuple[Tensor, Tensor]:
    """One token of `ssd`: x (b, h, p); dt (b, h); B, C (b, g, n); state (b, h, p, n), not changed."""
    dt = step_size(dt, dt_bias, dt_limit)
    B, C = per_head(B, x.shape[1]), per_head(C, x.shape[1])  # (b, h, n)
    decay = torch.exp(dt * A)  # (b, h)
    state = decay[..., None, None] * state + (dt[..., None] * x)[..., None] * B[:, :, None, :]
    y = torch.matmul(state, C[..., None]).squeeze(-1) + D[:, None] * x  # (b, h, p)
    return y, state


def step_size(dt: Tensor, dt_bias: Tensor | None, dt_limit: tuple[float, float]) -> Tensor:
    """dt as the recurrence takes it: positive, and within the limits."""
    dt = F.softplus(dt if dt_bias is None else dt + dt_bias)
    return dt if tuple(dt_limit) == (0.0, inf) else dt.clamp(*dt_limit)
