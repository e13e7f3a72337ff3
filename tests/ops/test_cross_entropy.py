import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bhasa.ops.cross_entropy import BACKENDS, blocks, cross_entropy, token_losses

AVAILABLE = BACKENDS.available()
ROWS, WIDTH, VOCABULARY = 70, 33, 301


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(VOCABULARY, (2, ROWS // 2), generator=generator)
    targets[:, ::5] = -100
    hidden = torch.randn(2, ROWS // 2, WIDTH, generator=generator)
    return hidden, torch.randn(VOCABULARY, WIDTH, generator=generator), targets


@pytest.fixture(params=["one block", "many blocks"])
def block_size(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(blocks, "COLUMNS", 64)
        monkeypatch.setattr(blocks, "LOGITS", 64 * 9)


def loss_and_gradients(case, backend, dtype):
    hidden, weight, targets = case
    leaves = [hidden.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_()]
    loss = cross_entropy(*leaves, targets, backend=backend)
    return [loss.detach(), *torch.autograd.grad(loss / 7, leaves)]


@pytest.mark.parametrize("backend", AVAILABLE)
def test_loss_and_gradients_are_as_exact_as_pytorchs(case, block_size, backend):
    exact = loss_and_gradients(case, "reference", torch.float64)
    plain = loss_and_gradients(case, "reference", torch.float32)
    found = loss_and_gradients(case, backend, torch.float32)
    for truth, theirs, ours in zip(exact, plain, found, strict=True):
        allowed = 2 * (theirs - truth).abs().max() + 1e-6 * truth.abs().max()
        assert (ours - truth).abs().max() <= allowed


@pytest.fixture
def nothing_is_zero_by_chance():
    """Memory that is asked for and not written holds NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("backend", AVAILABLE)
@pytest.mark.parametrize("rows", [0, ROWS // 2])
def test_every_number_of_the_gradients_is_written(case, block_size, backend, rows, nothing_is_zero_by_chance):
    hidden, weight, targets = case
    found = loss_and_gradients((hidden[:, :rows], weight, targets[:, :rows]), backend, torch.float32)
    assert all(tensor.isfinite().all() for tensor in found)
    assert rows or not any(tensor.any() for tensor in found)


def test_the_chunked_loss_in_float64_is_the_whole_one(case, block_size):
    whole, chunked = (loss_and_gradients(case, name, torch.float64) for name in ("reference", "chunked"))
    for expected, found in zip(whole, chunked, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("backend", AVAILABLE)
@pytest.mark.parametrize("frozen", [0, 1])
def test_what_is_frozen_gets_no_gradient(case, backend, frozen):
    leaves = [part.clone().requires_grad_(i != frozen) for i, part in enumerate(case[:2])]
    cross_entropy(*leaves, case[2], backend=backend).backward()
    assert leaves[frozen].grad is None
    expected = loss_and_gradients(case, "reference", torch.float32)[2 - frozen] * 7
    torch.testing.assert_close(leaves[1 - frozen].grad, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", AVAILABLE)
def test_without_targets_the_loss_is_zero(case, backend):
    hidden, weight, targets = case
    hidden = hidden.clone().requires_grad_()
    loss = cross_entropy(hidden, weight, torch.full_like(targets, -100), backend=backend)
    loss.backward()
    assert loss == 0
    assert hidden.grad.abs().max() == 0


@pytest.mark.parametrize("backend", AVAILABLE)
def test_logits_of_any_size_stay_finite(case, backend):
    hidden, weight, targets = case
    for value in loss_and_gradients((hidden * 1e4, weight * 1e3, targets), backend, torch.float32):
        assert value.isfinite().all()


@pytest.mark.parametrize("backend", AVAILABLE)
def test_nan_in_a_state_reaches_the_loss(case, backend):
    hidden, weight, targets = case
    hidden = hidden.clone()
    hidden[0, 1] = torch.nan
    assert cross_entropy(hidden, weight, targets, backend=backend).isnan()


@pytest.mark.parametrize("backend", ["native", "chunked"])
def test_under_autocast_products_are_in_half_precision_and_sums_are_not(case, backend):
    exact = loss_and_gradients(case, "reference", torch.float64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss_and_gradients(case, backend, torch.float32)
    assert [value.dtype for value in found] == [torch.float32] * 3
    for truth, ours in zip(exact, found, strict=True):
        assert 0 < (ours - truth).abs().max() <= 0.05 * truth.abs().max()


@pytest.mark.parametrize("backend", AVAILABLE)
def test_the_losses_of_single_tokens(case, block_size, backend):
    hidden, weight, targets = case
    logits = F.linear(hidden, weight).flatten(0, 1)
    expected = F.cross_entropy(logits, targets.flatten(), reduction="none").view(targets.shape)
    found = token_losses(hidden, weight, targets, backend=backend)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


class NoFloat64(TorchDispatchMode):
    """A device that has none, such as MPS."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        results = function(*args, **kwargs or {})
        doubles = [t for t in tree_leaves(results) if getattr(t, "dtype", None) == torch.float64]
        assert not doubles, function
        return results


def test_a_device_without_float64_computes_the_loss(case, monkeypatch):
    hidden, weight, targets = case
    expected = loss_and_gradients(case, "chunked", torch.float32)
    rows = (hidden.flatten(0, 1), weight, targets.flatten().masked_fill(targets.flatten() == -100, -1))
    with NoFloat64(), pytest.raises(AssertionError):
        blocks._compute(blocks.TorchSoftmax, *rows, True, True)  # on a CPU sums are in float64
    monkeypatch.setattr(blocks, "WITHOUT_FLOAT64", ("cpu",))
    with NoFloat64():
        found = blocks._compute(blocks.TorchSoftmax, *rows, True, True)
    torch.testing.assert_close(found[0], expected[0])


def test_logits_are_never_held_whole(case, monkeypatch):
    largest = []
    mm = torch.mm

    def watched(*arguments):
        product = mm(*arguments)
        largest.append(product.numel())
        return product

    monkeypatch.setattr(blocks, "LOGITS", 10 * VOCABULARY)
    monkeypatch.setattr(torch, "mm", watched)
    loss_and_gradients(case, "chunked", torch.float32)
    assert max(largest) == 10 * VOCABULARY
