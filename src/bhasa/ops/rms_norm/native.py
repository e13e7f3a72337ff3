"""RMSNorm in native code: `ops/native/rows.h` is the text to read."""

import torch
from torch import Tensor

from bhasa.ops import native
from bhasa.ops.native import NormArguments, address
from bhasa.ops.native.structures import ROW_BLOCK
from bhasa.ops.operators import register


def _forward(x: Tensor, weight: Tensor, eps: float, save: bool) -> tuple[Tensor, Tensor]:
    x32, weight = x.float().contiguous(), weight.float().contiguous()
    y, scale = torch.empty_like(x32), x32.new_empty(x.shape[:-1])
    rows, width = scale.numel(), x.shape[-1]
    native.call("rms_norm_forward", NormArguments(rows, width, eps, *map(address, (x32, weight, y, scale))))
    return y.to(x.dtype), scale


def _backward(dy: Tensor, x: Tensor, weight: Tensor, eps: float, scale: Tensor) -> list[Tensor | None]:
    x32, weight32, dy = x.float().contiguous(), weight.float().contiguous(), dy.float().contiguous()
    rows, width = scale.numel(), x.shape[-1]
    dx, dweight = torch.empty_like(x32), x32.new_empty(-(-rows // ROW_BLOCK), width)
    tensors = (x32, weight32, dy, scale, dx, dweight)
    native.call("rms_norm_backward", NormArguments(rows, width, eps, *map(address, tensors)))
    return [dx.to(x.dtype), dweight.sum(0).to(weight.dtype), None]


def _fake(x: Tensor, weight: Tensor, eps: float, save: bool) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape[:-1], dtype=torch.float32)


_operator = register(
    "rms_norm_native",
    "Tensor x, Tensor weight, float eps",
    outputs=1,
    forward=_forward,
    backward=_backward,
    fake=_fake,
)


def native_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return _operator(x, weight, eps)[0]
