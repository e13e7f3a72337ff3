"""Rows of states selected and joined: each row goes on as it would alone, whatever stands beside it."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build
from bhasa.model.mixers.protocol import State

NEAR = {"rtol": 1e-4, "atol": 1e-5}

lengths = st.lists(st.integers(0, 30), min_size=1, max_size=5)


def text(model: LanguageModel, seed: int, length: int) -> torch.Tensor:
    return torch.randint(model.config.vocab_size, (1, length), generator=torch.Generator().manual_seed(seed))


def after(model: LanguageModel, ids: torch.Tensor) -> State:
    return model(ids)[1] if ids.shape[1] else model.initial_state(len(ids))


def go_on(model: LanguageModel, state: State, ids: torch.Tensor) -> list[torch.Tensor]:
    """The logits (b, V) after some steps one by one and the rest at once."""
    found = []
    for t in range(3):
        logits, state = model.step(ids[:, t], state)
        found.append(logits)
    logits, state = model(ids[:, 3:], state)
    return [*found, *logits.unbind(1)]


def assert_each_row_goes_on(model: LanguageModel, joined: State, alone: Sequence[State]) -> None:
    following = text(model, 99, 8 * len(alone)).view(len(alone), 8)
    together = go_on(model, joined, following)
    for i, state in enumerate(alone):
        for found, expected in zip(together, go_on(model, state, following[i : i + 1]), strict=True):
            torch.testing.assert_close(found[i : i + 1], expected, **NEAR)


@settings(max_examples=8, deadline=None)
@given(lengths=lengths, data=st.data())
@torch.no_grad()
def test_joined_and_selected_rows_go_on_as_if_alone(config: ModelConfig, lengths, data) -> None:
    model = build(config, seed=0).eval()
    alone = [after(model, text(model, i, length)) for i, length in enumerate(lengths)]
    joined = model.join_states(alone)
    assert_each_row_goes_on(model, joined, alone)
    rows = data.draw(st.lists(st.integers(0, len(alone) - 1), min_size=1, max_size=6))
    assert_each_row_goes_on(model, model.select_state(joined, rows), [alone[row] for row in rows])


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 3), min_size=1, max_size=3), data=st.data())
@torch.no_grad()
def test_states_of_several_rows_join_and_split_at_any_step(config: ModelConfig, cuts, data) -> None:
    """As in serving: between selections and joins, each time others side by side, all read something."""
    model = build(config, seed=0).eval()
    texts = [text(model, i, 40) for i in range(sum(cuts))]
    groups, read, first = [], [0] * len(texts), 0
    for size in cuts:
        groups.append((model.initial_state(size), list(range(first, first + size))))
        first += size
    for _ in range(3):
        states, members = zip(*groups, strict=True)
        state, order = model.join_states(states), [i for group in members for i in group]
        permuted = data.draw(st.permutations(range(len(order))))
        cut = data.draw(st.integers(1, len(order)))
        groups = []
        for rows in (permuted[:cut], permuted[cut:]):
            if not rows:
                continue
            part, group = model.select_state(state, rows), [order[row] for row in rows]
            count = data.draw(st.integers(1, 6))
            ids = torch.cat([texts[i][:, read[i] : read[i] + count] for i in group])
            _, part = model(ids, part)
            for i in group:
                read[i] += count
            groups.append((part, group))
    for state, group in groups:
        assert_each_row_goes_on(model, state, [after(model, texts[i][:, : read[i]]) for i in group])


@torch.no_grad()
def test_the_numbers_are_moved_and_not_changed(config: ModelConfig) -> None:
    model = build(config, seed=0).eval()
    state = after(model, text(model, 0, 3 * 17).view(3, 17))
    parts = [model.select_state(state, [row]) for row in range(3)]
    for layer, back in zip(state, model.join_states(parts), strict=True):
        assert type(back) is type(layer)
        assert all(torch.equal(part, again) for part, again in zip(layer, back, strict=True))


@torch.no_grad()
def test_a_short_text_does_not_keep_the_room_of_a_long_one(config: ModelConfig) -> None:
    model = build(config, seed=0).eval()
    short = after(model, text(model, 0, 5))
    joined = model.join_states([after(model, text(model, 1, 60)), short])
    for layer, expected in zip(model.select_state(joined, [1]), short, strict=True):
        assert [part.shape for part in layer] == [part.shape for part in expected]


@pytest.mark.parametrize("ssm", ["mamba", "mamba2"])
@torch.no_grad()
def test_a_recurrent_row_has_the_same_bits_in_any_place(ssm: str) -> None:
    """Of as many rows; matrix products round differently with another number of them."""
    model = build(ModelConfig(d_model=24, n_layer=2, vocab_size=50, ssm=ssm, headdim=6), seed=0).eval()
    state = after(model, text(model, 0, 4 * 11).view(4, 11))
    ids, order = torch.tensor([5, 6, 7, 8]), [2, 0, 3, 1]
    expected, _ = model.step(ids, state)
    found, _ = model.step(ids[order], model.select_state(state, order))
    assert torch.equal(found, expected[order])
