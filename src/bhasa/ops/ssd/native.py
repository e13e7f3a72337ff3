"""The operation in native code: `ops/native/ssd.h` is the text to read."""

from torch import Tensor

from bhasa.ops import native
from bhasa.ops.native import Sequence, SsdArguments, address, require_shapes
from bhasa.ops.native.structures import MAX_LANES, SSD_CHUNK, SSD_HEADS
from bhasa.ops.operators import register
from bhasa.ops.ssd.interface import Ssd, SsdInputs


def _forward(inputs: SsdInputs, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    x, A = inputs.x, inputs.A
    arguments, _alive = _arguments(inputs)
    y, final_state = A.new_empty(x.shape), A.new_empty(inputs.initial_state.shape)
    saved = A.new_empty(_saved_shape(inputs) if save else [0])
    arguments.y, arguments.final_state = Sequence.of(y.flatten(2)), address(final_state)
    arguments.saved = address(saved) if save else None
    native.call("ssd_forward", arguments)
    return y.to(x.dtype), final_state, saved


def _backward(dy: Tensor, dfinal: Tensor, inputs: SsdInputs, saved: Tensor) -> list[Tensor | None]:
    x, dt, A, B, C, _, initial_state, _ = inputs
    arguments, _alive = _arguments(inputs)
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


def _arguments(inputs: SsdInputs) -> tuple[SsdArguments, list[Tensor | None]]:
    """What both directions read, and the tensors that must outlive the call."""
    x, dt, A, B, C, D, initial_state, keep = inputs
    (batch, length, heads, p), (groups, n) = x.shape, B.shape[2:]
    require_shapes((batch, length, heads), dt=dt)
    require_shapes((batch, length, groups, n), B=B, C=C)
    require_shapes((heads,), A=A, D=D)
    require_shapes((batch, heads, p, n), initial_state=initial_state)
    require_shapes((batch, length), keep=keep)
    sequences = [native.plain(t) for t in (x.flatten(2), dt, B.flatten(2), C.flatten(2))]
    vectors = [None if t is None else t.contiguous() for t in (A, D, keep, initial_state)]
    arguments = SsdArguments(*x.shape, *B.shape[2:], *map(Sequence.of, sequences), *map(address, vectors))
    return arguments, sequences + vectors


def _saved_shape(inputs: SsdInputs) -> list[int]:
    batch, length, heads, p = inputs.x.shape
    n, p = (-(-size // MAX_LANES) * MAX_LANES for size in (inputs.B.shape[3], p))
    return [batch, heads, -(-length // SSD_CHUNK), n, p]


def _fake(inputs: SsdInputs, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    saved = inputs.A.new_empty(_saved_shape(inputs) if save else [0])
    return inputs.x.new_empty(inputs.x.shape), inputs.A.new_empty(inputs.initial_state.shape), saved


native_ssd: Ssd = register(
    "ssd_native", SsdInputs, outputs=2, forward=_forward, backward=_backward, fake=_fake
)
