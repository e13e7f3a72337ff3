import pytest
import torch

from bhasa.inference import batch as module
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import Decoder, generate

PROMPT = [0, 17, 250, 3, 99, 4]
GREEDY = SamplingConfig(temperature=0.0, max_new_tokens=20)
DRAWN = SamplingConfig(max_new_tokens=20, seed=5)


def by_full_forward(model, prompt, count):
    """Greedy decoding that reads everything again for each token."""
    ids = list(prompt)
    for _ in range(count):
        with torch.no_grad():
            logits, _ = model(torch.tensor([ids]))
        ids.append(int(logits[0, -1].argmax()))
    return ids[len(prompt) :]


def after(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]))


def assert_same_state(left, right):
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one.conv, other.conv, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(one.ssm, other.ssm, rtol=1e-4, atol=1e-5)


def test_decoding_step_by_step_equals_the_full_forward(model):
    assert list(generate(model, PROMPT, GREEDY)) == by_full_forward(model, PROMPT, 20)


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 6, 7])
def test_a_prompt_in_chunks_equals_the_prompt_at_once(model, chunk, monkeypatch):
    whole_logits, whole_state = after(model, PROMPT)
    monkeypatch.setattr(module, "PREFILL_CHUNK", chunk)
    decoder = Decoder(model)
    decoder.feed(PROMPT)
    torch.testing.assert_close(decoder.next_logits(), whole_logits[0, -1], rtol=1e-4, atol=1e-5)
    assert_same_state(decoder.state, whole_state)


def test_a_prompt_is_never_read_in_more_than_a_chunk_at_once(model):
    lengths = []
    hook = model.backbone.register_forward_pre_hook(
        lambda _, arguments: lengths.append(arguments[0].shape[1])
    )
    decoder = Decoder(model)
    decoder.feed(PROMPT * 200)
    decoder.next_logits()
    hook.remove()
    assert lengths == [512, 512, 176]


def test_the_state_after_writing_is_that_of_the_whole_text(model):
    decoder = Decoder(model)
    decoder.feed(PROMPT)
    written = list(decoder.write(DRAWN))
    assert len(written) == 20
    following = decoder.next_logits()
    logits, state = after(model, PROMPT + written)
    torch.testing.assert_close(following, logits[0, -1], rtol=1e-4, atol=1e-5)
    assert_same_state(decoder.state, state)


def test_the_state_does_not_grow(model):
    decoder = Decoder(model)
    decoder.feed(PROMPT)
    sizes = [[part.shape for layer in decoder.state for part in layer] for _ in decoder.write(DRAWN)]
    assert all(size == sizes[0] for size in sizes)


def test_the_seed_decides_the_text(model):
    drawn = list(generate(model, PROMPT, DRAWN))
    assert list(generate(model, PROMPT, DRAWN)) == drawn
    assert list(generate(model, PROMPT, DRAWN.model_copy(update={"seed": 6}))) != drawn


def test_generation_continues_from_a_given_state(model):
    _, state = after(model, PROMPT[:4])
    continued = generate(model, PROMPT[4:], GREEDY, state=state)
    assert list(continued) == list(generate(model, PROMPT, GREEDY))


def test_a_stop_token_ends_the_text_and_is_not_in_it(model):
    written = list(generate(model, PROMPT, GREEDY))
    stop = written[7]
    assert list(generate(model, PROMPT, GREEDY, stop_ids={stop})) == written[: written.index(stop)]


def test_a_restored_snapshot_continues_as_if_nothing_had_come_after_it(model):
    decoder = Decoder(model)
    decoder.feed(PROMPT)
    decoder.next_logits()
    decoder.feed([7])
    before = decoder.snapshot()
    first = list(decoder.write(GREEDY))
    decoder.restore(before)
    assert list(decoder.write(GREEDY)) == first
    decoder.restore(before)
    drawn = list(decoder.write(DRAWN))
    decoder.restore(before)
    assert list(decoder.write(DRAWN)) != drawn  # other draws, by their number


def test_an_abandoned_text_is_as_long_as_what_was_yielded(model):
    decoder = Decoder(model)
    decoder.feed(PROMPT)
    writing = decoder.write(DRAWN)
    written = [next(writing) for _ in range(5)]
    writing.close()
    torch.testing.assert_close(
        decoder.next_logits(), after(model, PROMPT + written)[0][0, -1], rtol=1e-4, atol=1e-5
    )


def test_gradients_are_off_inside_and_stay_on_for_the_caller(model):
    decoder = Decoder(model)
    decoder.feed(PROMPT)
    assert not decoder.next_logits().requires_grad
    writing = generate(model, PROMPT, GREEDY)
    next(writing)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_nothing_can_follow_nothing(model):
    with pytest.raises(ValueError, match="feed at least one token"):
        next(generate(model, [], GREEDY))
