"""The Triton scan as an operator of torch: `triton_kernels.py` beside this file is the text to read."""

import torch
from torch import Tensor

from bhasa.ops.operators import register
from bhasa.ops.selective_scan.interface import Scan, ScanInputs
from bhasa.ops.selective_scan.triton_kernels import CHUNK, scan_backward, scan_forward


def _fake(inputs: ScanInputs, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    x, initial_state = inputs.x, inputs.initial_state
    (b, length, d), n = x.shape, inputs.A.shape[1]
    states = initial_state.new_empty(b, -(-length // CHUNK) if save else 0, d, n)
    return torch.empty_like(x, memory_format=torch.contiguous_format), torch.empty_like(initial_state), states


triton_scan: Scan = register(
    "selective_scan_triton", ScanInputs, outputs=2, forward=scan_forward, backward=scan_backward, fake=_fake
)
