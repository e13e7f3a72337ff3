import pytest
import torch

from bhasa.ops.rms_norm import BACKENDS, rms_norm


def output_and_gradients(case, backend, dtype):
    x, weight = (value.to(dtype).requires_grad_() for value in case)
    y = rms_norm(x, weight, 1e-5, backend=backend)
    return [y.detach(), *torch.autograd.grad((y**3).sum(), [x, weight])]


@pytest.mark.parametrize("shape", [(1, 3), (3, 7), (2, 5, 16), (70, 33), (2, 40, 130)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_as_exact_as_pytorchs(backend, shape):
    generator = torch.Generator().manual_seed(0)
    case = torch.randn(shape, generator=generator), torch.randn(shape[-1], generator=generator)
    exact = output_and_gradients(case, "reference", torch.float64)
    plain = output_and_gradients(case, "reference", torch.float32)
    found = output_and_gradients(case, backend, torch.float32)
    for truth, theirs, ours in zip(exact, plain, found, strict=True):
        assert (ours - truth).abs().max() <= 2 * (theirs - truth).abs().max() + 1e-6 * truth.abs().max()


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_number_of_threads_gives_the_same_bits(backend, threads):
    generator = torch.Generator().manual_seed(0)
    case = torch.randn(300, 48, generator=generator), torch.randn(48, generator=generator)
    found = output_and_gradients(case, backend, torch.float32)
    torch.set_num_threads(1)
    assert all(map(torch.equal, found, output_and_gradients(case, backend, torch.float32)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_comes_back_as_it_went_in(backend):
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    y = rms_norm(x, torch.ones(16, dtype=torch.bfloat16), 1e-5, backend=backend)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), rms_norm(x.float(), torch.ones(16), 1e-5), rtol=1e-2, atol=1e-2)
