"""The Triton convolution as an operator of torch: `triton.py` beside this file is the text to read."""

from typing import Any

from torch import Tensor

from bhasa.ops.causal_conv.triton import conv_backward, conv_forward
from bhasa.ops.causal_conv.twin import INPUTS
from bhasa.ops.operators import register


def _forward(*arguments: Any) -> tuple[Tensor, Tensor]:
    *inputs, _save = arguments
    y = conv_forward(*inputs)
    return y, y.new_empty(0)


def _backward(dy: Tensor, *arguments: Any) -> tuple[Tensor | None, ...]:
    *inputs, _saved = arguments
    return (*conv_backward(dy, *inputs), None)


def _fake(x: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(0)


_operator = register(
    "causal_conv_triton", INPUTS, outputs=1, forward=_forward, backward=_backward, fake=_fake
)


def triton_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor, segment_ids: Tensor | None
) -> Tensor:
    return _operator(x, weight, bias, initial_state, segment_ids)[0]
