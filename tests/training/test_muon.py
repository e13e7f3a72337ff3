import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bhasa.training import muon
from bhasa.training.muon import Muon, orthogonalised

SHAPES = [(8, 8), (5, 40), (40, 5), (1, 7), (64, 48)]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_directions_stay_and_lengths_become_one(shape):
    matrices = drawn(3, *shape)
    found = orthogonalised(matrices)
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    along = u.mT @ found @ vh.mT
    lengths = along.diagonal(dim1=-2, dim2=-1)
    assert (along - torch.diag_embed(lengths)).abs().max() < 1e-4
    # The shortest would take more iterations than there are.
    long = s > 0.02 * s.square().sum(-1, keepdim=True).sqrt()
    assert lengths[long].min() > 0.6
    assert lengths.max() < 1.3


@given(scale=st.floats(1e-6, 1e6), shape=st.sampled_from(SHAPES))
def test_the_length_of_the_gradient_does_not_matter(scale, shape):
    matrix = drawn(1, *shape)
    torch.testing.assert_close(orthogonalised(scale * matrix), orthogonalised(matrix), rtol=0, atol=1e-4)


def test_zero_stays_zero():
    assert not orthogonalised(torch.zeros(2, 4, 6)).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_are_those_of_torch_which_iterates_in_bf16(shape):
    ours, theirs = (nn.Parameter(drawn(*shape, seed=7)) for _ in range(2))
    rule = Muon({"w": ours}, momentum=0.95, weight_decay=0.1)
    reference = torch.optim.Muon(
        [theirs], lr=0.1, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    for seed in range(3):
        ours.grad = drawn(*shape, seed=seed)
        theirs.grad = ours.grad.clone()
        rule.step(0.1)
        reference.step()
    moved, expected = ours - drawn(*shape, seed=7), theirs - drawn(*shape, seed=7)
    assert (moved - expected).norm() < 0.03 * expected.norm()


def test_a_matrix_moves_alike_alone_and_among_others_of_its_shape(monkeypatch):
    def steps():
        weights = {str(i): nn.Parameter(drawn(6, 9, seed=i)) for i in range(5)}
        rule = Muon(weights, momentum=0.9, weight_decay=0.0)
        for step in range(2):
            for i, weight in enumerate(weights.values()):
                weight.grad = drawn(6, 9, seed=10 * step + i)
            rule.step(0.1)
        return torch.stack(list(weights.values()))

    together = steps()
    monkeypatch.setattr(muon, "STACKED", 54)
    torch.testing.assert_close(steps(), together, rtol=0, atol=1e-6)
