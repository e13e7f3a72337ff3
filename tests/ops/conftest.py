"""How every kernel is judged: against a float64 answer, by the error that plain PyTorch makes itself."""

import pytest
import torch

FLOOR = 1e-6
"""Of the largest value: the rounding that any other order of float32 sums may add."""


@pytest.fixture
def assert_close():
    """Equal up to the rounding of what was found."""

    def check(found, expected):
        exact = found.dtype == torch.float64
        error = float((found.double() - expected.double()).abs().max())
        assert error <= (1e-11 if exact else 1e-5) * (1 + float(expected.abs().max()))

    return check


@pytest.fixture
def outputs_and_gradients():
    """Output, final state, and the gradient of each floating input, computed in `dtype`."""

    def compute(function, case, dtype, **options):
        leaves = {
            name: value.to(dtype).requires_grad_()
            if value is not None and value.is_floating_point()
            else value
            for name, value in case.items()
        }
        y, state = function(**leaves, **options)
        generator = torch.Generator().manual_seed(1)
        weights = [torch.randn(v.shape, generator=generator, dtype=torch.float64) for v in (y, state)]
        loss = (y.double() * weights[0]).sum() + (state.double() * weights[1]).sum()
        trained = {name: leaf for name, leaf in leaves.items() if leaf is not None and leaf.requires_grad}
        gradients = torch.autograd.grad(loss, list(trained.values()))
        named = {f"d{name}": g for name, g in zip(trained, gradients, strict=True)}
        return {"y": y.detach(), "state": state.detach()} | named

    return compute


@pytest.fixture
def assert_as_exact_as_the_reference(outputs_and_gradients):
    """Each error of a backend is at most twice the reference's in the same dtype, plus a floor."""

    def check(function, case, backend, dtype=torch.float32, floor=FLOOR):
        rounded = {k: v.to(dtype) if v is not None and v.is_floating_point() else v for k, v in case.items()}
        exact = outputs_and_gradients(function, rounded, torch.float64, backend="reference")
        plain = outputs_and_gradients(function, rounded, dtype, backend="reference")
        found = outputs_and_gradients(function, rounded, dtype, backend=backend)
        assert found.keys() == exact.keys()
        for name, truth in exact.items():
            error, allowed = (float((r[name].double() - truth).abs().max()) for r in (found, plain))
            bound = 2 * allowed + floor * float(truth.abs().max())
            assert error <= bound, f"{name}: error {error:.2e}, the reference's {allowed:.2e}"

    return check


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
