"""The convolution in native code: `ops/native/conv.h` is the text to read."""

import torch
from torch import Tensor

from bhasa.ops import native
from bhasa.ops.causal_conv.twin import INPUTS
from bhasa.ops.native import ConvArguments, Sequence, address
from bhasa.ops.native.structures import MAX_TAPS
from bhasa.ops.operators import register


def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor,
    segment_ids: Tensor | None,
    save: bool,
) -> tuple[Tensor, Tensor]:
    y = x.new_empty(x.shape, dtype=torch.float32)
    arguments, _alive = _arguments(x, weight, bias, initial_state, segment_ids)
    arguments.y = Sequence.of(y)
    native.call("conv_forward", arguments)
    return y.to(x.dtype), y.new_empty(0)


def _backward(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial_state: Tensor,
    segment_ids: Tensor | None,
    saved: Tensor,
) -> list[Tensor | None]:
    batch, _, d = x.shape
    taps = weight.shape[1]
    arguments, _alive = _arguments(x, weight, bias, initial_state, segment_ids)
    dy = native.plain(dy)
    dx, dweight = saved.new_empty(x.shape), saved.new_zeros(batch, taps, d)
    dbias, dbefore = saved.new_zeros(batch, d), saved.new_zeros(batch, taps - 1, d)
    arguments.y, arguments.dx = Sequence.of(dy), Sequence.of(dx)
    arguments.dweight, arguments.dbias, arguments.dbefore = map(address, (dweight, dbias, dbefore))
    native.call("conv_backward", arguments)
    return [
        dx.to(x.dtype),
        dweight.sum(0).T.to(weight.dtype),
        None if bias is None else dbias.sum(0).to(bias.dtype),
        dbefore.transpose(1, 2).to(initial_state.dtype),
        None,
    ]


def _arguments(
    x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor, segment_ids: Tensor | None
) -> tuple[ConvArguments, list[Tensor | None]]:
    """What both directions read, and the tensors that must outlive the call."""
    taps = weight.shape[1]
    if taps > MAX_TAPS:
        raise ValueError(f"d_conv is {taps}; the native convolution has at most {MAX_TAPS} taps")
    x = native.plain(x)
    kept = [
        weight.T.float().contiguous(),
        None if bias is None else bias.float().contiguous(),
        initial_state.transpose(1, 2).float().contiguous(),
        None if segment_ids is None else segment_ids.long().contiguous(),
    ]
    return ConvArguments(*x.shape, taps, Sequence.of(x), *map(address, kept)), [x, *kept]


def _fake(x: Tensor, *others: object) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(0, dtype=torch.float32)


_operator = register(
    "causal_conv_native", INPUTS, outputs=1, forward=_forward, backward=_backward, fake=_fake
)


def native_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor, segment_ids: Tensor | None
) -> Tensor:
    return _operator(x, weight, bias, initial_state, segment_ids)[0]
