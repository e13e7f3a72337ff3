"""The native kernels, in the version for each instruction set that this processor runs."""

import ctypes
import re
from pathlib import Path

import pytest
import torch

from bhasa.errors import UserError
from bhasa.ops import native
from bhasa.ops.causal_conv import causal_conv
from bhasa.ops.causal_conv.interface import ConvInputs
from bhasa.ops.causal_conv.native import native_conv
from bhasa.ops.cross_entropy import cross_entropy
from bhasa.ops.native import structures
from bhasa.ops.operations import implementations
from bhasa.ops.rms_norm import rms_norm
from bhasa.ops.selective_scan import selective_scan
from bhasa.ops.selective_scan.interface import ScanInputs
from bhasa.ops.selective_scan.native import native_scan
from bhasa.ops.ssd import ssd

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(
    native.missing(CPU, torch.float32) is not None, reason="the kernels are not built"
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def scan_case(length, d, n):
    return {
        "x": normal(2, length, d),
        "dt": normal(2, length, d, seed=1) - 2,
        "A": -torch.exp(normal(d, n)),
        "B": normal(2, length, n, seed=2),
        "C": normal(2, length, n, seed=3),
        "D": normal(d),
        "z": normal(2, length, d, seed=4),
        "dt_bias": normal(d, seed=5),
        "initial_state": normal(2, d, n),
        "segment_ids": torch.arange(length).div(50, rounding_mode="floor").repeat(2, 1),
    }


@pytest.mark.parametrize(("length", "d", "n"), [(65, 70, 16), (130, 16, 5), (33, 3, 17)])
def test_the_scan(assert_as_exact_as_the_reference, native_version, length, d, n):
    assert_as_exact_as_the_reference(selective_scan, scan_case(length, d, n), "native")


@pytest.mark.parametrize(
    ("length", "heads", "p", "groups", "n"), [(65, 12, 16, 2, 16), (130, 6, 33, 1, 48), (33, 12, 3, 3, 17)]
)
def test_the_duality(assert_as_exact_as_the_reference, native_version, length, heads, p, groups, n):
    case = {
        "x": normal(2, length, heads, p),
        "dt": normal(2, length, heads, seed=1) - 2,
        "A": -torch.exp(normal(heads)),
        "B": normal(2, length, groups, n, seed=2),
        "C": normal(2, length, groups, n, seed=3),
        "D": normal(heads),
        "dt_bias": normal(heads, seed=5),
        "initial_state": normal(2, heads, p, n),
        "segment_ids": torch.arange(length).div(50, rounding_mode="floor").repeat(2, 1),
    }
    assert_as_exact_as_the_reference(ssd, case, "native")


@pytest.mark.parametrize(("length", "d", "taps"), [(130, 70, 4), (65, 3, 7), (2, 16, 4)])
def test_the_convolution(assert_as_exact_as_the_reference, native_version, length, d, taps):
    case = {
        "x": normal(2, length, d),
        "weight": normal(d, taps),
        "bias": normal(d, seed=1),
        "initial_state": normal(2, d, taps - 1),
        "segment_ids": torch.arange(length).div(50, rounding_mode="floor").repeat(2, 1),
    }
    assert_as_exact_as_the_reference(causal_conv, case, "native")


def test_norm_and_loss(native_version):
    x, weight, targets = normal(70, 33), normal(301, 33, seed=1), torch.arange(70)
    exact = rms_norm(x.double(), weight[0].double(), 1e-5)
    torch.testing.assert_close(
        rms_norm(x, weight[0], 1e-5, backend="native").double(), exact, rtol=1e-5, atol=1e-6
    )
    exact = cross_entropy(x.double(), weight.double(), targets)
    torch.testing.assert_close(
        cross_entropy(x, weight, targets, backend="native").double(), exact, rtol=1e-6, atol=0
    )


def test_a_version_that_does_not_exist_is_not_chosen():
    assert native.choose("sse9") is None
    assert native.choose("") in ("avx512", "avx2", "portable")


def test_the_limits_are_those_of_the_header():
    header = (Path(native.__file__).parent / "arguments.h").read_text()
    constants = dict(re.findall(r"constexpr int (\w+) = (\d+);", header))
    for name in (
        "SCAN_GROUP",
        "SCAN_CHUNK",
        "ROW_BLOCK",
        "MAX_STATES",
        "MAX_TAPS",
        "MAX_LANES",
        "SSD_CHUNK",
        "SSD_HEADS",
        "ATTENTION_BLOCK",
        *("DECODE_MAMBA", "DECODE_MAMBA2", "DECODE_ATTENTION", "DECODE_MLP"),
    ):
        assert getattr(structures, name) == int(constants[name])


STRUCTURES = {
    name: kind
    for name, kind in vars(structures).items()
    if isinstance(kind, type) and issubclass(kind, ctypes.Structure) and kind is not ctypes.Structure
}
C_TYPES = {"int64_t": ctypes.c_int64, "float": ctypes.c_float} | STRUCTURES


def fields_of(body):
    """(name, ctypes type) of each field that a structure's body in C declares."""
    for declaration in re.sub(r"//.*", "", body).split(";"):
        if not declaration.strip():
            continue
        base, declarators = re.fullmatch(r"\s*(?:const )?(\w+)(.*)", declaration, re.DOTALL).groups()
        for declarator in declarators.split(","):
            name = declarator.replace("*", "").strip()
            yield name, ctypes.c_void_p if "*" in declarator else C_TYPES[base]


def test_the_structures_are_those_of_the_header_and_of_the_library():
    header = (Path(native.__file__).parent / "arguments.h").read_text()
    bodies = dict(re.findall(r"struct (\w+) \{(.*?)\n\};", header, re.DOTALL))
    assert bodies.keys() == STRUCTURES.keys()
    for name, kind in STRUCTURES.items():
        ours = [(field, structures.POINTER if is_pointer(of) else of) for field, of in kind._fields_]
        assert ours == list(fields_of(bodies[name])), name
        assert native.size_of(name) == ctypes.sizeof(kind), name
    assert native.size_of("Other") == 0


def is_pointer(kind):
    return kind is ctypes.c_void_p or hasattr(kind, "contents")


def test_asking_which_version_is_in_use_changes_nothing(native_version):
    assert native.current() == native_version
    assert implementations(CPU)["rms_norm"] == f"native {native_version}"
    assert native.current() == native_version


def test_no_address_is_given_of_what_a_kernel_would_read_wrongly():
    tensor = normal(2, 3, 4)
    for wrong in (tensor.mT, tensor[..., ::2]):
        with pytest.raises(ValueError, match="strides"):
            native.address(wrong)
        with pytest.raises(ValueError, match="strides"):
            native.Sequence.of(wrong)


def test_what_the_kernels_do_not_hold_is_refused():
    x, B, state = normal(1, 4, 8), normal(1, 4, 257), normal(1, 8, 257)
    with pytest.raises(UserError, match="d_conv of at most 16, not 17"):
        causal_conv(x, normal(8, 17), None, backend="native")
    with pytest.raises(UserError, match="d_state of at most 256, not 257"):
        selective_scan(x, x, -normal(8, 257).exp(), B, B, normal(8), backend="native")
    # So are the operators themselves, which would write beyond their memory.
    with pytest.raises(ValueError, match="at most 16 taps"):
        native_conv(ConvInputs(x, normal(8, 17), None, normal(1, 8, 16), None))
    with pytest.raises(ValueError, match="at most 256"):
        native_scan(ScanInputs(x, x, -normal(8, 257).exp(), B, B, normal(8), None, None, state, None))


def wrong_shapes():
    """Calls of native operations with one argument longer or shorter than the others say."""
    scan = scan_case(6, 4, 3) | {"segment_ids": None}
    for name in ("dt", "B", "C", "z"):
        yield f"scan {name}", lambda n=name: selective_scan(**scan | {n: scan[n][:, :5]}, backend="native")
    for name in ("A", "D", "dt_bias"):
        yield f"scan {name}", lambda n=name: selective_scan(**scan | {n: scan[n][:3]}, backend="native")
    state = {"initial_state": normal(2, 4, 2)}
    yield "scan initial_state", lambda: selective_scan(**scan | state, backend="native")
    x, dt, A, B = normal(2, 6, 4, 8), normal(2, 6, 4), -normal(4).exp(), normal(2, 6, 2, 3)
    yield "ssd dt", lambda: ssd(x, dt[:, :5], A, B, B, A, backend="native")
    yield "ssd B", lambda: ssd(x, dt, A, B[:, :5], B, A, backend="native")
    yield "ssd C", lambda: ssd(x, dt, A, B, B[..., :2], A, backend="native")
    yield "ssd D", lambda: ssd(x, dt, A, B, B, A[:3], backend="native")
    x, weight = normal(2, 6, 4), normal(4, 3)
    yield "conv weight", lambda: causal_conv(x, weight[:3], None, backend="native")
    yield "conv bias", lambda: causal_conv(x, weight, normal(3), backend="native")
    before = normal(2, 4, 1)
    yield "conv initial_state", lambda: causal_conv(x, weight, None, initial_state=before, backend="native")
    yield "norm weight", lambda: rms_norm(x, normal(3), 1e-5, backend="native")
    yield "norm z", lambda: rms_norm(x, normal(4), 1e-5, z=x[:, :5], backend="native")
    yield "norm groups", lambda: rms_norm(x, normal(4), 1e-5, groups=3, backend="native")
    targets = torch.zeros(2, 5, dtype=torch.int64)
    yield "loss targets", lambda: cross_entropy(x, normal(50, 4), targets, backend="native")


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in wrong_shapes()])
def test_shapes_that_do_not_fit_are_refused_and_not_read_beyond(call):
    with pytest.raises((ValueError, RuntimeError)):
        call()
