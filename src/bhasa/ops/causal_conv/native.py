"""The convolution in native code: `ops/native/conv.h` is the text to read."""

import torch
from torch import Tensor

from bhasa.ops import native
from bhasa.ops.causal_conv.interface import Conv, ConvInputs
from bhasa.ops.native import ConvArguments, Sequence, address, require_shapes
from bhasa.ops.native.structures import MAX_TAPS
from bhasa.ops.operators import register


def _forward(inputs: ConvInputs, save: bool) -> tuple[Tensor, Tensor]:
    y = inputs.x.new_empty(inputs.x.shape, dtype=torch.float32)
    arguments, _alive = _arguments(inputs)
    arguments.y = Sequence.of(y)
    native.call("conv_forward", arguments)
    return y.to(inputs.x.dtype), y.new_empty(0)


def _backward(dy: Tensor, inputs: ConvInputs, saved: Tensor) -> list[Tensor | None]:
    x, weight, bias, initial_state, _ = inputs
    (batch, _, d), taps = x.shape, weight.shape[1]
    arguments, _alive = _arguments(inputs)
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


def _arguments(inputs: ConvInputs) -> tuple[ConvArguments, list[Tensor | None]]:
    """What both directions read, and the tensors that must outlive the call."""
    x, weight, bias, initial_state, segment_ids = inputs
    taps = weight.shape[1]
    if taps > MAX_TAPS:
        raise ValueError(f"d_conv is {taps}; the native convolution has at most {MAX_TAPS} taps")
    batch, length, d = x.shape
    require_shapes((d, taps), weight=weight)
    require_shapes((d,), bias=bias)
    require_shapes((batch, d, taps - 1), initial_state=initial_state)
    require_shapes((batch, length), segment_ids=segment_ids)
    x = native.plain(x)
    kept = [
        weight.T.float().contiguous(),
        None if bias is None else bias.float().contiguous(),
        initial_state.transpose(1, 2).float().contiguous(),
        None if segment_ids is None else segment_ids.long().contiguous(),
    ]
    return ConvArguments(*x.shape, taps, Sequence.of(x), *map(address, kept)), [x, *kept]


def _fake(inputs: ConvInputs, save: bool) -> tuple[Tensor, Tensor]:
    return inputs.x.new_empty(inputs.x.shape), inputs.x.new_empty(0, dtype=torch.float32)


native_conv: Conv = register(
    "causal_conv_native", ConvInputs, outputs=1, forward=_forward, backward=_backward, fake=_fake
)
