"""The layer against attention as the textbook has it: one query and all scores at a time, in float64."""

import math

import pytest
import torch

from bhasa.model.config import ModelConfig
from bhasa.model.mixers.attention import QUERIES, Attention, alibi_slopes

VARIANTS = {
    "full": {},
    "grouped": {"num_heads_kv": 2},
    "window": {"window": 5},
    "alibi": {"positions": "alibi"},
    "none": {"positions": "none", "num_heads_kv": 1},
    "all": {"positions": "alibi", "num_heads_kv": 2, "window": 7, "head_dim": 6},
}


def build(**attention):
    torch.manual_seed(0)
    values = {"d_model": 32, "n_layer": 1, "pattern": "*", "attention": {"num_heads": 4, **attention}}
    return Attention(ModelConfig.parse(values, "a layer")).requires_grad_(False)


def textbook(layer, hidden):
    """(l, d_model) to the same, of one text."""
    given, width = layer.config.attention, layer.config.head_dim
    q, k, v = (
        (hidden @ projection.weight.double().T).unflatten(-1, (-1, width))
        for projection in (layer.q_proj, layer.k_proj, layer.v_proj)
    )
    outputs = []
    for i in range(len(hidden)):
        heads = []
        for h in range(given.num_heads):
            shared = h // (given.num_heads // given.resolved_heads_kv)
            first = 0 if given.window is None else max(0, i - given.window + 1)
            scores = []
            for j in range(first, i + 1):
                query, key = turned(q[i, h], i, given), turned(k[j, shared], j, given)
                score = float(query @ key) / math.sqrt(width)
                if given.positions == "alibi":
                    score -= 2.0 ** (-8 * (h + 1) / given.num_heads) * (i - j)
                scores.append(score)
            weights = torch.tensor(scores, dtype=torch.float64).softmax(0)
            heads.append(weights @ v[first : i + 1, shared])
        outputs.append(torch.cat(heads) @ layer.o_proj.weight.double().T)
    return torch.stack(outputs)


def turned(x, position, given):
    """Pairs (i, i + p / 2) as complex numbers, each turned by its own frequency."""
    if given.positions != "rope":
        return x
    half = len(x) // 2
    angle = position * given.rope_theta ** -(torch.arange(half).double() / half)
    pairs = torch.complex(x[:half], x[half:]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([pairs.real, pairs.imag])


@pytest.mark.parametrize("attention", VARIANTS.values(), ids=VARIANTS)
def test_it_is_attention_as_the_textbook_has_it(attention):
    layer = build(**attention)
    hidden = torch.randn(1, 23, 32, generator=torch.Generator().manual_seed(1))
    found, _ = layer(hidden)
    torch.testing.assert_close(found[0].double(), textbook(layer, hidden[0].double()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("attention", [{"window": 40}, {"positions": "alibi"}], ids=["window", "alibi"])
def test_queries_in_blocks_are_as_those_of_one(attention, monkeypatch):
    layer = build(**attention)
    hidden = torch.randn(2, QUERIES // 2 + 3, 32, generator=torch.Generator().manual_seed(1))
    expected, _ = layer(hidden)
    monkeypatch.setattr("bhasa.model.mixers.attention.QUERIES", 50)
    torch.testing.assert_close(layer(hidden)[0], expected, rtol=1e-5, atol=1e-6)


def test_the_cache_of_a_window_is_of_constant_size():
    layer = build(window=8, num_heads_kv=1)
    state = layer.initial_state(2)
    for _ in range(30):
        _, state = layer.step(torch.randn(2, 32), state)
    assert state.keys.shape == (2, 1, 7, 8)
    assert state.length.tolist() == [30, 30]


def test_a_row_without_a_token_of_its_own_keeps_its_state():
    layer = build()
    _, before = layer(torch.randn(2, 5, 32))
    _, after = layer(torch.randn(2, 4, 32), before, None, torch.tensor([0, 4]))
    assert after.length.tolist() == [5, 9]
    assert torch.equal(after.keys[0, :, -5:], before.keys[0])
    hidden = torch.randn(1, 32)
    torch.testing.assert_close(
        layer.step(hidden.expand(2, -1), after)[0][:1],
        layer.step(hidden, type(before)(*(part[:1] for part in before)))[0],
    )


def test_slopes_are_the_published_ones():
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    assert alibi_slopes(6).tolist() == pytest.approx([2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3])
