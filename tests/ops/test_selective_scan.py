import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.ops.selective_scan import BACKENDS, selective_scan, selective_step

LENGTHS = [1, 2, 3, 31, 32, 33, 63, 64, 65, 257]
OPTIONS = {
    "plain": (),
    "gated": ("z",),
    "biased": ("dt_bias",),
    "continued": ("initial_state",),
    "packed": ("segment_ids",),
    "all": ("z", "dt_bias", "initial_state", "segment_ids"),
}
CASES = [(n, name) for n in LENGTHS for name in ("plain", "all")] + [(65, name) for name in OPTIONS]


def make_case(length, *, batch=2, d=5, n=3, options=(), seed=0):
    generator = torch.Generator().manual_seed(seed)

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
    left_out = {"z", "dt_bias", "initial_state", "segment_ids"} - set(options)
    return {name: None if name in left_out else value for name, value in case.items()}


def by_hand(case):
    """The recurrence, one number at a time."""
    case = {name: None if value is None else value.double() for name, value in case.items()}
    batch, length, d = case["x"].shape
    n = case["A"].shape[1]
    y = torch.zeros(batch, length, d, dtype=torch.float64)
    state = torch.zeros(batch, d, n, dtype=torch.float64)
    for b in range(batch):
        for c in range(d):
            h = [
                0.0 if case["initial_state"] is None else float(case["initial_state"][b, c, s])
                for s in range(n)
            ]
            segment = 0
            for t in range(length):
                if case["segment_ids"] is not None and int(case["segment_ids"][b, t]) != segment:
                    segment, h = int(case["segment_ids"][b, t]), [0.0] * n
                bias = 0.0 if case["dt_bias"] is None else float(case["dt_bias"][c])
                dt, x = math.log1p(math.exp(float(case["dt"][b, t, c]) + bias)), float(case["x"][b, t, c])
                for s in range(n):
                    decay = math.exp(dt * float(case["A"][c, s]))
                    h[s] = decay * h[s] + dt * float(case["B"][b, t, s]) * x
                y[b, t, c] = sum(h[s] * float(case["C"][b, t, s]) for s in range(n)) + float(case["D"][c]) * x
                if case["z"] is not None:
                    z = float(case["z"][b, t, c])
                    y[b, t, c] *= z / (1 + math.exp(-z))
            state[b, c] = torch.tensor(h, dtype=torch.float64)
    return y, state


def close(found, expected):
    exact = found.dtype == torch.float64
    torch.testing.assert_close(found, expected, **({} if exact else {"rtol": 1e-4, "atol": 1e-5}))


CPU = torch.device("cpu")
AVAILABLE = BACKENDS.available()
DIFFERENTIABLE_IN_FLOAT64 = BACKENDS.available(CPU, torch.float64)


def scan(case, backend, dtype=None):
    """In float64 where the backend can."""
    if dtype is None:
        dtype = torch.float64 if backend in DIFFERENTIABLE_IN_FLOAT64 else torch.float32
    values = {k: v.to(dtype) if v is not None and v.is_floating_point() else v for k, v in case.items()}
    return selective_scan(**values, backend=backend)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("backend", AVAILABLE)
def test_the_recurrence_as_written(assert_close, backend, options):
    case = make_case(35, options=options)
    for found, expected in zip(scan(case, backend), by_hand(case), strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize("options", [OPTIONS["plain"], OPTIONS["all"]], ids=["plain", "all"])
@pytest.mark.parametrize("backend", DIFFERENTIABLE_IN_FLOAT64)
def test_gradients_by_finite_differences(backend, options):
    case = make_case(5, d=2, n=3, options=options)
    names = [name for name, value in case.items() if value is not None and value.is_floating_point()]

    def function(*values):
        return selective_scan(**(case | dict(zip(names, values, strict=True))), backend=backend)

    assert torch.autograd.gradcheck(function, [case[name].double().requires_grad_() for name in names])


@pytest.mark.parametrize(("length", "options"), CASES)
@pytest.mark.parametrize("backend", AVAILABLE)
def test_outputs_states_and_gradients(assert_as_exact_as_the_reference, backend, options, length):
    assert_as_exact_as_the_reference(selective_scan, make_case(length, options=OPTIONS[options]), backend)


@pytest.mark.parametrize("backend", [name for name in AVAILABLE if name != "reference"])
def test_a_long_sequence(assert_as_exact_as_the_reference, backend):
    case = make_case(2048, batch=1, d=17, n=16, options=OPTIONS["all"])
    assert_as_exact_as_the_reference(selective_scan, case, backend)


@pytest.mark.parametrize(("batch", "d", "n"), [(1, 1, 1), (1, 3, 16), (3, 17, 8), (2, 100, 17), (2, 1, 64)])
@pytest.mark.parametrize("backend", AVAILABLE)
def test_odd_widths_and_state_sizes(assert_as_exact_as_the_reference, backend, batch, d, n):
    assert_as_exact_as_the_reference(
        selective_scan, make_case(40, batch=batch, d=d, n=n, options=OPTIONS["all"]), backend
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backend", AVAILABLE)
def test_half_precision_inputs_are_computed_in_float32(assert_as_exact_as_the_reference, backend, dtype):
    case = make_case(70, options=("z", "segment_ids"))
    assert_as_exact_as_the_reference(selective_scan, case, backend, dtype, floor=1e-4)
    y, state = scan(case, backend, dtype)
    assert (y.dtype, state.dtype) == (dtype, torch.float32)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_autocast_does_not_reach_inside(backend):
    case = make_case(40, options=OPTIONS["all"])
    outside = scan(case, backend, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = scan(case, backend, torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))


@pytest.mark.parametrize("backend", AVAILABLE)
def test_inputs_of_any_layout(backend):
    case = make_case(40, options=OPTIONS["all"])
    strided = {
        name: value.transpose(0, 1).contiguous().transpose(0, 1)
        if name in ("x", "dt", "B", "C", "z")
        else value
        for name, value in case.items()
    }
    for found, expected in zip(scan(strided, backend), scan(case, backend), strict=True):
        torch.testing.assert_close(found, expected)


@settings(max_examples=15, deadline=None)
@given(backend=st.sampled_from(sorted(AVAILABLE)), length=st.integers(2, 80), data=st.data())
def test_no_output_depends_on_the_future(backend, length, data):
    t = data.draw(st.integers(1, length - 1))
    case = make_case(length, options=("z", "segment_ids"))
    changed = dict(case)
    for name in ("x", "dt", "B", "C", "z"):
        changed[name] = torch.cat([case[name][:, :t], 3 * case[name][:, t:] + 1], dim=1)
    changed["segment_ids"] = torch.cat([case["segment_ids"][:, :t], case["segment_ids"][:, t:] + 1], dim=1)
    before, after = (scan(c, backend, torch.float32)[0][:, :t] for c in (case, changed))
    assert torch.equal(before, after)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_no_gradient_reaches_the_future(backend):
    case = make_case(70, options=("z",))
    x = case["x"].clone().requires_grad_()
    y, _ = scan(case | {"x": x}, backend, torch.float32)
    y[:, 40].sum().backward()
    assert x.grad[:, 41:].abs().max() == 0
    assert x.grad[:, :41].abs().min() > 0


@settings(max_examples=15, deadline=None)
@given(backend=st.sampled_from(sorted(AVAILABLE)), length=st.integers(2, 90), data=st.data())
def test_cut_anywhere_and_carry_the_state(backend, length, data):
    cut = data.draw(st.integers(1, length - 1))
    case = make_case(length, options=("z", "dt_bias", "initial_state"))
    over_time = ("x", "dt", "B", "C", "z")
    first = {k: v[:, :cut] if k in over_time else v for k, v in case.items()}
    second = {k: v[:, cut:] if k in over_time else v for k, v in case.items()}
    y1, state = scan(first, backend)
    y2, state = scan(second | {"initial_state": state}, backend)
    y, final = scan(case, backend)
    close(torch.cat([y1, y2], dim=1), y)
    close(state, final)


@settings(max_examples=15, deadline=None)
@given(
    backend=st.sampled_from(sorted(AVAILABLE)), lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5)
)
def test_packed_documents_are_as_if_alone(backend, lengths):
    case = make_case(sum(lengths), batch=1, options=("z", "initial_state"))
    ids = torch.cat([torch.full((n,), i) for i, n in enumerate(lengths)])[None]
    packed, final = scan(case | {"segment_ids": ids}, backend)
    place = 0
    for number, n in enumerate(lengths):
        alone = {
            k: v[:, place : place + n] if k in ("x", "dt", "B", "C", "z") else v for k, v in case.items()
        }
        y, state = scan(alone if number == 0 else alone | {"initial_state": None}, backend)
        close(packed[:, place : place + n], y)
        place += n
    close(final, state)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_the_initial_state_is_of_segment_zero(backend):
    case = make_case(12, options=("initial_state",))
    ids = torch.ones(2, 12, dtype=torch.int64)
    begun = scan(case | {"segment_ids": ids}, backend)
    afresh = scan(case | {"initial_state": None}, backend)
    assert all(torch.equal(a, b) for a, b in zip(begun, afresh, strict=True))


@pytest.mark.parametrize("backend", AVAILABLE)
def test_a_step_size_of_zero_freezes_the_state(backend):
    case = make_case(40, options=("initial_state",))
    frozen = case | {"dt": torch.full_like(case["dt"], -1e4)}
    y, state = scan(frozen, backend, torch.float32)
    assert torch.equal(state, case["initial_state"])
    read = torch.einsum("bdn,bln->bld", case["initial_state"], case["C"]) + case["D"] * case["x"]
    torch.testing.assert_close(y, read)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_no_decay_sums_the_inputs(assert_close, backend):
    case = make_case(50) | {"A": torch.zeros(5, 3)}
    _, state = scan(case, backend)
    step = torch.nn.functional.softplus(case["dt"].double()) * case["x"].double()
    assert_close(state, torch.einsum("bld,bln->bdn", step, case["B"].double()))


@pytest.mark.parametrize("backend", AVAILABLE)
@pytest.mark.parametrize("dt", [1e3, -1e3, 0.0])
@pytest.mark.parametrize("a", [-1e-8, -1.0, -1e4])
def test_values_seen_in_the_wild_stay_finite(outputs_and_gradients, backend, dt, a):
    case = make_case(300, options=("z", "initial_state"))
    wild = case | {
        "x": 50 * case["x"],
        "dt": case["dt"] + dt,
        "A": torch.full_like(case["A"], a),
        "B": 20 * case["B"],
        "C": 20 * case["C"],
    }
    for name, value in outputs_and_gradients(selective_scan, wild, torch.float32, backend=backend).items():
        assert value.isfinite().all(), name


@pytest.mark.parametrize("backend", AVAILABLE)
def test_nan_in_an_input_reaches_the_output(backend):
    case = make_case(40)
    case["x"][:, 20] = torch.nan
    y, state = scan(case, backend, torch.float32)
    assert y[:, :20].isfinite().all()
    assert y[:, 20:].isnan().all()
    assert state.isnan().all()


@pytest.mark.parametrize("backend", AVAILABLE)
def test_twice_the_same_bits_on_any_number_of_threads(outputs_and_gradients, backend, threads):
    case = make_case(257, batch=3, d=64, n=16, options=OPTIONS["all"])
    found = outputs_and_gradients(selective_scan, case, torch.float32, backend=backend)
    torch.set_num_threads(1)
    single = outputs_and_gradients(selective_scan, case, torch.float32, backend=backend)
    assert all(torch.equal(found[name], single[name]) for name in found)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_a_step_is_a_scan_of_one_token(backend):
    case = make_case(1, options=("z", "initial_state"))
    y, state = scan(case, backend, torch.float32)
    token = {name: case[name][:, 0] for name in ("x", "dt", "B", "C", "z")}
    y1, state1 = selective_step(**token, A=case["A"], D=case["D"], state=case["initial_state"])
    torch.testing.assert_close(y1, y[:, 0])
    torch.testing.assert_close(state1, state)


def test_the_chunked_scan_refuses_a_second_derivative_instead_of_giving_a_wrong_one():
    case = make_case(4)
    x = case["x"].requires_grad_()
    y, _ = scan(case | {"x": x}, "chunked", torch.float32)
    (gradient,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
