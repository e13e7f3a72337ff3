"""RMSNorm in native code: `ops/native/rows.h` is the text to read."""

import torch
from torch import Tensor

from bhasa.ops import native
from bhasa.ops.native import NormArguments, address, require_shapes
from bhasa.ops.native.structures import ROW_BLOCK
from bhasa.ops.operators import register
from bhasa.ops.rms_norm.interface import Norm, NormInputs


def _forward(inputs: NormInputs, save: bool) -> tuple[Tensor, Tensor]:
    arguments, _alive = _arguments(inputs)
    y = torch.empty_like(inputs.x, dtype=torch.float32, memory_format=torch.contiguous_format)
    scale = _scales(inputs)
    arguments.y, arguments.scale = address(y), address(scale)
    native.call("rms_norm_forward", arguments)
    return y.to(inputs.x.dtype), scale


def _backward(dy: Tensor, inputs: NormInputs, scale: Tensor) -> list[Tensor | None]:
    x, weight, _, z, _ = inputs
    arguments, _alive = _arguments(inputs)
    dy = dy.float().contiguous()
    dx, dweight = torch.empty_like(dy), dy.new_empty(-(-arguments.rows // ROW_BLOCK), x.shape[-1])
    dz = None if z is None else torch.empty_like(dy)
    arguments.y, arguments.scale = address(dy), address(scale)
    arguments.dx, arguments.dz, arguments.dweight = map(address, (dx, dz, dweight))
    native.call("rms_norm_backward", arguments)
    dz = None if z is None or dz is None else dz.to(z.dtype)
    return [dx.to(x.dtype), dweight.sum(0).to(weight.dtype), None, dz, None]


def _arguments(inputs: NormInputs) -> tuple[NormArguments, list[Tensor]]:
    """What both directions read, and the tensors that must outlive the call."""
    x, weight, eps, z, groups = inputs
    width = x.shape[-1]
    require_shapes((width,), weight=weight)
    require_shapes(tuple(x.shape), z=z)
    if width % groups:
        raise ValueError(f"{width} columns cannot be {groups} equal groups")
    x32, weight = x.float().contiguous(), weight.float().contiguous()
    rows = None if z is None else native.plain(z).flatten(0, -2)  # of a wider tensor: no copy
    arguments = NormArguments(
        *(x.numel() // width, groups, width // groups, 0 if rows is None else rows.stride(0), eps),
        *(address(x32), address(weight), None if rows is None else rows.data_ptr()),
    )
    return arguments, [x32, weight] if rows is None else [x32, weight, rows]


def _scales(inputs: NormInputs) -> Tensor:
    """One a group of a row."""
    return inputs.x.new_empty((*inputs.x.shape[:-1], inputs.groups), dtype=torch.float32)


def _fake(inputs: NormInputs, save: bool) -> tuple[Tensor, Tensor]:
    return inputs.x.new_empty(inputs.x.shape), _scales(inputs)


native_norm: Norm = register(
    "rms_norm_native", NormInputs, outputs=1, forward=_forward, backward=_backward, fake=_fake
)
