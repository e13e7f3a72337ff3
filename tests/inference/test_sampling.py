import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bhasa.errors import BhasaError, UserError
from bhasa.inference.config import SamplingConfig
from bhasa.inference.sampling import sample, sample_rows

logits = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40).map(torch.tensor)
draws = st.integers(0, 10_000)
seeds = st.integers(0, 2**63 - 1)
samplings = st.builds(
    SamplingConfig,
    temperature=st.floats(0, 100),
    top_k=st.integers(0, 50),
    top_p=st.floats(0, 1, exclude_min=True),
    seed=seeds,
)


@given(logits, samplings, draws)
def test_a_draw_is_a_token_and_a_pure_function(row, sampling, draw):
    token = sample(row, sampling, draw)
    assert 0 <= token < len(row)
    assert sample(row.clone(), sampling, draw) == token


@given(logits, st.floats(0, 100), seeds, draws)
def test_top_k_of_one_is_greedy(row, temperature, seed, draw):
    greedy = int(row.argmax())
    assert sample(row, SamplingConfig(temperature=0.0, seed=seed), draw) == greedy
    assert sample(row, SamplingConfig(temperature=temperature, top_k=1, seed=seed), draw) == greedy


def test_among_equal_logits_the_first_wins():
    row = torch.zeros(50_000)
    assert sample(row, SamplingConfig(top_k=1), 0) == sample(row, SamplingConfig(temperature=0.0), 0) == 0


@given(logits, seeds, draws)
def test_a_vanishing_top_p_is_greedy(row, seed, draw):
    assert sample(row, SamplingConfig(top_p=1e-9, seed=seed), draw) == int(row.argmax())


@given(logits, st.floats(0.01, 1), st.integers(1, 50), seeds, draws)
def test_what_is_drawn_lies_in_the_nucleus(row, top_p, top_k, seed, draw):
    token = sample(row, SamplingConfig(top_p=top_p, top_k=top_k, seed=seed), draw)
    probabilities = row.double().sort(descending=True).values[:top_k].softmax(0)
    likelier = row.double() > row[token].double()
    mass_above = float(probabilities[: int(likelier.sum())].sum())
    assert int(likelier.sum()) < top_k
    assert mass_above < top_p + 1e-9


@given(logits, seeds, draws)
def test_filters_that_keep_everything_change_nothing(row, seed, draw):
    plain = sample(row, SamplingConfig(seed=seed), draw)
    assert sample(row, SamplingConfig(seed=seed, top_k=len(row), top_p=1.0), draw) == plain


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (SamplingConfig(), [0.5, 0.3, 0.2]),
        (SamplingConfig(temperature=0.5), [0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38]),
        (SamplingConfig(top_k=2), [0.625, 0.375, 0.0]),
        (SamplingConfig(top_p=0.6), [0.625, 0.375, 0.0]),
        (SamplingConfig(top_k=2, top_p=0.62), [1.0, 0.0, 0.0]),  # of what top-k left, 0.625 is enough
    ],
)
def test_frequencies_are_the_probabilities(sampling, expected):
    row = torch.tensor([math.log(0.5), math.log(0.3), math.log(0.2)])
    count = Counter(sample(row, sampling, draw) for draw in range(4000))
    assert [count[i] / 4000 for i in range(3)] == pytest.approx(expected, abs=0.03)


def test_seeds_give_different_draws():
    row = torch.zeros(1000)
    drawn = [[sample(row, SamplingConfig(seed=seed), draw) for draw in range(5)] for seed in range(5)]
    assert len({token for tokens in drawn for token in tokens}) > 20


@given(st.lists(st.tuples(samplings, draws), min_size=1, max_size=5), st.data())
def test_rows_are_drawn_each_as_if_alone(rows, data):
    width = data.draw(st.integers(1, 40))
    numbers = st.lists(st.floats(-50, 50, width=32), min_size=width, max_size=width)
    table = torch.tensor([data.draw(numbers) for _ in rows])
    given_samplings, numbered = zip(*rows, strict=True)
    alone = [sample(row, *of_row) for row, of_row in zip(table, rows, strict=True)]
    assert sample_rows(table, given_samplings, numbered) == alone


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("where", [slice(None), 0, 7])
@pytest.mark.parametrize(
    "values", [{}, {"temperature": 0.0}, {"top_k": 3}, {"top_k": 3, "top_p": 0.5}, {"top_k": 20}]
)
def test_logits_that_are_not_finite_are_an_error(number, where, values):
    row = torch.linspace(-1, 1, 8)
    row[where] = number
    with pytest.raises(BhasaError, match="logits are not finite") as caught:
        sample(row, SamplingConfig(**values), 0)
    assert caught.value.exit_code == 1
    with pytest.raises(BhasaError, match="logits are not finite"):
        sample_rows(torch.stack([torch.zeros(8), row]), 2 * [SamplingConfig(**values)], [0, 0])


def test_a_row_without_any_possible_token_is_an_error():
    with pytest.raises(BhasaError, match="logits are not finite"):
        sample(torch.full((4,), -math.inf), SamplingConfig(), 0)


def test_impossible_tokens_are_never_drawn():
    row = torch.tensor([-math.inf, 0.0, -math.inf, 0.0])
    assert {sample(row, SamplingConfig(temperature=50.0), draw) for draw in range(200)} == {1, 3}


@pytest.mark.parametrize(
    "values", [{"top_p": 0}, {"top_p": 1.1}, {"temperature": -1}, {"top_k": -1}, {"max_new_tokens": 0}]
)
def test_values_out_of_range_are_refused_by_name(values):
    with pytest.raises(UserError, match=next(iter(values))):
        SamplingConfig.parse(values, "options")
