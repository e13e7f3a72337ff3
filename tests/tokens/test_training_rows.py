"""Rows of one document each, and contiguous streams that go on from step to step."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.errors import UserError
from bhasa.tokens.loader import IGNORED, WindowLoader
from bhasa.tokens.shard_reader import TokenSplit
from bhasa.tokens.special import END_OF_TEXT
from bhasa.tokens.training_rows import DocumentLoader, StreamLoader, training_rows

MakeSplit = Callable[..., TokenSplit]

LENGTHS = [13, 1, 40, 7, 22, 2, 18, 5, 9, 11, 6, 8]


@pytest.fixture(scope="module")
def split(make_split: MakeSplit) -> TokenSplit:
    return make_split(LENGTHS, shard_tokens=25)


@given(st.integers(2, 50), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_every_document_with_text_has_one_row_of_its_own(split: TokenSplit, context: int, seed: int) -> None:
    loader = DocumentLoader(split, context, seed=seed)
    batch = loader.batch(3, loader.rows_per_epoch)
    stream, found = split.read(0, split.tokens).tolist(), []
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        counted = [target for target in targets if target != IGNORED]
        assert inputs[0] == END_OF_TEXT
        assert set(inputs[len(counted) + 1 :]) <= {END_OF_TEXT}
        found.append(counted)
    texts = [
        stream[start + 1 : min(stop, start + context + 1)]
        for start, stop in zip(split.offsets[:-1].tolist(), split.offsets[1:].tolist(), strict=True)
    ]
    assert sorted(found) == sorted(text for text in texts if text)
    assert loader.left_out_tokens == sum(LENGTHS) - sum(len(text) + 1 for text in texts if text)


@given(st.integers(2, 9), st.integers(1, 8), st.integers(0, 2**32), st.integers(0, 10**9))
@settings(deadline=None, max_examples=60)
def test_a_slot_goes_on_where_it_stopped_unless_it_begins_anew(
    split: TokenSplit, context: int, batch_size: int, seed: int, step: int
) -> None:
    loader = StreamLoader(split, context, seed=seed)
    here, after = loader.batch(step, batch_size), loader.batch(step + 1, batch_size)
    begins = loader.begins(step + 1, batch_size)
    stream = split.read(0, split.tokens).tolist()
    follows = {token: stream[(i + 1) % len(stream)] for i, token in enumerate(stream) if token}
    for slot in range(batch_size):
        last, first = here.targets[slot, -1], after.inputs[slot, 0]
        assert begins[slot] or last == first
        if last != END_OF_TEXT and not begins[slot]:
            assert follows[int(last)] == after.inputs[slot, 1]
    half = slice(batch_size // 2, batch_size)
    assert np.array_equal(loader.batch(step, batch_size, half).inputs, here.inputs[half])
    assert np.array_equal(loader.begins(step + 1, batch_size, half), begins[half])


def test_an_epoch_of_streams_reads_no_token_twice_and_every_epoch_begins_anew(split: TokenSplit) -> None:
    loader, batch_size = StreamLoader(split, 6, seed=5), 4
    steps = split.tokens // batch_size // 6
    assert [step for step in range(3 * steps) if loader.begins(step, batch_size).all()] == [
        0,
        steps,
        2 * steps,
    ]
    read = np.concatenate([loader.batch(step, batch_size).inputs for step in range(steps)]).ravel()
    numbers = read[read != END_OF_TEXT]
    assert len(numbers) == len(set(numbers.tolist()))
    assert len(read) == steps * batch_size * 6


def test_streams_that_fill_no_row_are_refused(split: TokenSplit) -> None:
    with pytest.raises(UserError, match=r"142 tokens do not fill 5 rows of 30; lower tokens_per_step"):
        StreamLoader(split, 30, seed=0).batch(0, 5)


def test_the_kind_of_rows_chooses_the_loader(split: TokenSplit) -> None:
    for kind, loader in [("packed", WindowLoader), ("documents", DocumentLoader), ("streams", StreamLoader)]:
        assert type(training_rows(split, 8, kind=kind, mix=None, seed=0)) is loader  # type: ignore[arg-type]
