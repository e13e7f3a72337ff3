"""The scan in native code: `ops/native/scan.h` and `scan_backward.h` are the text to read."""

from torch import Tensor

from bhasa.ops import native
from bhasa.ops.native import ScanArguments, Sequence, address, require_shapes
from bhasa.ops.native.structures import MAX_LANES, MAX_STATES, SCAN_CHUNK, SCAN_GROUP
from bhasa.ops.operators import register
from bhasa.ops.selective_scan.interface import Scan, ScanInputs


def _forward(inputs: ScanInputs, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    x, A = inputs.x, inputs.A
    arguments, _alive = _arguments(inputs)
    y, final_state = A.new_empty(x.shape), A.new_empty(inputs.initial_state.shape)
    # Zeros for padded widths: not every number of the padding is written.
    saved = (A.new_zeros if x.shape[2] % MAX_LANES else A.new_empty)(_saved_shape(inputs) if save else [0])
    arguments.y, arguments.final_state = Sequence.of(y), address(final_state)
    arguments.saved = address(saved) if save else None
    native.call("scan_forward", arguments)
    return y.to(x.dtype), final_state, saved


def _backward(dy: Tensor, dfinal: Tensor, inputs: ScanInputs, saved: Tensor) -> list[Tensor | None]:
    x, dt, A, B, C, _, z, dt_bias, _, _ = inputs
    batch, length, d, n = *x.shape, A.shape[1]
    arguments, _alive = _arguments(inputs)
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


def _arguments(inputs: ScanInputs) -> tuple[ScanArguments, list[Tensor | None]]:
    """What both directions read, and the tensors that must outlive the call."""
    x, dt, A, B, C, D, z, dt_bias, initial_state, keep = inputs
    if A.shape[1] > MAX_STATES:
        raise ValueError(f"d_state is {A.shape[1]}; the native scan holds at most {MAX_STATES}")
    (batch, length, d), n = x.shape, A.shape[1]
    require_shapes((batch, length, d), dt=dt, z=z)
    require_shapes((batch, length, n), B=B, C=C)
    require_shapes((d,), D=D, dt_bias=dt_bias)
    require_shapes((d, n), A=A)
    require_shapes((batch, d, n), initial_state=initial_state)
    require_shapes((batch, length), keep=keep)
    sequences = [None if t is None else native.plain(t) for t in (x, dt, z, B, C)]
    vectors = [None if t is None else t.contiguous() for t in (A, D, dt_bias, keep, initial_state)]
    arguments = ScanArguments(*x.shape, A.shape[1], *map(Sequence.of, sequences), *map(address, vectors))
    return arguments, sequences + vectors


def _saved_shape(inputs: ScanInputs) -> list[int]:
    (batch, length, d), n = inputs.x.shape, inputs.A.shape[1]
    return [batch, -(-length // SCAN_CHUNK), -(-d // MAX_LANES) * MAX_LANES, n]


def _fake(inputs: ScanInputs, save: bool) -> tuple[Tensor, Tensor, Tensor]:
    saved = inputs.A.new_empty(_saved_shape(inputs) if save else [0])
    return inputs.x.new_empty(inputs.x.shape), inputs.A.new_empty(inputs.initial_state.shape), saved


native_scan: Scan = register(
    "selective_scan_native", ScanInputs, outputs=2, forward=_forward, backward=_backward, fake=_fake
)
