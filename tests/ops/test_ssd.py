import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.ops.ssd import BACKENDS, ssd, ssd_step

LENGTHS = [1, 2, 3, 63, 64, 65, 257]
OPTIONS = {
    "plain": (),
    "biased": ("dt_bias",),
    "continued": ("initial_state",),
    "packed": ("segment_ids",),
    "padded": ("lengths",),
    "all": ("dt_bias", "initial_state", "segment_ids", "lengths"),
}
CASES = [(n, name) for n in LENGTHS for name in ("plain", "all")] + [(65, name) for name in OPTIONS]
OVER_TIME = ("x", "dt", "B", "C")
CPU = torch.device("cpu")
AVAILABLE = BACKENDS.available()
DIFFERENTIABLE_IN_FLOAT64 = BACKENDS.available(CPU, torch.float64)


def make_case(length, *, batch=2, heads=12, p=5, groups=3, n=3, options=(), seed=0):
    """Twelve heads: the largest of fewer errors, of the gradient of A for one, would be a matter of luck."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    case = {
        "x": normal(batch, length, heads, p),
        "dt": normal(batch, length, heads),
        "A": -torch.exp(normal(heads)),
        "B": normal(batch, length, groups, n),
        "C": normal(batch, length, groups, n),
        "D": normal(heads),
        "dt_bias": normal(heads),
        "initial_state": normal(batch, heads, p, n),
        "segment_ids": (torch.rand(batch, length, generator=generator) < 0.2).cumsum(1),
        "lengths": torch.randint(1, length + 1, (batch,), generator=generator),
    }
    left_out = {"dt_bias", "initial_state", "segment_ids", "lengths"} - set(options)
    return {name: None if name in left_out else value for name, value in case.items()}


def change(case, names, function):
    return case | {name: function(case[name]) for name in names}


def between(case, start, end):
    return change(case, OVER_TIME, lambda value: value[:, start:end])


def run(case, backend, dtype=None, **options):
    """In float64 where the backend can."""
    if dtype is None:
        dtype = torch.float64 if backend in DIFFERENTIABLE_IN_FLOAT64 else torch.float32
    values = {k: v.to(dtype) if v is not None and v.is_floating_point() else v for k, v in case.items()}
    return ssd(**values, backend=backend, **options)


def by_hand(case, limit=(0.0, math.inf)):
    """The recurrence, one state at a time."""
    case = {k: v.double() if v is not None and v.is_floating_point() else v for k, v in case.items()}
    batch, length, heads, p = case["x"].shape
    groups, n = case["B"].shape[2:]
    y = torch.zeros(batch, length, heads, p, dtype=torch.float64)
    states = torch.zeros(batch, heads, p, n, dtype=torch.float64)
    for b in range(batch):
        for head in range(heads):
            group = head // (heads // groups)
            h = states[b, head] if case["initial_state"] is None else case["initial_state"][b, head].clone()
            segment = 0
            for t in range(length):
                if case["segment_ids"] is not None and int(case["segment_ids"][b, t]) != segment:
                    segment, h = int(case["segment_ids"][b, t]), torch.zeros_like(h)
                bias = 0.0 if case["dt_bias"] is None else float(case["dt_bias"][head])
                dt = math.log1p(math.exp(float(case["dt"][b, t, head]) + bias))
                dt = min(max(dt, limit[0]), limit[1])
                if case["lengths"] is not None and t >= int(case["lengths"][b]):
                    dt = 0.0
                x = case["x"][b, t, head]
                h = math.exp(dt * float(case["A"][head])) * h + dt * x[:, None] * case["B"][b, t, group]
                y[b, t, head] = h @ case["C"][b, t, group] + float(case["D"][head]) * x
            states[b, head] = h
    return y, states


def close(found, expected):
    exact = found.dtype == torch.float64
    torch.testing.assert_close(found, expected, **({} if exact else {"rtol": 1e-4, "atol": 1e-5}))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("backend", AVAILABLE)
def test_the_recurrence_as_written(assert_close, backend, options):
    case = make_case(35, options=options)
    for found, expected in zip(run(case, backend), by_hand(case), strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_step_sizes_are_limited(assert_close, backend):
    case, limit = make_case(35), (0.5, 1.0)
    for found, expected in zip(run(case, backend, dt_limit=limit), by_hand(case, limit), strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize("length", [5, 67])
@pytest.mark.parametrize("options", [OPTIONS["plain"], OPTIONS["all"]], ids=["plain", "all"])
@pytest.mark.parametrize("backend", DIFFERENTIABLE_IN_FLOAT64)
def test_gradients_by_finite_differences(backend, options, length):
    case = make_case(length, batch=1, heads=2, p=1, groups=1, n=2, options=options)
    names = [name for name, value in case.items() if value is not None and value.is_floating_point()]

    def function(*values):
        return ssd(**(case | dict(zip(names, values, strict=True))), backend=backend)

    leaves = [case[name].double().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(function, leaves, fast_mode=length > 5)


@pytest.mark.parametrize(("length", "options"), CASES)
@pytest.mark.parametrize("backend", AVAILABLE)
def test_outputs_states_and_gradients(assert_as_exact_as_the_reference, backend, options, length):
    assert_as_exact_as_the_reference(ssd, make_case(length, options=OPTIONS[options]), backend)


@pytest.mark.parametrize("backend", [name for name in AVAILABLE if name != "reference"])
def test_a_long_sequence(assert_as_exact_as_the_reference, backend):
    case = make_case(1024, batch=1, heads=8, p=17, groups=2, n=33, options=OPTIONS["all"])
    assert_as_exact_as_the_reference(ssd, case | {"lengths": None}, backend)


@pytest.mark.parametrize(
    ("batch", "heads", "p", "groups", "n"),
    [
        (1, 1, 1, 1, 1),
        (1, 3, 16, 3, 16),
        (3, 6, 17, 2, 8),
        (2, 5, 24, 1, 17),
        (1, 10, 64, 2, 128),
        (2, 2, 1, 1, 64),
    ],
)
@pytest.mark.parametrize("backend", AVAILABLE)
def test_odd_widths_states_and_groups(assert_as_exact_as_the_reference, backend, batch, heads, p, groups, n):
    case = make_case(70, batch=batch, heads=heads, p=p, groups=groups, n=n, options=OPTIONS["all"])
    assert_as_exact_as_the_reference(ssd, case, backend)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backend", AVAILABLE)
def test_half_precision_inputs_are_computed_in_float32(assert_as_exact_as_the_reference, backend, dtype):
    case = make_case(70, options=("segment_ids",))
    assert_as_exact_as_the_reference(ssd, case, backend, dtype, floor=1e-4)
    y, state = run(case, backend, dtype)
    assert (y.dtype, state.dtype) == (dtype, torch.float32)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_autocast_does_not_reach_inside(outputs_and_gradients, backend):
    case = make_case(70, options=OPTIONS["all"])
    outside = outputs_and_gradients(ssd, case, torch.float32, backend=backend)

    def under_autocast(**arguments):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return ssd(**arguments)

    inside = outputs_and_gradients(under_autocast, case, torch.float32, backend=backend)
    assert all(torch.equal(inside[name], outside[name]) for name in outside)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_inputs_of_any_layout(outputs_and_gradients, backend):
    """The parts of one convolved tensor, as a layer gives them; and with time first."""
    case = make_case(70, options=OPTIONS["all"])
    joined = torch.cat([case[name].flatten(2) for name in ("x", "B", "C")], dim=2)
    parts = joined.split([60, 9, 9], dim=2)
    views = {
        "x": parts[0].unflatten(2, (12, 5)),
        "B": parts[1].unflatten(2, (3, 3)),
        "C": parts[2].unflatten(2, (3, 3)),
    }
    time_first = change(case, OVER_TIME, lambda value: value.transpose(0, 1).contiguous().transpose(0, 1))
    last_first = change(case, ("x", "B", "C"), lambda value: value.mT.contiguous().mT)
    expected = outputs_and_gradients(ssd, case, torch.float32, backend=backend)
    for other in (case | views, time_first, last_first):
        found = outputs_and_gradients(ssd, other, torch.float32, backend=backend)
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(backend=st.sampled_from(sorted(AVAILABLE)), length=st.integers(2, 140), data=st.data())
def test_no_output_depends_on_the_future(backend, length, data):
    t = data.draw(st.integers(1, length - 1))
    case = make_case(length, options=("segment_ids",))
    changed = change(case, OVER_TIME, lambda value: torch.cat([value[:, :t], 3 * value[:, t:] + 1], dim=1))
    changed["segment_ids"] = torch.cat([case["segment_ids"][:, :t], case["segment_ids"][:, t:] + 1], dim=1)
    before, after = (run(c, backend, torch.float32)[0][:, :t] for c in (case, changed))
    assert torch.equal(before, after)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_no_gradient_reaches_the_future_or_another_document(backend):
    ids = (torch.arange(140) >= 70).long().repeat(2, 1)
    case = make_case(140) | {"segment_ids": ids, "A": -torch.linspace(0.001, 0.1, 12)}
    leaves = {name: case[name].clone().requires_grad_() for name in OVER_TIME}
    y, _ = run(case | leaves, backend, torch.float32)
    gradients = torch.autograd.grad(y[:, 100].sum(), list(leaves.values()))
    for name, gradient in zip(leaves, gradients, strict=True):
        assert gradient[:, :70].abs().max() == 0, name
        assert gradient[:, 101:].abs().max() == 0, name
    assert gradients[0][:, 70:101].abs().min() > 0


@settings(max_examples=15, deadline=None)
@given(backend=st.sampled_from(sorted(AVAILABLE)), length=st.integers(2, 140), data=st.data())
def test_cut_anywhere_and_carry_the_state(backend, length, data):
    cut = data.draw(st.integers(1, length - 1))
    case = make_case(length, options=("dt_bias", "initial_state"))
    y1, state = run(between(case, 0, cut), backend)
    y2, state = run(between(case, cut, length) | {"initial_state": state}, backend)
    y, final = run(case, backend)
    close(torch.cat([y1, y2], dim=1), y)
    close(state, final)


@settings(max_examples=15, deadline=None)
@given(
    backend=st.sampled_from(sorted(AVAILABLE)), lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5)
)
def test_packed_documents_are_as_if_alone(backend, lengths):
    case = make_case(sum(lengths), batch=1, options=("initial_state",))
    ids = torch.cat([torch.full((n,), i) for i, n in enumerate(lengths)])[None]
    packed, final = run(case | {"segment_ids": ids}, backend)
    place = 0
    for number, n in enumerate(lengths):
        alone = between(case, place, place + n)
        y, state = run(alone if number == 0 else alone | {"initial_state": None}, backend)
        close(packed[:, place : place + n], y)
        place += n
    close(final, state)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_a_document_sees_not_one_bit_of_another(outputs_and_gradients, backend):
    """What stands before its start changes neither its outputs nor the final state."""
    ids = torch.stack([torch.arange(140) >= 37, torch.arange(140) >= 70]).long()
    case = make_case(140, options=("initial_state",)) | {"segment_ids": ids}
    first = (ids == 0)[..., None, None]
    changed = change(case, ("x", "B", "C"), lambda value: torch.where(first, 50 * value + 1, value))
    changed["initial_state"] = 9 * case["initial_state"]
    (y, state), (y2, state2) = (run(c, backend, torch.float32) for c in (case, changed))
    assert torch.equal(y[ids == 1], y2[ids == 1])
    assert torch.equal(state, state2)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_the_initial_state_is_of_segment_zero(backend):
    case = make_case(12, options=("initial_state",))
    ids = torch.ones(2, 12, dtype=torch.int64)
    begun = run(case | {"segment_ids": ids}, backend)
    afresh = run(case | {"initial_state": None}, backend)
    assert all(torch.equal(a, b) for a, b in zip(begun, afresh, strict=True))


@pytest.mark.parametrize("backend", AVAILABLE)
@pytest.mark.parametrize("length", [1, 37, 64, 100])
def test_padding_freezes_the_state_to_the_bit(backend, length):
    """Whatever the padding holds, and also where the limits would make its steps longer than 0."""
    case = make_case(200, options=("initial_state",)) | {"lengths": torch.tensor([length, 150])}
    padding = (torch.arange(200) >= case["lengths"][:, None])[..., None]
    other = change(case, ("x", "B", "C"), lambda value: torch.where(padding[..., None], 7 * value + 1, value))
    other["dt"] = torch.where(padding, 1e3, case["dt"])
    (y, state), (y2, state2) = (run(c, backend, torch.float32, dt_limit=(0.1, 2.0)) for c in (case, other))
    assert torch.equal(state, state2)
    assert torch.equal(y[~padding[..., 0]], y2[~padding[..., 0]])
    alone = between(case, 0, length) | {"lengths": None}
    close(state[0], run(alone, backend, torch.float32, dt_limit=(0.1, 2.0))[1][0])


@pytest.mark.parametrize("backend", AVAILABLE)
def test_a_step_size_of_zero_leaves_the_state_as_it_was(backend):
    case = make_case(100, options=("initial_state",))
    y, state = run(case | {"dt": torch.full_like(case["dt"], -1e4)}, backend, torch.float32)
    assert torch.equal(state, case["initial_state"])
    read = torch.einsum("bhpn,blhn->blhp", case["initial_state"], case["C"].repeat_interleave(4, dim=2))
    torch.testing.assert_close(y, read + case["D"][:, None] * case["x"])


@pytest.mark.parametrize("backend", AVAILABLE)
def test_no_decay_sums_the_inputs(assert_close, backend):
    case = make_case(100) | {"A": torch.zeros(12)}
    _, state = run(case, backend)
    u = torch.nn.functional.softplus(case["dt"].double())[..., None] * case["x"].double()
    assert_close(state, torch.einsum("blhp,blhn->bhpn", u, case["B"].double().repeat_interleave(4, dim=2)))


@pytest.mark.parametrize("backend", AVAILABLE)
@pytest.mark.parametrize("dt", [1e3, -1e3, 0.0])
@pytest.mark.parametrize("a", [-1e-8, -1.0, -1e4])
def test_values_seen_in_the_wild_stay_finite(outputs_and_gradients, backend, dt, a):
    case = make_case(150, options=("initial_state",))
    wild = change(change(case, ("B", "C"), lambda value: 20 * value), ("x",), lambda value: 50 * value)
    wild |= {"dt": case["dt"] + dt, "A": torch.full_like(case["A"], a)}
    for name, value in outputs_and_gradients(ssd, wild, torch.float32, backend=backend).items():
        assert value.isfinite().all(), name


@pytest.mark.parametrize("backend", AVAILABLE)
def test_a_sudden_decay_spoils_no_later_digit(assert_as_exact_as_the_reference, backend):
    """Sums of dt A would lose the small steps beside a large one."""
    case = make_case(130, options=("initial_state",))
    case["dt"] = torch.where(torch.arange(130)[:, None] % 20 == 7, 1e4, case["dt"] - 4)
    assert_as_exact_as_the_reference(ssd, case, backend)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_nan_in_an_input_reaches_the_output(backend):
    case = make_case(200)
    case["x"][0, 100] = torch.nan
    y, state = run(case, backend, torch.float32)
    assert y[0, 100:].isnan().all()
    assert state[0].isnan().all()
    assert y[1].isfinite().all()
    assert y[0, :64].isfinite().all()


@pytest.mark.parametrize("backend", AVAILABLE)
def test_twice_the_same_bits_on_any_number_of_threads(outputs_and_gradients, backend, threads):
    case = make_case(257, batch=3, heads=6, p=32, groups=1, n=64, options=OPTIONS["all"])
    found = outputs_and_gradients(ssd, case, torch.float32, backend=backend)
    torch.set_num_threads(1)
    single = outputs_and_gradients(ssd, case, torch.float32, backend=backend)
    assert all(torch.equal(found[name], single[name]) for name in found)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_a_step_is_a_scan_of_one_token(backend):
    case = make_case(1, options=("dt_bias", "initial_state"))
    y, state = run(case, backend, torch.float32, dt_limit=(0.5, 1.0))
    token = {name: case[name][:, 0] for name in OVER_TIME}
    vectors = {name: case[name] for name in ("A", "D", "dt_bias")}
    y1, state1 = ssd_step(**token, **vectors, dt_limit=(0.5, 1.0), state=case["initial_state"])
    torch.testing.assert_close(y1, y[:, 0])
    torch.testing.assert_close(state1, state)


def test_the_chunked_implementation_refuses_a_second_derivative_instead_of_giving_a_wrong_one():
    case = make_case(4)
    x = case["x"].requires_grad_()
    y, _ = run(case | {"x": x}, "chunked", torch.float32)
    (gradient,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_groups_that_do_not_divide_the_heads_are_refused():
    with pytest.raises(ValueError, match="12 heads cannot share 5 groups"):
        run(make_case(4, groups=5), "auto")
