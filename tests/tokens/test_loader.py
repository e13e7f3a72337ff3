from collections.abc import Callable
from itertools import count, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.errors import UserError
from bhasa.randomness import derive
from bhasa.tokens.loader import IGNORED, Batch, Loader, WindowLoader
from bhasa.tokens.packing import ChatLoader
from bhasa.tokens.permutation import permute
from bhasa.tokens.shard_reader import TokenSplit
from bhasa.tokens.special import END_OF_TEXT
from bhasa.tokens.training_rows import DocumentLoader

MakeSplit = Callable[..., TokenSplit]

LENGTHS = [13, 1, 40, 7, 22, 2, 18, 5, 9, 11, 6, 8]
MASKS = [[0] * (n - n // 2) + [1] * (n // 2) for n in LENGTHS]


@pytest.fixture(scope="session", params=["windows", "chat", "documents", "mixed"])
def make_loader(request: pytest.FixtureRequest, make_split: MakeSplit):
    documents, conversations = make_split(LENGTHS), make_split(LENGTHS, MASKS)
    several = make_split(LENGTHS, domains=["b", "a", "c", "a"] * 3)

    def make(context_length: int, seed: int | None) -> Loader:
        if request.param == "windows":
            return WindowLoader(documents, context_length, seed=seed)
        if request.param == "documents":
            return DocumentLoader(documents, context_length, seed=seed)
        if request.param == "mixed":
            return WindowLoader(several, context_length, seed=seed)
        return ChatLoader(conversations, context_length, seed=seed)

    return make


@pytest.fixture(scope="session")
def stream(make_split: MakeSplit) -> TokenSplit:
    return make_split(LENGTHS)


def one_by_one(split: TokenSplit, context: int, seed: int, slot: int) -> list[int]:
    """The row at a slot as its definition says, without arrays."""
    rows = split.tokens // context
    epoch, place = divmod(slot, rows)
    number = int(permute(np.array([place]), rows, seed=derive(seed, "row order", epoch))[0])
    start = derive(seed, "ring", epoch) % split.tokens + number * context
    stream = split.read(0, split.tokens).tolist()
    return [stream[(start + i) % split.tokens] for i in range(context + 1)]


@given(st.integers(2, 60), st.integers(0, 2**32), st.integers(1, 9), st.integers(0, 2000))
@settings(deadline=None, max_examples=60)
def test_windows_are_those_of_the_definition(
    stream: TokenSplit, context: int, seed: int, batch_size: int, step: int
) -> None:
    batch = WindowLoader(stream, context, seed=seed).batch(step, batch_size)
    for slot, inputs, targets in zip(count(step * batch_size), batch.inputs, batch.targets, strict=False):
        expected = one_by_one(stream, context, seed, slot)
        assert (inputs.tolist(), targets.tolist()) == (expected[:-1], expected[1:])


def equal(one: Batch, other: Batch) -> bool:
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, other, strict=True))


def joined(parts: list[Batch]) -> Batch:
    return Batch(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


contexts, seeds, batch_sizes = st.integers(2, 60), st.integers(0, 2**32), st.integers(1, 9)


@given(contexts, seeds | st.none(), batch_sizes, st.integers(0, 10_000), st.data())
@settings(deadline=None, max_examples=60)
def test_any_division_of_the_rows_gives_the_same_batch(
    make_loader, context: int, seed: int | None, batch_size: int, step: int, data: st.DataObject
) -> None:
    cuts = sorted({0, batch_size, *data.draw(st.lists(st.integers(1, batch_size), max_size=3))})
    loader = make_loader(context, seed)
    parts = [loader.batch(step, batch_size, slice(a, b)) for a, b in pairwise(cuts)]
    assert equal(joined(parts), loader.batch(step, batch_size))


@given(contexts, seeds | st.none(), st.integers(1, 6), st.integers(0, 30))
@settings(deadline=None, max_examples=60)
def test_a_step_is_the_same_first_and_after_all_before_it(
    make_loader, context: int, seed: int | None, batch_size: int, step: int
) -> None:
    loader = make_loader(context, seed)
    in_turn = [loader.batch(earlier, batch_size) for earlier in range(step + 1)]
    assert equal(make_loader(context, seed).batch(step, batch_size), in_turn[-1])
    one_by_one = joined([loader.batch(slot, 1) for slot in range((step + 1) * batch_size)])
    assert equal(joined(in_turn), one_by_one)


@given(contexts, seeds | st.none(), batch_sizes)
@settings(deadline=None, max_examples=60)
def test_targets_are_the_inputs_shifted_by_one_and_segments_begin_at_special_tokens(
    make_loader, context: int, seed: int | None, batch_size: int
) -> None:
    inputs, targets, segment_ids = make_loader(context, seed).batch(3, batch_size)
    assert inputs.shape == targets.shape == segment_ids.shape == (batch_size, context)
    counted = targets[:, :-1] != IGNORED
    assert np.array_equal(targets[:, :-1][counted], inputs[:, 1:][counted])
    steps = np.diff(segment_ids, axis=1, prepend=0)
    assert np.array_equal(steps, (inputs == END_OF_TEXT).astype(steps.dtype))


@given(contexts, st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_an_epoch_reads_every_row_once_and_the_next_in_another_order(
    make_loader, context: int, seed: int
) -> None:
    loader = make_loader(context, seed)
    rows = loader.rows_per_epoch
    for epoch in range(3):
        drawn = [loader.batch(epoch * rows + i, 1).inputs[0].tolist() for i in range(rows)]
        expected = loader.rows(loader.places(epoch, np.arange(rows))).tokens[:, :-1].tolist()
        assert sorted(drawn) == sorted(expected)


def test_another_seed_and_another_epoch_give_another_order(make_loader) -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        loader = make_loader(12, seed)
        return loader.batch(epoch, loader.rows_per_epoch).inputs.tolist()

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(a != b for i, a in enumerate(orders) for b in orders[:i])


@given(contexts, seeds)
@settings(deadline=None, max_examples=60)
def test_an_epoch_of_windows_reads_no_token_twice(stream: TokenSplit, context: int, seed: int) -> None:
    loader = WindowLoader(stream, context, seed=seed)
    for epoch in (0, 1):
        read = loader.batch(epoch, loader.rows_per_epoch).inputs.ravel()
        numbers = read[read != END_OF_TEXT]
        assert len(numbers) == len(set(numbers.tolist()))
        assert len(read) == sum(LENGTHS) // context * context


@given(contexts, seeds)
@settings(deadline=None, max_examples=60)
def test_every_target_of_a_window_is_the_next_token_of_the_ring(
    stream: TokenSplit, context: int, seed: int
) -> None:
    tokens = stream.read(0, stream.index.tokens).tolist()
    after = dict(zip(tokens, tokens[1:] + tokens[:1], strict=True))  # of every number but the special token
    inputs, targets, _ = WindowLoader(stream, context, seed=seed).batch(5, 4)
    for number, target in zip(inputs.ravel().tolist(), targets.ravel().tolist(), strict=True):
        assert number == END_OF_TEXT or target == after[number]


def test_without_a_seed_windows_follow_each_other(stream: TokenSplit) -> None:
    loader = WindowLoader(stream, 10, seed=None)
    assert loader.batch(0, 4).inputs.ravel().tolist() == stream.read(0, 40).tolist()


def test_epochs_cut_the_ring_at_different_places(stream: TokenSplit) -> None:
    loader = WindowLoader(stream, 20, seed=3)
    starts = {int(loader.places(epoch, np.array([0]))[0]) for epoch in range(8)}
    assert len(starts) > 4


@pytest.mark.parametrize("context", [9, 10, 18, 40])
@pytest.mark.parametrize("seed", [None, 3])
def test_fewer_tokens_than_one_row_go_round_more_than_once(
    make_split: MakeSplit, context: int, seed: int | None
) -> None:
    split = make_split([5, 4])
    ring = split.read(0, 9).tolist()
    loader = WindowLoader(split, context, seed=seed)
    assert loader.rows_per_epoch == 1
    for epoch in range(3):
        tokens = loader.rows(loader.places(epoch, np.array([0]))).tokens[0].tolist()
        assert len(tokens) == context + 1
        first = next(n for n in range(9) if (ring * 6)[n : n + context + 1] == tokens)
        assert seed is not None or first == 0


def test_a_split_without_tokens_is_refused(make_split: MakeSplit) -> None:
    with pytest.raises(UserError, match="no tokens"):
        WindowLoader(make_split([]), 10, seed=0)
