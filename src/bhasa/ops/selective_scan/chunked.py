"""The scan in chunks of time, with a hand-written backward.

Everything that does not depend on the state (decays, inputs, contractions with C) is computed for a whole
chunk at once; only `h[t] = decay[t] h[t-1] + input[t]` runs step by step, one fused multiply-add on all
channels. Forward keeps the state at each chunk's start and backward recomputes the rest, so training
memory grows with b*l*d and not with b*l*d*n: the recomputation costs one more pass over the chunk.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bhasa.ops.selective_scan.interface import with_recurrence

CHUNK = 32  # steps; the (CHUNK, b, d, n) buffers should stay in cache


def recurrence(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The same arguments and results as the recurrence of `reference.py`."""
    with torch.autocast(u.device.type, enabled=False):  # which would round its matmuls to half precision
        y, final_state = _ChunkedScan.apply(u, dt, A, B, C, state, keep)
    return y, final_state


chunked_scan = with_recurrence(recurrence)


class _ChunkedScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor, keep: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y = torch.empty_like(u, memory_format=torch.contiguous_format)
        starts = u.new_empty(-(-u.shape[1] // CHUNK), *state.shape)
        for i, span in enumerate(_spans(u.shape[1])):
            starts[i] = state
            h, _ = _states(u[:, span], dt[:, span], A, B[:, span], state, _cut(keep, span))
            y[:, span] = torch.matmul(h, _time_first(C[:, span])[..., None]).squeeze(-1).transpose(0, 1)
            state = h[-1]
        ctx.save_for_backward(u, dt, A, B, C, starts)
        ctx.keep = keep
        return y, state.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        u, dt, A, B, C, starts = ctx.saved_tensors
        dy, dstate = grads
        du, ddt, dB, dC = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (u, dt, B, C))
        dA = torch.zeros_like(A)
        for i, span in reversed(list(enumerate(_spans(u.shape[1])))):
            keep = _cut(ctx.keep, span)
            h, decay = _states(u[:, span], dt[:, span], A, B[:, span], starts[i], keep)
            dy_t, B_t, C_t, dt_t = (_time_first(t[:, span]) for t in (dy, B, C, dt))
            # dh[t] = dL/dh[t]: what this step's output asks for, and what the next step passes back.
            dh = dy_t[..., None] * C_t[:, :, None, :]  # (t, b, d, n)
            dh[-1] += dstate
            for t in range(len(dh) - 1, 0, -1):
                dh[t - 1].addcmul_(decay[t], dh[t])
            dstate = decay[0] * dh[0]
            dC[:, span] = torch.matmul(dy_t[:, :, None, :], h).squeeze(2).transpose(0, 1)
            du[:, span] = torch.matmul(dh, B_t[..., None]).squeeze(-1).transpose(0, 1)
            dB[:, span] = torch.matmul(_time_first(u[:, span])[:, :, None, :], dh).squeeze(2).transpose(0, 1)
            # From here on dh is dL/d(dt A) = dL/d(decay) * decay = dh[t] * h[t-1] * decay[t].
            dh[1:].mul_(h[:-1])
            dh[0].mul_(starts[i])
            dh.mul_(decay)
            ddt[:, span] = (dh * A).sum(-1).transpose(0, 1)
            dA += (dh * dt_t[..., None]).sum((0, 1))
        return du, ddt, dA, dB, dC, dstate, None


def _states(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, state: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The states after each step of one chunk, and its decays: both (t, b, d, n)."""
    decay = (_time_first(dt)[..., None] * A).exp_()
    if keep is not None:
        decay.mul_(_time_first(keep)[..., None, None])
    h = _time_first(u)[..., None] * _time_first(B)[:, :, None, :]
    for t in range(len(h)):
        h[t].addcmul_(decay[t], state)
        state = h[t]
    return h, decay


def _spans(length: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK)]


def _time_first(tensor: Tensor) -> Tensor:
    return tensor.transpose(0, 1).contiguous()


def _cut(keep: Tensor | None, span: slice) -> Tensor | None:
    return None if keep is None else keep[:, span]
