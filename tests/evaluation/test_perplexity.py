import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bhasa.errors import BhasaError
from bhasa.evaluation.perplexity import loss_by_position, score, token_losses


def document(length, seed=0):
    return np.array([0, *np.random.default_rng(seed).integers(5, 300, length)], np.uint32)


def naive(model, ids):
    """The losses of one document by one forward pass over all of it."""
    with torch.no_grad():
        log_p = model(torch.tensor([ids.tolist()]))[0][0].double().log_softmax(-1)
    return [-float(log_p[i, token]) for i, token in enumerate(ids[1:])]


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 50])
def test_losses_equal_one_forward_pass_over_the_document(model, length):
    (losses,) = token_losses(model, [document(length)], batch=1, chunk=8)
    np.testing.assert_allclose(losses, naive(model, document(length)), rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 40), min_size=1, max_size=7), st.integers(1, 8), st.integers(1, 50))
def test_a_document_scores_the_same_among_any_neighbours(model, lengths, batch, chunk):
    documents = [document(length, seed) for seed, length in enumerate(lengths)]
    together = token_losses(model, documents, batch=batch, chunk=chunk)
    assert [len(losses) for losses in together] == lengths
    for losses, ids in zip(together, documents, strict=True):
        np.testing.assert_allclose(losses, naive(model, ids), rtol=1e-4, atol=1e-4)


def test_measuring_twice_gives_the_same_bits(model):
    documents = [document(length, length) for length in (30, 3, 17, 17, 44)]
    first, second = (token_losses(model, documents, batch=3, chunk=8) for _ in range(2))
    assert all((one == other).all() for one, other in zip(first, second, strict=True))


def test_no_more_than_a_chunk_is_read_at_once(model):
    shapes = []
    hook = model.backbone.register_forward_pre_hook(
        lambda _, arguments: shapes.append(tuple(arguments[0].shape))
    )
    token_losses(model, [document(20), document(5), document(12)], batch=2, chunk=8)
    hook.remove()
    assert shapes == [(2, 8), (2, 8), (1, 4), (1, 5)]  # a row leaves the batch when its document ends


def test_score_counts_nats_tokens_and_bytes():
    result = score([np.array([1.0, 2.0]), np.array([]), np.array([6.0])], size=9)
    assert result.tokens == 3
    assert result.loss == pytest.approx(3.0)
    assert result.perplexity == pytest.approx(math.exp(3))
    assert result.bits_per_byte == pytest.approx(9 / math.log(2) / 9)


def test_a_uniform_model_needs_the_logarithm_of_its_vocabulary(model):
    uniform = type(model)(model.config).eval()
    torch.nn.init.zeros_(uniform.lm_head.weight)
    losses = token_losses(uniform, [document(30)], batch=1, chunk=8)
    assert score(losses, size=30).perplexity == pytest.approx(300, rel=1e-5)
    assert score(losses, size=30).bits_per_byte == pytest.approx(math.log2(300), rel=1e-5)


@pytest.mark.parametrize("broken", [math.nan, math.inf, 1e4])
def test_a_broken_model_is_named(broken):
    with pytest.raises(BhasaError, match="weights are broken"):
        score([np.array([1.0, broken])], size=2)


def test_positions_are_grouped_by_what_was_read_before():
    # The loss is the number of tokens read before, so a bucket's mean is that of its positions.
    losses = [np.arange(1.0, 101.0), np.arange(1.0, 33.0)]
    assert loss_by_position(losses) == [(32, 16.5), (64, 48.5), (128, 82.5)]
