"""The scan in native code: `ops/native/scan.h` is the text to read."""

from typing import Any

import torch
from torch import Tensor

from bhasa.ops import native
from bhasa.ops.native import ScanArguments, Sequence, address
from bhasa.ops.native.structures import MAX_LANES, MAX_STATES, SCAN_CHUNK, SCAN_GROUP
from bhasa.ops.operators import register
from bhasa.ops.selective_scan.twin import INPUTS


def _forward(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor,
    keep: Tensor | None,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    d = x.shape[2]
    final_state = torch.empty_like(initial_state, memory_format=torch.contiguous_format)
    # Zeros for padded widths: not every number of the padding is written.
    saved = (A.new_zeros if d % MAX_LANES else A.new_empty)(_saved_shape(x, A) if save else [0])
    arguments, _alive = _arguments(x, dt, A, B, C, D, z, dt_bias, keep)
    y = A.new_empty(x.shape)
    initial_state = initial_state.contiguous()
    arguments.initial_state, arguments.final_state = address(initial_state), address(final_state)
    arguments.saved = address(saved) if save else None
    arguments.y = Sequence.of(y)
    native.call("scan_forward", arguments)
    return y.to(x.dtype), final_state, saved


def _backward(
    dy: Tensor,
    dfinal: Tensor,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor,
    keep: Tensor | None,
    saved: Tensor,
) -> list[Tensor | None]:
    batch, length, d, n = *x.shape, A.shape[1]
    arguments, _alive = _arguments(x, dt, A, B, C, D, z, dt_bias, keep)
    dy, dfinal = native.plain(dy), dfinal.contiguous()
    dx, ddt, dz = (A.new_empty(x.shape) for _ in range(3))
    dB, dC = (A.new_empty(-(-d // SCAN_GROUP), batch, length, n) for _ in range(2))
    dA, dinitial = (A.new_empty(batch, d, n) for _ in range(2))
    dD, dbias = (A.new_empty(batch, d) for _ in range(2))
    arguments.saved, arguments.y, arguments.final_state = address(saved), Sequence.of(dy), address(dfinal)
    arguments.dx, arguments.ddt, arguments.dz = map(Sequence.of, (dx, ddt, dz))
    arguments.dB, arguments.dC, arguments.dA = map(address, (dB, dC, dA))
    arguments.dD, arguments.ddt_bias, arguments.dinitial_state = map(address, (dD, dbias, dinitial))
    native.call("scan_backward", arguments)
    return [
        dx.to(x.dtype),
        ddt.to(dt.dtype),
        dA.sum(0),
        dB.sum(0).to(B.dtype),
        dC.sum(0).to(C.dtype),
        dD.sum(0),
        None if z is None else dz.to(z.dtype),
        None if dt_bias is None else dbias.sum(0),
        dinitial,
        None,
    ]


def _arguments(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None,
    dt_bias: Tensor | None,
    keep: Tensor | None,
) -> tuple[ScanArguments, list[Tensor | None]]:
    """What both directions read, and the tensors that must outlive the call."""
    if A.shape[1] > MAX_STATES:
        raise ValueError(f"d_state is {A.shape[1]}; the native scan holds at most {MAX_STATES}")
    sequences = [None if t is None else native.plain(t) for t in (x, dt, z, B, C)]
    vectors = [None if t is None else t.contiguous() for t in (A, D, dt_bias, keep)]
    arguments = ScanArguments(*x.shape, A.shape[1], *map(Sequence.of, sequences), *map(address, vectors))
    return arguments, sequences + vectors


def _saved_shape(x: Tensor, A: Tensor) -> list[int]:
    chunks, padded = -(-x.shape[1] // SCAN_CHUNK), -(-x.shape[2] // MAX_LANES) * MAX_LANES
    return [x.shape[0], chunks, padded, A.shape[1]]


def _fake(x: Tensor, dt: Tensor, A: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    *_, initial_state, _, save = others
    saved = A.new_empty(_saved_shape(x, A) if save else [0])
    return x.new_empty(x.shape), initial_state.new_empty(initial_state.shape), saved


_operator = register(
    "selective_scan_native", INPUTS, outputs=2, forward=_forward, backward=_backward, fake=_fake
)


def native_scan(*arguments: Any) -> tuple[Tensor, Tensor]:
    """A `Scan`."""
    y, final_state = _operator(*arguments)
    return y, final_state
