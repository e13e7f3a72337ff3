"""How every kernel is judged: against a float64 answer, by the error that plain PyTorch makes itself."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Case = dict[str, Tensor | None]
FLOOR = 1e-6
"""Of the largest value: the rounding that any other order of float32 sums may add."""


def random_segments(batch: int, length: int, generator: torch.Generator) -> Tensor:
    """Documents that end anywhere; the first row goes on with an earlier one, the others may begin afresh."""
    begins = torch.rand(batch, length, generator=generator) < 0.2
    begins[0, 0] = False
    return begins.cumsum(1)


def outputs_and_gradients(
    function: Callable[..., tuple[Tensor, Tensor]], case: Case, dtype: torch.dtype, **options: object
) -> dict[str, Tensor]:
    """Output, final state, and the gradient of each floating input, computed in `dtype`."""
    leaves = {
        name: value.to(dtype).requires_grad_() if value is not None and value.is_floating_point() else value
        for name, value in case.items()
    }
    y, state = function(**leaves, **options)
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (value.double() * torch.randn(value.shape, generator=generator, dtype=torch.float64)).sum()
        for value in (y, state)
    )
    trained = {name: leaf for name, leaf in leaves.items() if leaf is not None and leaf.requires_grad}
    gradients = torch.autograd.grad(loss, list(trained.values()))
    return {"y": y, "state": state} | {f"d{name}": g for name, g in zip(trained, gradients, strict=True)}


def assert_as_exact_as(
    found: dict[str, Tensor], plain: dict[str, Tensor], exact: dict[str, Tensor], floor: float = FLOOR
) -> None:
    """Each error of `found` is at most twice that of `plain`, relative to `exact`."""
    assert found.keys() == plain.keys() == exact.keys()
    for name, truth in exact.items():
        scale = float(truth.abs().max())
        error, allowed = (float((r[name].double() - truth).abs().max()) for r in (found, plain))
        assert error <= 2 * allowed + floor * scale, f"{name}: error {error:.2e}, plain {allowed:.2e}"


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
