"""The operation in chunks of time, as products of matrices, with a hand-written backward.

Within a chunk y[i] = sum over j <= i of (C[i] B[j]) between[i, j] u[j], where between[i, j] is the product of
the decays after j up to i: a masked matrix as in attention (listing 1 of the paper). What comes from before
the chunk passes through the state at its start. Products of decays, not differences of summed logarithms:
they neither overflow nor cancel, and a document's start is a factor of exactly 0. Forward keeps the states at
the chunks' starts and backward recomputes the rest.

Letters of the products: b row, c chunk, i and j steps, g group, r head of a group, p and n the state.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, einsum
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from bhasa.ops.ssd.interface import with_recurrence

CHUNK = 64  # steps; within a chunk the work grows with its square


def recurrence(
    u: Tensor, log_decay: Tensor, B: Tensor, C: Tensor, state: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The same arguments and results as the recurrence of `reference.py`."""
    with torch.autocast(u.device.type, enabled=False):  # which would round its matmuls to half precision
        y, final_state = _ChunkedSsd.apply(u, log_decay, B, C, state, keep)
    return y, final_state


chunked_ssd = with_recurrence(recurrence)


class _Chunks(NamedTuple):
    """The inputs by chunk, and what follows from the decays."""

    u: Tensor  # (b, c, j, g, r, p)
    B: Tensor  # (b, c, j, g, n)
    C: Tensor  # (b, c, i, g, n)
    between: Tensor  # (b, c, g, r, i, j): the product of the decays after j up to i; 0 for j > i
    since: Tensor  # (b, c, g, r, i): of all up to i, which the state at the start passes through
    mixing: Tensor  # (b, c, g, r, i, j): C[i] B[j] between[i, j]

    @classmethod
    def of(cls, u: Tensor, log_decay: Tensor, B: Tensor, C: Tensor, keep: Tensor | None) -> "_Chunks":
        decay = torch.exp(log_decay)
        if keep is not None:
            decay = decay * keep[..., None]
        decay = (
            _by_chunk(decay, 1.0).unflatten(-1, (B.shape[2], -1)).permute(0, 1, 3, 4, 2)
        )  # (b, c, g, r, i)
        later = torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=u.device).tril(-1)  # i > j
        between = torch.where(later, decay[..., None], 1.0).cumprod(-2).tril()
        u, B, C = _by_chunk(u).unflatten(3, (B.shape[2], -1)), _by_chunk(B), _by_chunk(C)
        mixing = einsum("bcign,bcjgn->bcgij", C, B)[:, :, :, None] * between
        return cls(u, B, C, between, decay.cumprod(-1), mixing)


class _ChunkedSsd(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u: Tensor, log_decay: Tensor, B: Tensor, C: Tensor, state: Tensor, keep: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        chunks = _Chunks.of(u, log_decay, B, C, keep)
        until_end = _over_time(chunks.between[..., -1, :])
        taken_in = einsum("bcjgrp,bcjgn->bcgrpn", chunks.u * until_end, chunks.B)
        through = chunks.since[..., -1, None, None]  # (b, c, g, r, 1, 1)
        starts = torch.empty_like(taken_in)
        state = state.unflatten(1, taken_in.shape[2:4])
        for c in range(taken_in.shape[1]):
            starts[:, c] = state
            state = through[:, c] * state + taken_in[:, c]
        y = einsum("bcign,bcgrpn->bcigrp", chunks.C, starts) * _over_time(chunks.since)
        y += einsum("bcgrij,bcjgrp->bcigrp", chunks.mixing, chunks.u)
        ctx.save_for_backward(u, log_decay, B, C, keep, starts)
        return y.flatten(1, 2)[:, : u.shape[1]].flatten(2, 3), state.flatten(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        u, log_decay, B, C, keep, starts = ctx.saved_tensors
        chunks = _Chunks.of(u, log_decay, B, C, keep)
        dy = _by_chunk(grads[0]).unflatten(3, starts.shape[2:4])  # (b, c, i, g, r, p)
        dy_since = dy * _over_time(chunks.since)
        dends, dstate = _dends(einsum("bcigrp,bcign->bcgrpn", dy_since, chunks.C), grads[1], chunks.since)
        # Through the states at the starts and the ends of the chunks, then through the steps of each.
        until_end = chunks.between[..., -1, :]
        u_until = chunks.u * _over_time(until_end)
        dC_heads = einsum("bcigrp,bcgrpn->bcigrn", dy_since, starts)
        dB_heads = einsum("bcjgrp,bcgrpn->bcjgrn", u_until, dends)
        dmixing = einsum("bcigrp,bcjgrp->bcgrij", dy, chunks.u)
        dproducts = (dmixing * chunks.between).sum(3)  # (b, c, g, i, j): of C[i] B[j]
        dC = dC_heads.sum(4) + einsum("bcgij,bcjgn->bcign", dproducts, chunks.B)
        dB = dB_heads.sum(4) + einsum("bcgij,bcign->bcjgn", dproducts, chunks.C)
        du = einsum("bcjgn,bcgrpn->bcjgrp", chunks.B, dends) * _over_time(until_end)
        du += einsum("bcgrij,bcigrp->bcjgrp", chunks.mixing, dy)
        dlog = _dlog_decay(
            dmixing * chunks.mixing,
            einsum("bcigrn,bcign->bcgri", dC_heads, chunks.C),
            einsum("bcjgrn,bcjgn->bcgrj", dB_heads, chunks.B),
            (dends * starts).sum((-2, -1)) * chunks.since[..., -1],
        )
        du, dlog, dB, dC = (t.flatten(1, 2)[:, : u.shape[1]] for t in (du, _over_time(dlog)[..., 0], dB, dC))
        return du.flatten(2, 3), dlog.flatten(2, 3), dB, dC, dstate, None


def _dends(dstarts: Tensor, dfinal: Tensor, since: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the states at the chunks' ends (b, c, g, r, p, n) and of the initial one (b, h, p, n).

    `dstarts`: what the steps of each chunk ask of the state at its start.
    """
    dends = torch.empty_like(dstarts)
    dstate = dfinal.unflatten(1, dstarts.shape[2:4])
    for c in reversed(range(dstarts.shape[1])):
        dends[:, c] = dstate
        dstate = since[:, c, ..., -1, None, None] * dstate + dstarts[:, c]
    return dends, dstate.flatten(1, 2)


def _dlog_decay(within: Tensor, entering: Tensor, leaving: Tensor, across: Tensor) -> Tensor:
    """The gradient of the logarithms of the decays, (b, c, g, r, k).

    A decay k stands in every product from a step j < k to a step i >= k, from the chunk's start to i >= k,
    from j < k to its end, and across it. `within` (.., i, j), `entering` (.., i), `leaving` (.., j) and
    `across` (..) are those products' gradients times themselves.
    """
    from_earlier = within.cumsum(-1).tril(-1).sum(-2) + leaving.cumsum(-1)  # (.., j), of the decay k = j + 1
    entered = entering.flip(-1).cumsum(-1).flip(-1) + across[..., None]
    return F.pad(from_earlier[..., :-1], (1, 0)) + entered


def _by_chunk(sequence: Tensor, padding: float = 0.0) -> Tensor:
    """(b, l, ...) to (b, c, CHUNK, ...), padded at the end."""
    missing = -sequence.shape[1] % CHUNK
    if missing:
        sequence = F.pad(sequence, (0, 0) * (sequence.dim() - 2) + (0, missing), value=padding)
    chunks: Tensor = sequence.unflatten(1, (-1, CHUNK))
    return chunks


def _over_time(per_head: Tensor) -> Tensor:
    """(b, c, g, r, i) to (b, c, i, g, r, 1): beside a sequence."""
    return per_head.permute(0, 1, 4, 2, 3)[..., None]
