from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.errors import UserError
from bhasa.tokens.loader import IGNORED
from bhasa.tokens.packing import ChatLoader, pack
from bhasa.tokens.shard_reader import TokenSplit
from bhasa.tokens.special import END_OF_TEXT

MakeSplit = Callable[..., TokenSplit]


@given(st.lists(st.integers(1, 30), max_size=80), st.integers(30, 60))
def test_every_item_is_in_one_row_that_holds_it(lengths: list[int], capacity: int) -> None:
    rows = pack(lengths, capacity)
    assert sorted(item for row in rows for item in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[item] for item in row) <= capacity for row in rows)


@given(st.lists(st.integers(1, 30), max_size=80), st.integers(30, 60))
def test_no_two_rows_would_fit_into_one(lengths: list[int], capacity: int) -> None:
    used = [sum(lengths[item] for item in row) for row in pack(lengths, capacity)]
    assert all(one + other > capacity for one, other in combinations(used, 2))


def test_the_fullest_row_with_room_is_taken() -> None:
    assert pack([6, 5, 3, 4], 10) == [[0, 3], [1, 2]]


@st.composite
def conversations(draw: st.DrawFn) -> list[list[int]]:
    """Masks of conversations: the first token is the special token that starts them."""
    bits = st.lists(st.integers(0, 1), max_size=25)
    return [[0, *mask] for mask in draw(st.lists(bits, min_size=1, max_size=12))] + [[0, 1]]


@given(conversations(), st.integers(2, 20), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_an_epoch_has_every_target_once_and_nothing_else(
    make_split: MakeSplit, masks: list[list[int]], context: int, seed: int
) -> None:
    split = make_split([len(mask) for mask in masks], masks)
    loader = ChatLoader(split, context, seed=seed)
    stream = split.read(0, split.index.tokens).tolist()
    expected, cut, left_out, start = [], 0, 0, 0
    for mask in masks:
        kept = mask[: context + 1]
        expected += [stream[start + i] for i, counts in enumerate(kept) if counts]
        cut += len(mask) > len(kept)
        left_out += not any(kept)
        start += len(mask)
    targets = loader.batch(1, loader.rows_per_epoch).targets
    assert sorted(targets[targets != IGNORED].tolist()) == sorted(expected)
    assert (loader.cut, loader.left_out) == (cut, left_out)
    assert all((row != IGNORED).any() for row in targets)


def test_a_row_holds_whole_conversations_then_padding_that_is_no_target(make_split: MakeSplit) -> None:
    split = make_split([4, 3], [[0, 0, 1, 1], [0, 1, 1]])  # 0 2 3 4, 0 6 7
    inputs, targets, segment_ids = ChatLoader(split, 9, seed=0).batch(0, 1)
    assert inputs.tolist() == [[0, 2, 3, 4, 0, 6, 7, 0, 0]]
    assert targets.tolist() == [[IGNORED, 3, 4, IGNORED, 6, 7, IGNORED, IGNORED, IGNORED]]
    assert segment_ids.tolist() == [[1, 1, 1, 1, 2, 2, 2, 3, 4]]
    assert (inputs[:, 7:] == END_OF_TEXT).all()


def test_a_conversation_of_one_token_more_than_the_context_fits_and_a_longer_one_loses_its_end(
    make_split: MakeSplit,
) -> None:
    loader = ChatLoader(make_split([6, 7], [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1]]), 5, seed=None)
    assert (loader.rows_per_epoch, loader.cut) == (2, 1)
    rows = loader.batch(0, 2)
    assert rows.targets[:, 2:].tolist() == [[4, 5, 6], [10, 11, 12]]


def test_conversations_without_an_answer_in_reach_are_refused(make_split: MakeSplit) -> None:
    split = make_split([9, 3], [[0] * 8 + [1], [0, 0, 0]])
    assert ChatLoader(split, 8, seed=0).left_out == 1
    with pytest.raises(UserError, match=r"none of 2 conversations has an answer within 7 tokens"):
        ChatLoader(split, 7, seed=0)


def test_arrays_are_writable_int64(make_split: MakeSplit) -> None:
    batch = ChatLoader(make_split([4], [[0, 0, 1, 1]]), 5, seed=0).batch(0, 2)
    assert all(a.dtype == np.int64 and a.flags.writeable and a.flags.c_contiguous for a in batch)
