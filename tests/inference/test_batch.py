"""Texts decoded side by side: each is what it would be alone, whoever joins and leaves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.inference import batch as module
from bhasa.inference.batch import BatchDecoder
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate
from bhasa.inference.sampling import sample_rows
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

CASES = {
    "mamba": {},
    "mamba without native steps": {"backend": "chunked"},
    "mamba2": {"ssm": "mamba2", "headdim": 8, "d_intermediate": 24},
    "hybrid": {"pattern": "M*-*", "d_intermediate": 24, "attention": {"num_heads": 4, "num_heads_kv": 2}},
    "window": {"pattern": "*M", "attention": {"num_heads": 2, "window": 6, "positions": "alibi"}},
}
PROMPTS = [[0, 17, 250, 3, 99, 4], [5], [9, 9, 8], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [200]]
NEAR = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(params=CASES.values(), ids=CASES, scope="module")
def model(request):
    values = dict(request.param)
    backend = values.pop("backend", "auto")
    config = ModelConfig.parse(
        {"d_model": 16, "n_layer": 4, "vocab_size": 300, "initializer_range": 0.5, "tie_embeddings": False}
        | values,
        "a case",
    )
    return build(config, seed=0, backend=backend).eval()


def expected(model, ids):
    with torch.inference_mode():
        return model(torch.tensor([ids]))[0][0, -1]


def test_texts_written_together_are_those_written_alone(model):
    """Each with its own sampling, and gone when it is finished."""
    samplings = [
        SamplingConfig(max_new_tokens=6 + 3 * i, temperature=0.5 * i, top_k=10 * i, seed=i)
        for i in range(len(PROMPTS))
    ]
    alone = [list(generate(model, ids, sampling)) for ids, sampling in zip(PROMPTS, samplings, strict=True)]
    decoder = BatchDecoder(model)
    slots = [decoder.open(ids) for ids in PROMPTS]
    written = [[] for _ in slots]
    while ready := [i for i, s in enumerate(samplings) if len(written[i]) < s.max_new_tokens]:
        logits = decoder.next_logits([slots[i] for i in ready])
        tokens = sample_rows(logits, [samplings[i] for i in ready], [len(written[i]) for i in ready])
        for i, token in zip(ready, tokens, strict=True):
            written[i].append(token)
            slots[i].unread.append(token)
    assert written == alone


@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_whoever_is_ready_is_read_in_any_order_and_as_much_as_there_is(model, data):
    decoder = BatchDecoder(model)
    texts = [list(ids) for ids in PROMPTS]
    slots = [decoder.open(ids) for ids in texts]
    for _ in range(data.draw(st.integers(1, 8))):
        ready = data.draw(
            st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=len(texts), unique=True)
        )
        for i in ready:
            count = data.draw(st.sampled_from([1, 1, 1, 2, 5]))
            following = data.draw(st.lists(st.integers(0, 299), min_size=count, max_size=count))
            texts[i] += following
            slots[i].unread.extend(following)
        logits = decoder.next_logits([slots[i] for i in ready])
        assert logits.shape == (len(ready), 300)
        for row, i in zip(logits, ready, strict=True):
            assert not slots[i].unread
            torch.testing.assert_close(row, expected(model, texts[i]), **NEAR)


def test_slots_read_alone_by_turns_have_the_bits_of_a_decoder_each(model):
    """The native step keeps one state in place, which must not be another's."""
    together = BatchDecoder(model)
    slots = [together.open(ids) for ids in PROMPTS[:2]]
    apart = [BatchDecoder(model) for _ in slots]
    others = [decoder.open(ids) for decoder, ids in zip(apart, PROMPTS[:2], strict=True)]
    for token in (4, 8, 15, 16, 23):
        for slot, decoder, other in zip(slots, apart, others, strict=True):
            assert torch.equal(together.next_logits([slot]), decoder.next_logits([other]))
            slot.unread.append(token)
            other.unread.append(token)


def test_a_text_goes_on_twice_from_one_state(model):
    decoder = BatchDecoder(model)
    slot = decoder.open(PROMPTS[0])
    decoder.next_logits([slot])
    slot.unread.append(7)
    decoder.next_logits([slot])  # a native step, where there is one
    copy = decoder.open([8], state=decoder.state(slot))
    slot.unread.append(9)
    logits = decoder.next_logits([copy, slot])
    torch.testing.assert_close(logits[0], expected(model, [*PROMPTS[0], 7, 8]), **NEAR)
    torch.testing.assert_close(logits[1], expected(model, [*PROMPTS[0], 7, 9]), **NEAR)


def test_a_batch_that_stays_is_not_copied_between_steps(model, monkeypatch):
    decoder = BatchDecoder(model)
    slots = [decoder.open(ids) for ids in PROMPTS]
    decoder.next_logits(slots)
    for slot in slots:
        slot.unread.append(1)
    decoder.next_logits(slots)  # joins them
    for name in ("select_state", "join_states"):
        monkeypatch.delattr(type(model), name)
    for slot in slots:
        slot.unread.append(2)
    decoder.next_logits(slots)


def test_a_prompt_longer_than_a_chunk_is_read_in_chunks(model, monkeypatch):
    monkeypatch.setattr(module, "PREFILL_CHUNK", 5)
    decoder = BatchDecoder(model)
    slots = [decoder.open(PROMPTS[i]) for i in (3, 1, 0)]  # 12, 1 and 6 tokens
    for row, i in zip(decoder.next_logits(slots), (3, 1, 0), strict=True):
        torch.testing.assert_close(row, expected(model, PROMPTS[i]), **NEAR)


def test_what_cannot_be_read_is_refused(model):
    decoder = BatchDecoder(model)
    with pytest.raises(ValueError, match="feed at least one token first"):
        decoder.next_logits([decoder.open([1]), decoder.open()])
    slot = decoder.open([1])
    with pytest.raises(ValueError, match="name it once"):
        decoder.next_logits([slot, slot])
