"""The operation in native code: `ops/native/ssd.h` is the text to read."""

from typing import Any

import torch
from torch import Tensor

from bhasa.ops import native
from bhasa.ops.native import Sequence, SsdArguments, address
from bhasa.ops.native.structures import MAX_LANES, SSD_CHUNK, SSD_HEADS
from bhasa.ops.operators import register
from bhasa.ops.ssd.twin import INPUTS


def _forward(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    initial_state: Tensor,
    keep: Tensor | None,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    arguments, _alive = _arguments(x, dt, A, B, C, D, keep)
    y, saved = A.new_empty(x.shape), A.new_empty(_saved_shape(x, B) if save else [0])
    initial_state = initial_state.contiguous()
    final_state = torch.empty_like(initial_state)
    arguments.initial_state, arguments.final_state = address(initial_state), address(final_state)
    arguments.saved = address(saved) if save else None
    arguments.y = Sequence.of(y.flatten(2))
    native.call("ssd_forward", arguments)
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
    initial_state: Tensor,
    keep: Tensor | None,
    saved: Tensor,
) -> list[Tensor | None]:
    arguments, _alive = _arguments(x, dt, A, B, C, D, keep)
    dy, dfinal = native.plain(dy.flatten(2)), dfinal.contiguous()
    blocks = -(-x.shape[2] // B.shape[2] // SSD_HEADS)  # of each group's heads
    dx, ddt, dinitial = A.new_empty(x.shape), A.new_empty(dt.shape), A.new_empty(initial_state.shape)
    dB, dC = (A.new_empty(blocks, *B.shape) for _ in range(2))
    dA, dD = (A.new_empty(x.shape[0], x.shape[2]) for _ in range(2))
    arguments.saved, arguments.y, arguments.final_state = address(saved), Sequence.of(dy), address(dfinal)
    arguments.dx, arguments.ddt = Sequence.of(dx.flatten(2)), Sequence.of(ddt)
    arguments.dB, arguments.dC, arguments.dA, arguments.dD = map(address, (dB, dC, dA, dD))
    arguments.dinitial_state = address(dinitial)
    native.call("ssd_backward", arguments)
    dB, dC = dB.sum(0).to(B.dtype), dC.sum(0).to(C.dtype)
    return [dx.to(x.dtype), ddt, dA.sum(0), dB, dC, dD.sum(0), dinitial, None]


def _arguments(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, keep: Tensor | None
) -> tuple[SsdArguments, list[Tensor | None]]:
    """What both directions read, and the tensors that must outlive the call."""
    sequences = [native.plain(t) for t in (x.flatten(2), dt, B.flatten(2), C.flatten(2))]
    vectors = [None if t is None else t.contiguous() for t in (A, D, keep)]
    arguments = SsdArguments(*x.shape, *B.shape[2:], *map(Sequence.of, sequences), *map(address, vectors))
    return arguments, sequences + vectors


def _saved_shape(x: Tensor, B: Tensor) -> list[int]:
    batch, length, heads, p = x.shape
    n, p = (-(-size // MAX_LANES) * MAX_LANES for size in (B.shape[3], p))
    return [batch, heads, -(-length // SSD_CHUNK), n, p]


def _fake(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    *_, initial_state, _, save = others
    saved = A.new_empty(_saved_shape(x, B) if save else [0])
    return x.new_empty(x.shape), initial_state.new_empty(initial_state.shape), saved


_operator = register("ssd_native", INPUTS, outputs=2, forward=_forward, backward=_backward, fake=_fake)


def native_ssd(*arguments: Any) -> tuple[Tensor, Tensor]:
    """An `Ssd`."""
    y, final_state = _operator(*arguments)
    return y, final_state
