import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bhasa.ops.causal_conv import BACKENDS, causal_conv, causal_conv_step

LENGTHS = [1, 2, 3, 31, 32, 33, 63, 64, 65, 257]
OPTIONS = {
    "plain": (),
    "biased": ("bias",),
    "continued": ("initial_state",),
    "packed": ("segment_ids",),
    "all": ("bias", "initial_state", "segment_ids"),
}
CASES = [(n, name) for n in LENGTHS for name in ("plain", "all")] + [(65, name) for name in OPTIONS]


def make_case(length, *, batch=2, d=5, taps=4, options=()):
    generator = torch.Generator().manual_seed(0)
    case = {
        "x": torch.randn(batch, length, d, generator=generator),
        "weight": torch.randn(d, taps, generator=generator),
        "bias": torch.randn(d, generator=generator),
        "initial_state": torch.randn(batch, d, taps - 1, generator=generator),
        "segment_ids": (torch.rand(batch, length, generator=generator) < 0.2).cumsum(1),
    }
    left_out = {"bias", "initial_state", "segment_ids"} - set(options)
    return {name: None if name in left_out else value for name, value in case.items()}


CPU = torch.device("cpu")
AVAILABLE = BACKENDS.available()
DIFFERENTIABLE_IN_FLOAT64 = BACKENDS.available(CPU, torch.float64)


def close(found, expected):
    exact = found.dtype == torch.float64
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=1e-11 if exact else 1e-5)


def conv(case, backend, dtype=None):
    """In float64 where the backend can."""
    if dtype is None:
        dtype = torch.float64 if backend in DIFFERENTIABLE_IN_FLOAT64 else torch.float32
    values = {k: v.to(dtype) if v is not None and v.is_floating_point() else v for k, v in case.items()}
    return causal_conv(**values, backend=backend)


@pytest.mark.parametrize("taps", [2, 3, 4, 7])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("backend", AVAILABLE)
def test_it_is_the_convolution_of_pytorch(backend, length, taps):
    case = make_case(length, taps=taps, options=("bias", "initial_state"))
    y, state = conv(case, backend)
    x, weight, bias, before = (case[k].double() for k in ("x", "weight", "bias", "initial_state"))
    window = torch.cat([before, x.transpose(1, 2)], dim=-1)
    expected = F.silu(F.conv1d(window, weight[:, None], bias, groups=weight.shape[0])).transpose(1, 2)
    close(y, expected)
    assert torch.equal(state.double(), window[..., -(taps - 1) :])


@pytest.mark.parametrize(("length", "options"), CASES)
@pytest.mark.parametrize("backend", AVAILABLE)
def test_outputs_states_and_gradients(assert_as_exact_as_the_reference, backend, options, length):
    assert_as_exact_as_the_reference(causal_conv, make_case(length, options=OPTIONS[options]), backend)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backend", AVAILABLE)
def test_half_precision(assert_as_exact_as_the_reference, backend, dtype):
    case = make_case(65, options=OPTIONS["all"])
    assert_as_exact_as_the_reference(causal_conv, case, backend, dtype, floor=torch.finfo(dtype).eps)


@pytest.mark.parametrize("options", [OPTIONS["plain"], OPTIONS["all"]], ids=["plain", "all"])
@pytest.mark.parametrize("backend", DIFFERENTIABLE_IN_FLOAT64)
def test_gradients_by_finite_differences(backend, options):
    case = make_case(6, d=3, options=options)
    names = [name for name, value in case.items() if value is not None and value.is_floating_point()]

    def function(*values):
        return causal_conv(**(case | {"bias": None} | dict(zip(names, values, strict=True))), backend=backend)

    assert torch.autograd.gradcheck(function, [case[name].double().requires_grad_() for name in names])


@settings(max_examples=15, deadline=None)
@given(backend=st.sampled_from(sorted(AVAILABLE)), length=st.integers(2, 40), data=st.data())
def test_no_output_depends_on_the_future(backend, length, data):
    t = data.draw(st.integers(1, length - 1))
    case = make_case(length, options=OPTIONS["all"])
    changed = case | {"x": torch.cat([case["x"][:, :t], case["x"][:, t:] + 1], dim=1)}
    before, after = (conv(c, backend, torch.float32)[0] for c in (case, changed))
    assert torch.equal(before[:, :t], after[:, :t])
    assert not torch.equal(before[:, t], after[:, t])


@settings(max_examples=15, deadline=None)
@given(backend=st.sampled_from(sorted(AVAILABLE)), length=st.integers(2, 40), data=st.data())
def test_cut_anywhere_and_carry_the_state(backend, length, data):
    cut = data.draw(st.integers(1, length - 1))
    case = make_case(length, options=("bias", "initial_state"))
    y1, state = conv(case | {"x": case["x"][:, :cut]}, backend)
    y2, state = conv(case | {"x": case["x"][:, cut:], "initial_state": state}, backend)
    y, final = conv(case, backend)
    close(torch.cat([y1, y2], dim=1), y)
    assert torch.equal(state, final)


@settings(max_examples=15, deadline=None)
@given(
    backend=st.sampled_from(sorted(AVAILABLE)), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6)
)
def test_the_window_is_cut_between_packed_documents(backend, lengths):
    case = make_case(sum(lengths), batch=1, options=("bias", "initial_state"))
    ids = torch.cat([torch.full((n,), i) for i, n in enumerate(lengths)])[None]
    packed, _ = conv(case | {"segment_ids": ids}, backend)
    place = 0
    for number, n in enumerate(lengths):
        alone = case | {"x": case["x"][:, place : place + n]}
        y, _ = conv(alone if number == 0 else alone | {"initial_state": None}, backend)
        close(packed[:, place : place + n], y)
        place += n


@pytest.mark.parametrize("backend", AVAILABLE)
def test_a_step_is_a_convolution_of_one_token(backend):
    case = make_case(9, options=("bias",))
    y, final = conv(case, backend, torch.float32)
    state = torch.zeros(2, 5, 3)
    for t in range(9):
        step, state = causal_conv_step(case["x"][:, t], case["weight"], case["bias"], state=state)
        torch.testing.assert_close(step, y[:, t])
    assert torch.equal(state, final)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_the_state_does_not_hold_the_sequence(backend):
    _, state = conv(make_case(1000), backend, torch.float32)
    assert state.untyped_storage().nbytes() == 4 * state.numel()


@pytest.mark.parametrize("backend", AVAILABLE)
def test_twice_the_same_bits_on_any_number_of_threads(outputs_and_gradients, backend, threads):
    case = make_case(257, batch=3, d=150, options=OPTIONS["all"])
    found = outputs_and_gradients(causal_conv, case, torch.float32, backend=backend)
    torch.set_num_threads(1)
    single = outputs_and_gradients(causal_conv, case, torch.float32, backend=backend)
    assert all(torch.equal(found[name], single[name]) for name in found)
