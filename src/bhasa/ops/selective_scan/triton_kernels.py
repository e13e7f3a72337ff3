"""The scan as one Triton kernel per direction: softplus, decay, recurrence, skip and gate in one walk.

    dt[t] = softplus(dt[t] + dt_bias)
    h[t]  = keep[t] exp(dt[t] A) h[t-1] + dt[t] B[t] x[t]          (d, n), in registers
    y[t]  = (C[t] h[t] + D x[t]) silu(z[t])                        (d,)

Source: Gu and Dao 2023, section 3.3.2: the state stays in fast memory and backward computes it again. One
program owns a batch row and BLOCK_D channels and walks through time, so a sum over states is its own; sums
over channels (dB, dC) and rows (dA, dD, d_dt_bias) are written as partials and added in a fixed order: no
atomics, the same bits every time. Forward keeps the state before each CHUNK of steps, if asked; backward
takes the chunks from the last, computes one's states into a workspace and walks through them backwards.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
# mypy: disable-error-code="import-not-found,import-untyped"

import torch
import triton
import triton.language as tl
from torch import Tensor

from bhasa.ops.selective_scan.interface import ScanInputs
from bhasa.ops.triton_support import rows

CHUNK = 32
"""Steps between kept states: training keeps n / CHUNK numbers per token and channel for them."""
SLAB = 16
"""Chunks in one launch of backward: it bounds the partial sums of dB and dC, however long the row is."""
BLOCK_D = 16
"""Channels of a program: 32 bytes of a half-precision row, the smallest piece that memory hands out."""


def scan_forward(inputs: ScanInputs, save_states: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs of a `Scan` and, if `save_states`, the states before each chunk (b, n_chunks, d, n), which
    `scan_backward` needs; otherwise an empty tensor.

    States are float32; sequences may have any strides over b and l. Source: Gu and Dao 2023, section 3.3.2.
    """
    x, dt, A, B, C, D, z, dt_bias, initial_state, keep = inputs
    (b, length, d), n = x.shape, A.shape[1]
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    final = torch.empty_like(initial_state, memory_format=torch.contiguous_format)
    states = final.new_empty(b, triton.cdiv(length, CHUNK) if save_states else 0, d, n)
    with torch.cuda.device_of(x):
        _forward[triton.cdiv(d, BLOCK_D), b](
            *(rows(sequence) for sequence in (x, dt, z, B, C, keep, y)),
            *(t if t is None else t.contiguous() for t in (A, D, dt_bias, initial_state)),
            *(final, states if save_states else None, length, d),
            **_tiles(n),
        )
    return y, final, states


def scan_backward(
    dy: Tensor, dfinal: Tensor, inputs: ScanInputs, states: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients of the inputs, shaped and typed as these; None for None and for `keep`.

    dy (b, l, d), dfinal (b, d, n), and the `states` that `scan_forward` saved.
    Source: Gu and Dao 2023, section 3.3.2.
    """
    x, dt, A, B, C, D, z, dt_bias, _, keep = inputs
    (b, length, d), n = x.shape, A.shape[1]
    dx, ddt, dB, dC = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, dt, B, C))
    dz = None if z is None else torch.empty_like(z, memory_format=torch.contiguous_format)
    dh = dfinal.float().clone(memory_format=torch.contiguous_format)  # walks back to the initial state's
    dA, dD, dbias = dh.new_zeros(b, d, n), dh.new_zeros(b, d), dh.new_zeros(b, d)
    before = dh.new_empty(b, CHUNK, d, n)
    span, blocks = min(SLAB * CHUNK, length), triton.cdiv(d, BLOCK_D)
    partial = dh.new_empty(2, b, blocks, span, n)  # of dB and dC
    for start in reversed(range(0, length, SLAB * CHUNK)):
        stop = min(start + SLAB * CHUNK, length)
        with torch.cuda.device_of(x):
            _backward[blocks, b](
                *(rows(sequence) for sequence in (x, dt, z, B, C, keep, dy, dx, ddt, dz)),
                *(t if t is None else t.contiguous() for t in (A, D, dt_bias, states)),
                *(dA, dD, dbias, dh, before, *partial, start, stop, length, d, span),
                **_tiles(n),
            )
        dB[:, start:stop], dC[:, start:stop] = partial[..., : stop - start, :].sum(2)
    return dx, ddt, dA.sum(0), dB, dC, dD.sum(0), dz, None if dt_bias is None else dbias.sum(0), dh, None


def _tiles(n: int) -> dict[str, int]:
    """16 x 16 (channel, state) pairs a warp, 8 a thread; one warp's sums need no barrier."""
    block_n = triton.next_power_of_2(n)
    warps = min(triton.cdiv(block_n, 16), 16)
    return {"N": n, "CHUNK": CHUNK, "BLOCK_D": BLOCK_D, "BLOCK_N": block_n, "num_warps": warps}


@triton.jit
def _at(sequence, b, t, index, size):
    """Step t of row b, as float32."""
    start, row, step = sequence
    start += b * row + tl.cast(t, tl.int64) * step
    return tl.load(start + index, mask=index < size, other=0.0).to(tl.float32)


@triton.jit
def _put(sequence, b, t, index, size, value):
    start, row, step = sequence
    start += b * row + tl.cast(t, tl.int64) * step
    tl.store(start + index, value.to(start.dtype.element_ty), mask=index < size)


@triton.jit
def _softplus(v):
    """log(1 + exp v) = max(v, 0) + log(1 + e), e = exp(-|v|), exact in relative terms where it is small."""
    e = tl.exp(-tl.abs(v))
    r = e / (2.0 + e)  # <= 1/3, and log(1 + e) = 2 atanh(r) = 2 (r + r^3 / 3 + r^5 / 5 + ...)
    s = r * r
    tail = 1 / 7 + s * (1 / 9 + s * (1 / 11 + s * (1 / 13 + s * (1 / 15))))
    return tl.maximum(v, 0.0) + 2.0 * r * (1.0 + s * (1 / 3 + s * (1 / 5 + s * tail)))


@triton.jit
def _sigmoid(v):
    e = tl.exp(-tl.abs(v))  # never overflows
    return tl.where(v >= 0, 1.0, e) / (1.0 + e)


@triton.jit
def _inputs(sequences, b, t, channel, d, state, N):
    """What step t reads. The loops ask for it two steps early: memory answers later than a step takes."""
    x, dt, z, B, C, keep, dy = sequences
    x_t, dt_t, B_t = _at(x, b, t, channel, d), _at(dt, b, t, channel, d), _at(B, b, t, state, N)
    z_t = x_t if z is None else _at(z, b, t, channel, d)  # what is not there is not used
    C_t = B_t if C is None else _at(C, b, t, state, N)
    keep_t = tl.full((), 1.0, tl.float32) if keep is None else _at(keep, b, t, 0, 1)
    dy_t = x_t if dy is None else _at(dy, b, t, channel, d)
    return x_t, dt_t, z_t, B_t, C_t, keep_t, dy_t


@triton.jit
def _cells(d, N: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr):
    """This program's row, its channels and states, their places in a (d, n) matrix and which there are."""
    channel = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    state = tl.arange(0, BLOCK_N)
    inside = (channel < d)[:, None] & (state < N)[None, :]
    return tl.program_id(1).to(tl.int64), channel, state, channel[:, None] * N + state[None, :], inside


@triton.jit
def _advance(h, x_t, dt_t, B_t, keep_t, A2):
    """One step of the recurrence; A2 = A log2 e: exp(dt A) is exp2(dt A2). (BLOCK_D, BLOCK_N)."""
    decay = tl.exp2(dt_t[:, None] * A2) * keep_t
    return decay, decay * h + (dt_t * x_t)[:, None] * B_t[None, :]


@triton.jit(do_not_specialize=["length"])
def _forward(
    x, dt, z, B, C, keep, y, A, D, dt_bias, initial, final, states, length, d,
    N: tl.constexpr, CHUNK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    b, channel, state, cell, inside = _cells(d, N, BLOCK_D, BLOCK_N)
    A2 = tl.load(A + cell, mask=inside, other=0.0) * 1.4426950408889634
    D_c = tl.load(D + channel, mask=channel < d, other=0.0)
    bias = 0.0 if dt_bias is None else tl.load(dt_bias + channel, mask=channel < d, other=0.0)
    h = tl.load(initial + b * d * N + cell, mask=inside, other=0.0)
    read, last = (x, dt, z, B, C, keep, None), length - 1
    now = _inputs(read, b, 0, channel, d, state, N)
    soon = _inputs(read, b, tl.minimum(1, last), channel, d, state, N)
    for t in tl.range(0, length, loop_unroll_factor=2):
        later = _inputs(read, b, tl.minimum(t + 2, last), channel, d, state, N)
        if states is not None and t % CHUNK == 0:
            tl.store(states + (b * tl.cdiv(length, CHUNK) + t // CHUNK) * d * N + cell, h, mask=inside)
        x_t, v, z_t, B_t, C_t, keep_t, _ = now
        _, h = _advance(h, x_t, _softplus(v + bias), B_t, keep_t, A2)
        y_t = tl.sum(h * C_t[None, :], 1) + D_c * x_t  # (BLOCK_D,)
        if z is not None:
            y_t *= z_t * _sigmoid(z_t)
        _put(y, b, t, channel, d, y_t)
        now, soon = soon, later
    tl.store(final + b * d * N + cell, h, mask=inside)


@triton.jit(do_not_specialize=["start", "stop", "length", "span"])
def _backward(
    x, dt, z, B, C, keep, dy, dx, ddt, dz, A, D, dt_bias, states, dA, dD, dbias, dh, before, dB, dC,
    start, stop, length, d, span,
    N: tl.constexpr, CHUNK: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Steps start <= t < stop, from the last. dA, dD, dbias and dh go on from the launch for later steps."""
    b, channel, state, cell, inside = _cells(d, N, BLOCK_D, BLOCK_N)
    A_c = tl.load(A + cell, mask=inside, other=0.0)
    A2 = A_c * 1.4426950408889634
    D_c = tl.load(D + channel, mask=channel < d, other=0.0)
    bias = 0.0 if dt_bias is None else tl.load(dt_bias + channel, mask=channel < d, other=0.0)
    row = b * d * N + cell
    dh_t = tl.load(dh + row, mask=inside, other=0.0)  # dL/dh[t], so far what the steps after t ask for
    dA_c = tl.load(dA + row, mask=inside, other=0.0)
    dD_c = tl.load(dD + b * d + channel, mask=channel < d, other=0.0)
    dbias_c = tl.load(dbias + b * d + channel, mask=channel < d, other=0.0)
    few, read = (x, dt, None, B, None, keep, None), (x, dt, z, B, C, keep, dy)
    before += b * CHUNK * d * N
    partial = (b * tl.num_programs(0) + tl.program_id(0)) * span - start  # the row of step 0
    for back in range(tl.cdiv(stop - start, CHUNK)):
        chunk = tl.cdiv(stop, CHUNK) - 1 - back
        first, last = chunk * CHUNK, tl.minimum((chunk + 1) * CHUNK, stop) - 1
        h = tl.load(states + (b * tl.cdiv(length, CHUNK) + chunk) * d * N + cell, mask=inside, other=0.0)
        now = _inputs(few, b, first, channel, d, state, N)
        soon = _inputs(few, b, tl.minimum(first + 1, last), channel, d, state, N)
        for t in range(first, last + 1):
            later = _inputs(few, b, tl.minimum(t + 2, last), channel, d, state, N)
            tl.store(before + (t - first) * d * N + cell, h, mask=inside)
            x_t, v, _, B_t, _, keep_t, _ = now
            _, h = _advance(h, x_t, _softplus(v + bias), B_t, keep_t, A2)
            now, soon = soon, later
        tl.debug_barrier()  # below a thread may read what another has written
        now = _inputs(read, b, last, channel, d, state, N)
        soon = _inputs(read, b, tl.maximum(last - 1, first), channel, d, state, N)
        for i in range(0, last + 1 - first):
            t = last - i
            later = _inputs(read, b, tl.maximum(t - 2, first), channel, d, state, N)
            h = tl.load(before + (t - first) * d * N + cell, mask=inside, other=0.0)  # h[t-1]
            x_t, v, z_t, B_t, C_t, keep_t, dy_t = now
            dt_t = _softplus(v + bias)
            decay, h_t = _advance(h, x_t, dt_t, B_t, keep_t, A2)
            if z is not None:
                s = _sigmoid(z_t)
                y_t = tl.sum(h_t * C_t[None, :], 1) + D_c * x_t  # before the gate
                _put(dz, b, t, channel, d, dy_t * y_t * s * (1.0 + z_t * (1.0 - s)))
                dy_t *= z_t * s
            dh_t += dy_t[:, None] * C_t[None, :]
            to = (partial + t) * N + state
            tl.store(dC + to, tl.sum(h_t * dy_t[:, None], 0), mask=state < N)
            tl.store(dB + to, tl.sum(dh_t * (dt_t * x_t)[:, None], 0), mask=state < N)
            du = tl.sum(dh_t * B_t[None, :], 1)  # of dt x
            dh_t *= decay
            dlog = dh_t * h  # of dt A
            dv = (tl.sum(dlog * A_c, 1) + du * x_t) * _sigmoid(v + bias)
            _put(dx, b, t, channel, d, dy_t * D_c + du * dt_t)
            _put(ddt, b, t, channel, d, dv)
            dA_c += dlog * dt_t[:, None]
            dD_c += dy_t * x_t
            dbias_c += dv
            now, soon = soon, later
        tl.debug_barrier()  # the workspace is free for the next chunk
    tl.store(dh + row, dh_t, mask=inside)
    tl.store(dA + row, dA_c, mask=inside)
    tl.store(dD + b * d + channel, dD_c, mask=channel < d)
    tl.store(dbias + b * d + channel, dbias_c, mask=channel < d)
