"""The Triton scan as an operator of torch: `triton.py` beside this file is the text to read."""

from typing import Any

import torch
from torch import Tensor

from bhasa.ops.operators import register
from bhasa.ops.selective_scan.triton import CHUNK, scan_backward, scan_forward
from bhasa.ops.selective_scan.twin import INPUTS


def _backward(dy: Tensor, dfinal: Tensor, *inputs: Any) -> tuple[Tensor | None, ...]:
    *arguments, _initial_state, keep, saved = inputs
    tensors: Any = (dy, dfinal, *arguments, keep, saved)
    return (*scan_backward(*tensors), None)


def _fake(x: Tensor, dt: Tensor, A: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    *_, initial_state, _, save = others
    b, length, d = x.shape
    states = initial_state.new_empty(b, -(-length // CHUNK) if save else 0, d, A.shape[1])
    return torch.empty_like(x, memory_format=torch.contiguous_format), torch.empty_like(initial_state), states


_operator = register(
    "selective_scan_triton", INPUTS, outputs=2, forward=scan_forward, backward=_backward, fake=_fake
)


def triton_scan(*arguments: Any) -> tuple[Tensor, Tensor]:
    """A `Scan`."""
    y, final_state = _operator(*arguments)
    return y, final_state
