"""The Triton convolution as an operator of torch: `triton_kernels.py` beside this file is what to read."""

from torch import Tensor

from bhasa.ops.causal_conv.interface import Conv, ConvInputs
from bhasa.ops.causal_conv.triton_kernels import conv_backward, conv_forward
from bhasa.ops.operators import register


def _forward(inputs: ConvInputs, save: bool) -> tuple[Tensor, Tensor]:
    return conv_forward(inputs), inputs.x.new_empty(0)


def _backward(dy: Tensor, inputs: ConvInputs, saved: Tensor) -> tuple[Tensor | None, ...]:
    return (*conv_backward(dy, inputs), None)


def _fake(inputs: ConvInputs, save: bool) -> tuple[Tensor, Tensor]:
    return inputs.x.new_empty(inputs.x.shape), inputs.x.new_empty(0)


triton_conv: Conv = register(
    "causal_conv_triton", ConvInputs, outputs=1, forward=_forward, backward=_backward, fake=_fake
)
