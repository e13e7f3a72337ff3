"""Rows of the embedding move with their tokens, and the model says the same."""

import pytest
import torch

from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.model.vocabulary import renumber


def make(tie_embeddings, vocab_size=12):
    config = ModelConfig(d_model=16, n_layer=2, vocab_size=vocab_size, tie_embeddings=tie_embeddings)
    return build(config, seed=0)


ROWS = (0, None, None, 3, 4, 1, 2)
"""Five tokens of old, two of them moved, and two that are new."""


@torch.no_grad()
@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("vocab_size", [5, 6, 7, 12])
def test_every_token_has_the_logit_that_it_had(tie_embeddings, vocab_size):
    before, after = make(tie_embeddings, vocab_size), make(tie_embeddings, vocab_size)
    renumber(after, ROWS)
    assert after.config.vocab_size == max(vocab_size, 7)
    assert (after.lm_head.weight is after.backbone.embeddings.weight) == tie_embeddings
    new = torch.tensor([[3, 6, 0, 5, 4]])
    old = torch.tensor([[ROWS[i] for i in new[0].tolist()]])
    found, expected = after(new)[0], before(old)[0]
    torch.testing.assert_close(found[..., [0, 3, 4, 5, 6]], expected[..., [0, 3, 4, 1, 2]])
    mean = expected[..., :5].mean(-1)
    torch.testing.assert_close(found[..., 1], mean)
    torch.testing.assert_close(found[..., 2], mean)
    if vocab_size > 7:
        torch.testing.assert_close(found[..., 7:], expected[..., 7:])


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_it_still_learns_and_counts_as_one_of_its_size(tie_embeddings):
    model = make(tie_embeddings, 5)
    renumber(model, ROWS)
    model(torch.tensor([[1, 2]]), targets=torch.tensor([[2, 6]])).backward()
    assert model.lm_head.weight.grad.shape == (7, 16)
    assert model.num_parameters() == make(tie_embeddings, 7).num_parameters()


def test_nothing_changes_where_no_token_moves():
    model, expected = make(True), make(True).state_dict()
    weight = model.backbone.embeddings.weight
    renumber(model, tuple(range(9)))
    assert model.backbone.embeddings.weight is weight
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def test_a_token_without_a_row_is_refused():
    with pytest.raises(ValueError, match="token 12 has no row in a vocabulary of 12"):
        renumber(make(True), (0, 12))
