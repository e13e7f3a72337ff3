import pytest
import torch

from bhasa.ops.rms_norm import BACKENDS, rms_norm

AVAILABLE = BACKENDS.available()


def make(shape, gated):
    """x, the weight and, if there is a gate, z: part of a wider tensor, as a projection gives it."""
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(shape, generator=generator), torch.randn(shape[-1], generator=generator)
    wide = torch.randn((*shape[:-1], shape[-1] + 5), generator=generator)
    return [x, weight, wide] if gated else [x, weight]


def by_definition(x, weight, eps, *, z, groups, backend):
    """Group by group, from sums and a root alone."""
    if z is not None:
        x = x * z / (1 + (-z).exp())
    parts = x.split(x.shape[-1] // groups, dim=-1)
    means = [sum(column**2 for column in part.unbind(-1)) / part.shape[-1] for part in parts]
    return (
        torch.cat([p / (m + eps).sqrt()[..., None] for p, m in zip(parts, means, strict=True)], -1) * weight
    )


def output_and_gradients(case, backend, dtype, groups=1, norm=rms_norm):
    x, weight, *wide = inputs = [value.to(dtype).requires_grad_() for value in case]
    z = wide[0][..., 2:-3] if wide else None
    y = norm(x, weight, 1e-5, z=z, groups=groups, backend=backend)
    return [y.detach(), *torch.autograd.grad((y**3).sum(), inputs)]


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(
    ("shape", "groups"), [((1, 3), 1), ((3, 7), 1), ((2, 5, 16), 2), ((70, 33), 3), ((2, 40, 130), 1)]
)
@pytest.mark.parametrize("backend", AVAILABLE)
def test_it_is_as_exact_as_pytorchs(backend, shape, groups, gated):
    case = make(shape, gated)
    exact = output_and_gradients(case, None, torch.float64, groups, by_definition)
    plain = output_and_gradients(case, "reference", torch.float32, groups)
    found = output_and_gradients(case, backend, torch.float32, groups)
    for truth, theirs, ours in zip(exact, plain, found, strict=True):
        assert (theirs - truth).abs().max() <= 1e-5 * (1 + truth.abs().max())
        assert (ours - truth).abs().max() <= 2 * (theirs - truth).abs().max() + 1e-6 * truth.abs().max()


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("backend", AVAILABLE)
def test_any_number_of_threads_gives_the_same_bits(backend, gated, threads):
    case = make((300, 48), gated)
    found = output_and_gradients(case, backend, torch.float32, groups=2)
    torch.set_num_threads(1)
    assert all(map(torch.equal, found, output_and_gradients(case, backend, torch.float32, groups=2)))


@pytest.mark.parametrize("backend", AVAILABLE)
def test_half_precision_comes_back_as_it_went_in(backend):
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    y = rms_norm(x, torch.ones(16, dtype=torch.bfloat16), 1e-5, backend=backend)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), rms_norm(x.float(), torch.ones(16), 1e-5), rtol=1e-2, atol=1e-2)
