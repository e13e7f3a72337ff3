"""The short causal convolution with its SiLU as Triton kernels: one pass forward, two backward.

    a[t] = bias + sum over k of weight[:, K-1-k] x[t-k]            (d,)
    y[t] = a[t] sigmoid(a[t])

where x[-j], j = 1 .. K-1, is the initial state, and a tap reaches only tokens of its own segment. Source: Gu
and Dao 2023, section 3.3.2 (what backward can recompute, forward does not store): a is computed again.
A program owns a tile of BLOCK_L steps and BLOCK_D channels of one batch row. Sums over time (dweight, dbias)
are written per tile and added afterwards in a fixed order: no atomics, the same bits every time.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
# mypy: disable-error-code="import-not-found,import-untyped"

import torch
import triton
import triton.language as tl
from torch import Tensor

from bhasa.ops.causal_conv.interface import ConvInputs
from bhasa.ops.triton_support import rows

BLOCK_L, BLOCK_D, WARPS = 32, 64, 8
"""64 channels are a 128-byte line in half precision; 8 numbers a thread are one 16-byte load of it."""


def conv_forward(inputs: ConvInputs) -> Tensor:
    """silu(causal convolution) of x, of any strides over b and l: (b, l, d) in x's dtype.

    Summed in float32. Source: Gu and Dao 2023, section 3.3.2.
    """
    x, weight, bias, initial_state, segment_ids = inputs
    b, length, d = x.shape
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    with torch.cuda.device_of(x):
        _forward[_grid(length, d, b)](
            *(rows(sequence) for sequence in (x, initial_state.transpose(1, 2), segment_ids, y)),
            *(weight.contiguous(), bias if bias is None else bias.contiguous(), length, d),
            **_tiles(weight),
        )
    return y


def conv_backward(dy: Tensor, inputs: ConvInputs) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Gradients of x, weight, bias (None if it is None) and the initial state, each in its input's dtype.

    dy (b, l, d). Source: Gu and Dao 2023, section 3.3.2.
    """
    x, weight, bias, initial_state, segment_ids = inputs
    (b, length, d), taps = x.shape, weight.shape[1]
    dx = torch.empty_like(x, memory_format=torch.contiguous_format)
    dinitial = initial_state.new_empty(b, taps - 1, d)
    da = torch.empty_like(dx, dtype=torch.float32)
    partial = da.new_empty(b, triton.cdiv(length, BLOCK_L), taps + 1, d)  # the last row is of the bias
    ids = rows(segment_ids)
    with torch.cuda.device_of(x):
        _backward_sums[_grid(length, d, b)](
            *(rows(x), rows(initial_state.transpose(1, 2)), ids, rows(dy), rows(da)),
            *(weight.contiguous(), bias if bias is None else bias.contiguous(), partial, length, d),
            **_tiles(weight),
        )
        _backward_inputs[_grid(length + taps - 1, d, b)](
            *(ids, rows(da), rows(dx), rows(dinitial), weight.contiguous(), length, d),
            **_tiles(weight),
        )
    sums = partial.sum((0, 1))  # (K + 1, d)
    dbias = None if bias is None else sums[taps].to(bias.dtype).clone()  # results share no memory
    return dx, sums[:taps].T.to(weight.dtype).contiguous(), dbias, dinitial.transpose(1, 2).contiguous()


def _grid(steps: int, d: int, b: int) -> tuple[int, int, int]:
    return triton.cdiv(steps, BLOCK_L), triton.cdiv(d, BLOCK_D), b


def _tiles(weight: Tensor) -> dict[str, int]:
    return {"K": weight.shape[1], "BLOCK_L": BLOCK_L, "BLOCK_D": BLOCK_D, "num_warps": WARPS}


@triton.jit
def _tile(BLOCK_L: tl.constexpr, BLOCK_D: tl.constexpr):
    """This program's batch row, steps (BLOCK_L, 1) and channels (1, BLOCK_D)."""
    t = tl.program_id(0) * BLOCK_L + tl.arange(0, BLOCK_L)
    channel = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    return tl.program_id(2).to(tl.int64), t.to(tl.int64)[:, None], channel[None, :]


@triton.jit
def _at(sequence, b, t, length, channel, d):
    """Steps t of row b as float32, 0 outside: (BLOCK_L, BLOCK_D)."""
    start, row, step = sequence
    inside = (t >= 0) & (t < length) & (channel < d)
    return tl.load(start + b * row + t * step + channel, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _put(sequence, b, t, length, channel, d, value):
    start, row, step = sequence
    inside = (t >= 0) & (t < length) & (channel < d)
    tl.store(start + b * row + t * step + channel, value.to(start.dtype.element_ty), mask=inside)


@triton.jit
def _segment(ids, b, t, length):
    """The segments of steps t; what lies before the row is of segment 0: (BLOCK_L, 1)."""
    start, row, step = ids
    return tl.load(start + b * row + t * step, mask=(t >= 0) & (t < length), other=0)


@triton.jit
def _tap(x, initial, ids, b, t, back: tl.constexpr, length, channel, d, K: tl.constexpr):
    """The inputs `back` steps before t, 0 where they are of another segment: (BLOCK_L, BLOCK_D)."""
    earlier = t - back
    value = _at(x, b, earlier, length, channel, d)
    if back > 0:
        value += _at(initial, b, earlier + (K - 1), K - 1, channel, d)
        if ids is not None:
            same = _segment(ids, b, t, length) == _segment(ids, b, earlier, length)
            value = tl.where(same, value, 0.0)
    return value


@triton.jit
def _weight(weight, back: tl.constexpr, channel, d, K: tl.constexpr):
    return tl.load(weight + channel * K + (K - 1 - back), mask=channel < d, other=0.0).to(tl.float32)


@triton.jit
def _sums(x, initial, ids, weight, bias, b, t, length, channel, d, K: tl.constexpr):
    """a[t], before the SiLU: (BLOCK_L, BLOCK_D)."""
    a = _tap(x, initial, ids, b, t, 0, length, channel, d, K) * _weight(weight, 0, channel, d, K)
    for back in tl.static_range(1, K):
        tap = _tap(x, initial, ids, b, t, back, length, channel, d, K)
        a += tap * _weight(weight, back, channel, d, K)
    if bias is not None:
        a += tl.load(bias + channel, mask=channel < d, other=0.0).to(tl.float32)
    return a


@triton.jit
def _sigmoid(a):
    e = tl.exp(-tl.abs(a))  # never overflows
    return tl.where(a >= 0, 1.0, e) / (1.0 + e)


@triton.jit(do_not_specialize=["length"])
def _forward(
    x, initial, ids, y, weight, bias, length, d,
    K: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    b, t, channel = _tile(BLOCK_L, BLOCK_D)
    a = _sums(x, initial, ids, weight, bias, b, t, length, channel, d, K)
    _put(y, b, t, length, channel, d, a * _sigmoid(a))


@triton.jit(do_not_specialize=["length"])
def _backward_sums(
    x, initial, ids, dy, da, weight, bias, partial, length, d,
    K: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """da = dL/da, and this tile's parts of dweight and dbias, its sums over time."""
    b, t, channel = _tile(BLOCK_L, BLOCK_D)
    a = _sums(x, initial, ids, weight, bias, b, t, length, channel, d, K)
    s = _sigmoid(a)
    da_t = _at(dy, b, t, length, channel, d) * s * (1.0 + a * (1.0 - s))  # 0 after the end, as dy is
    _put(da, b, t, length, channel, d, da_t)
    to = partial + (b * tl.num_programs(0) + tl.program_id(0)) * (K + 1) * d + channel
    for back in tl.static_range(K):
        part = tl.sum(da_t * _tap(x, initial, ids, b, t, back, length, channel, d, K), 0, keep_dims=True)
        tl.store(to + (K - 1 - back) * d, part, mask=channel < d)
    tl.store(to + K * d, tl.sum(da_t, 0, keep_dims=True), mask=channel < d)


@triton.jit(do_not_specialize=["length"])
def _backward_inputs(
    ids, da, dx, dinitial, weight, length, d,
    K: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """dx[t], and for t < 0 the gradient of the initial state: what the K steps from t on ask for."""
    b, t, channel = _tile(BLOCK_L, BLOCK_D)
    t -= K - 1
    total = tl.zeros((BLOCK_L, BLOCK_D), tl.float32)
    for back in tl.static_range(K):
        asked = _at(da, b, t + back, length, channel, d) * _weight(weight, back, channel, d, K)
        if ids is not None:
            same = _segment(ids, b, t, length) == _segment(ids, b, t + back, length)
            asked = tl.where(same, asked, 0.0)
        total += asked
    _put(dx, b, t, length, channel, d, total)
    _put(dinitial, b, t + (K - 1), K - 1, channel, d, total)
