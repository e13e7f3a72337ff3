"""The Triton kernels: in Triton's interpreter where there is no GPU, compiled where there is one."""

import os
import subprocess
import sys

import pytest
import torch

from bhasa.ops import segments
from bhasa.ops.causal_conv import causal_conv
from bhasa.ops.selective_scan import selective_scan
from bhasa.ops.selective_scan.interface import ScanInputs

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip(
        "Triton's interpreter must be chosen before anything imports triton: test_interpreted.py does that",
        allow_module_level=True,
    )
scan_kernels = pytest.importorskip(
    "bhasa.ops.selective_scan.triton_kernels", reason="triton is not installed"
)
conv_kernels = pytest.importorskip("bhasa.ops.causal_conv.triton_kernels", reason="triton is not installed")

LENGTHS = [1, 2, 3, 31, 32, 33, 65]
SCAN_OPTIONS = {
    "plain": (),
    "gated": ("z",),
    "biased": ("dt_bias",),
    "continued": ("initial_state",),
    "packed": ("segment_ids",),
    "all": ("z", "dt_bias", "initial_state", "segment_ids"),
}
CONV_OPTIONS = {
    "plain": (),
    "biased": ("bias",),
    "continued": ("initial_state",),
    "packed": ("segment_ids",),
    "all": ("bias", "initial_state", "segment_ids"),
}

# Triton's interpreter cuts a float32 off where a bfloat16 ends; every GPU rounds it to the nearest.
ROUNDING = {torch.bfloat16: torch.finfo(torch.bfloat16).eps} if DEVICE == "cpu" else {}


def to_device(values, backend):
    """Where a backend computes."""
    device = DEVICE if backend == "triton" else "cpu"
    return {name: None if value is None else value.to(device) for name, value in values.items()}


def scan(backend="triton", **case):
    y, final = selective_scan(**to_device(case, backend), backend=backend)
    return y.cpu(), final.cpu()


def conv(backend="triton", **case):
    y, final = causal_conv(**to_device(case, backend), backend=backend)
    return y.cpu(), final.cpu()


def scan_case(length, *, batch=1, d=5, n=3, options="all"):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    case = {
        "x": normal(batch, length, d),
        "dt": normal(batch, length, d),
        "A": -torch.exp(normal(d, n)),
        "B": normal(batch, length, n),
        "C": normal(batch, length, n),
        "D": normal(d),
        "z": normal(batch, length, d),
        "dt_bias": normal(d),
        "initial_state": normal(batch, d, n),
        "segment_ids": (torch.rand(batch, length, generator=generator) < 0.2).cumsum(1),
    }
    left_out = set(SCAN_OPTIONS["all"]) - set(SCAN_OPTIONS[options])
    return {name: None if name in left_out else value for name, value in case.items()}


def conv_case(length, *, batch=2, d=5, taps=4, options="all"):
    generator = torch.Generator().manual_seed(0)
    case = {
        "x": torch.randn(batch, length, d, generator=generator),
        "weight": torch.randn(d, taps, generator=generator),
        "bias": torch.randn(d, generator=generator),
        "initial_state": torch.randn(batch, d, taps - 1, generator=generator),
        "segment_ids": (torch.rand(batch, length, generator=generator) < 0.2).cumsum(1),
    }
    left_out = set(CONV_OPTIONS["all"]) - set(CONV_OPTIONS[options])
    return {name: None if name in left_out else value for name, value in case.items()}


def views(value, width):
    """The same numbers as a slice of rows that are `width` wide and of a batch laid out time first."""
    batch, length, d = value.shape
    wide = torch.full((length, batch, width), torch.nan, dtype=value.dtype)
    wide[:, :, 1 : d + 1] = value.transpose(0, 1)
    return wide.transpose(0, 1)[:, :, 1 : d + 1]


@pytest.mark.parametrize("length", LENGTHS)
def test_scans_of_any_length(assert_as_exact_as_the_reference, length):
    assert_as_exact_as_the_reference(scan, scan_case(length), "triton")


@pytest.mark.parametrize("options", SCAN_OPTIONS)
def test_scans_with_any_options(assert_as_exact_as_the_reference, options):
    assert_as_exact_as_the_reference(scan, scan_case(34, options=options), "triton")


@pytest.mark.parametrize(("d", "n"), [(1, 1), (3, 16), (17, 17), (100, 3)])
def test_scans_of_odd_widths_and_state_sizes(assert_as_exact_as_the_reference, d, n):
    assert_as_exact_as_the_reference(scan, scan_case(5, batch=2, d=d, n=n), "triton")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_scans_are_computed_in_float32(assert_as_exact_as_the_reference, dtype):
    case = scan_case(34)
    assert_as_exact_as_the_reference(scan, case, "triton", dtype, floor=ROUNDING.get(dtype, 1e-4))
    y, state = scan(**{k: v.to(dtype) if k in ("x", "B", "C", "z") else v for k, v in case.items()})
    assert (y.dtype, state.dtype) == (dtype, torch.float32)


def test_scans_of_slices(outputs_and_gradients):
    case = scan_case(10, batch=2)
    sliced = {k: views(v, 9) if k in ("x", "dt", "B", "C", "z") else v for k, v in case.items()}
    first, second = (outputs_and_gradients(scan, c, torch.float32) for c in (case, sliced))
    assert sliced["x"].stride() == (9, 18, 1)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_gradient_that_is_one_number_expanded():
    x = scan_case(5)["x"].requires_grad_()
    y, _ = scan(**scan_case(5) | {"x": x})
    (found,) = torch.autograd.grad(y.sum(), x)
    y, _ = scan(**scan_case(5) | {"x": x}, backend="reference")
    torch.testing.assert_close(found, torch.autograd.grad(y.sum(), x)[0])


def test_launches_that_follow_each_other_give_the_bits_of_one(outputs_and_gradients, monkeypatch):
    case = scan_case(18, d=2, n=2)
    monkeypatch.setattr(scan_kernels, "CHUNK", 4)
    at_once = outputs_and_gradients(scan, case, torch.float32)
    monkeypatch.setattr(scan_kernels, "SLAB", 2)
    in_three = outputs_and_gradients(scan, case, torch.float32)
    assert all(torch.equal(at_once[name], in_three[name]) for name in at_once)


def test_only_the_state_before_each_chunk_is_kept():
    case = scan_case(33)
    keep = ~segments.starts(case.pop("segment_ids"))
    inputs = ScanInputs(*(value.to(DEVICE) for value in (*case.values(), keep)))
    y, final, states = scan_kernels.scan_forward(inputs, save_states=True)
    assert states.shape == (1, 2, 5, 3)
    assert torch.equal(states[:, 0].cpu(), case["initial_state"])
    y_alone, final_alone, none = scan_kernels.scan_forward(inputs, save_states=False)
    assert none.numel() == 0
    assert torch.equal(y, y_alone)
    assert torch.equal(final, final_alone)


@pytest.mark.parametrize("a", [0.0, -1e-8, -1e4])
@pytest.mark.parametrize("dt", [1e3, -1e3])
def test_values_seen_in_the_wild(assert_as_exact_as_the_reference, dt, a):
    case = scan_case(34, d=2, n=2, options="gated")
    wild = case | {
        "dt": case["dt"] + dt,
        "A": torch.full_like(case["A"], a),
        "B": 20 * case["B"],
        "C": 20 * case["C"],
        "z": 50 * case["z"],
    }
    assert_as_exact_as_the_reference(scan, wild, "triton")  # finite, therefore, as the reference is


def test_small_steps_are_as_exact_as_large_ones(assert_as_exact_as_the_reference):
    case = scan_case(9, d=3, n=2, options="continued")
    for shift in (-4.0, -9.0, -14.0):  # softplus of about 2e-2, 1e-4, 1e-6
        assert_as_exact_as_the_reference(scan, case | {"dt": case["dt"] + shift}, "triton")


def test_nan_in_an_input_reaches_the_output():
    case = scan_case(8, options="gated")
    for name in ("x", "dt", "B"):
        broken = case | {name: case[name].clone()}
        broken[name][:, 5] = torch.nan
        y, state = scan(**broken)
        assert y[:, :5].isfinite().all()
        assert y[:, 5:].isnan().all()
        assert state.isnan().all()


def test_twice_the_same_bits(outputs_and_gradients):
    for function, case in ((scan, scan_case(6, d=33, n=4)), (conv, conv_case(40, d=70))):
        first, second = (outputs_and_gradients(function, case, torch.float32) for _ in range(2))
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("length", LENGTHS)
def test_convolutions_of_any_length(assert_as_exact_as_the_reference, length):
    assert_as_exact_as_the_reference(conv, conv_case(length), "triton")


@pytest.mark.parametrize("options", CONV_OPTIONS)
def test_convolutions_with_any_options(assert_as_exact_as_the_reference, options):
    assert_as_exact_as_the_reference(conv, conv_case(65, options=options), "triton")


@pytest.mark.parametrize(("d", "taps"), [(1, 2), (3, 3), (17, 7), (70, 16)])
def test_convolutions_of_odd_widths_and_windows(assert_as_exact_as_the_reference, d, taps):
    for length in (2, 20):  # shorter and longer than the window
        assert_as_exact_as_the_reference(conv, conv_case(length, d=d, taps=taps), "triton")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_convolutions(assert_as_exact_as_the_reference, dtype):
    assert_as_exact_as_the_reference(conv, conv_case(65), "triton", dtype, floor=torch.finfo(dtype).eps)


def test_convolutions_of_slices(outputs_and_gradients):
    case = conv_case(40)
    sliced = case | {"x": views(case["x"], 9), "initial_state": views(case["initial_state"], 5)}
    first, second = (outputs_and_gradients(conv, c, torch.float32) for c in (case, sliced))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_large_sums_do_not_overflow_the_gate(outputs_and_gradients):
    case = conv_case(9)
    for name, value in outputs_and_gradients(conv, case | {"x": 1e4 * case["x"]}, torch.float32).items():
        assert value.isfinite().all(), name


COMPILE = """
import functools, itertools, torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver, jit

class AGpuThatIsNotThere:
    get_current_target = staticmethod(lambda: GPUTarget("cuda", 90, 32))
    get_current_device = staticmethod(lambda: 0)
    get_current_stream = staticmethod(lambda device: 0)

driver.set_active(AGpuThatIsNotThere())
jit.JITFunction.__getitem__ = lambda kernel, grid: functools.partial(kernel.warmup, grid=grid)

from bhasa.ops.causal_conv.triton_kernels import conv_backward, conv_forward
from bhasa.ops.causal_conv.interface import ConvInputs
from bhasa.ops.selective_scan.triton_kernels import scan_backward, scan_forward
from bhasa.ops.selective_scan.interface import ScanInputs

b, l, d, n = 2, 40, 48, 16
for dtype, full in ((torch.bfloat16, True), (torch.float32, False)):
    x, B, h, v = (torch.ones(*shape, dtype=dtype) for shape in ((b, l, d), (b, l, n), (b, d, 3), (d,)))
    A, D, state = torch.ones(d, n), torch.ones(d), torch.ones(b, d, n)
    z, bias, keep, ids = (x, D, x[..., 0] > 0, x[..., 0].long()) if full else (None,) * 4
    scan = ScanInputs(x, x.float(), A, B, B, D, z, bias, state, keep)
    scan_forward(scan, full)
    scan_backward(x, state, scan, torch.ones(b, 2, d, n))
    conv = ConvInputs(x, torch.ones(d, 4), bias, h, ids)
    conv_forward(conv)
    conv_backward(x, conv)
"""


def test_the_compiler_accepts_every_kernel_for_a_gpu_that_is_not_there(tmp_path):
    """Translated down to machine code of compute capability 9.0, as a launch would; nothing is launched."""
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", COMPILE], env=environment, check=True)
