"""Steps in native code: those of the model, in any number of threads, and only where they stand for it."""

import pytest
import torch
from torch import nn

from bhasa.inference import native as module
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import Decoder, generate
from bhasa.inference.native import NativeStepper, missing
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.ops import native

pytestmark = pytest.mark.skipif(
    native.missing(torch.device("cpu"), torch.float32) is not None, reason="the kernels are not built"
)
GREEDY = SamplingConfig(temperature=0.0, max_new_tokens=64)
CASES = {
    "plain": {},
    "untied": {"tie_embeddings": False},
    "biased": {"use_bias": True, "conv_bias": False},
    "five states, two taps": {"d_state": 5, "d_conv": 2},
    "seventeen states, seven taps": {"d_state": 17, "d_conv": 7},
    "odd": {"d_model": 37, "expand": 3, "vocab_size": 101, "dt_rank": 7},
    "narrow": {"d_model": 8, "expand": 1, "vocab_size": 3},
}


def random_model(**values):
    config = ModelConfig(**{"d_model": 48, "n_layer": 3, "vocab_size": 300, **values})
    model = build(config, seed=0).eval()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def random_tokens(model, count):
    random = torch.Generator().manual_seed(2)
    return torch.randint(model.config.vocab_size, (count,), generator=random).tolist()


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_steps_are_those_of_the_model(native_version, case):
    model = random_model(**CASES[case])
    stepper, state = NativeStepper(model), model.initial_state(1)
    for token in random_tokens(model, 40):
        expected, state = model.step(torch.tensor([token]), state)
        torch.testing.assert_close(stepper.step(token, stepper.state), expected[0], rtol=1e-4, atol=2e-5)
    for own, other in zip(stepper.state, state, strict=True):
        torch.testing.assert_close(own.conv, other.conv, rtol=1e-4, atol=2e-5)
        torch.testing.assert_close(own.ssm, other.ssm, rtol=1e-4, atol=2e-5)


def test_any_number_of_threads_gives_the_same_bits():
    model = random_model(d_model=250, vocab_size=20_000)  # above ALONE of decode.h
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            stepper = NativeStepper(model)
            logits = [stepper.step(token, stepper.state) for token in random_tokens(model, 5)]
            found.append(torch.cat([*logits, *(part.flatten() for layer in stepper.state for part in layer)]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_another_state_is_read_and_not_changed():
    model = random_model()
    _, state = model(torch.tensor([random_tokens(model, 6)]))
    copies = [part.clone() for layer in state for part in layer]
    stepper = NativeStepper(model)
    first = stepper.step(7, state)
    stepper.step(8, stepper.state)
    assert torch.equal(stepper.step(7, state), first)
    assert all(map(torch.equal, copies, (part for layer in state for part in layer)))


def test_a_snapshot_outlives_the_steps_after_it():
    decoder = Decoder(random_model())
    decoder.feed([3])
    next(decoder.write(GREEDY))
    before = decoder.snapshot()
    first = list(decoder.write(GREEDY))
    for _ in range(2):
        decoder.restore(before)
        assert list(decoder.write(GREEDY)) == first


@pytest.mark.parametrize("prompt", [[5], [5, 2, 9, 11]])
def test_text_is_that_of_torch(monkeypatch, prompt):
    model = random_model(tie_embeddings=False)
    written = list(generate(model, prompt, GREEDY))
    monkeypatch.setattr(module, "missing", lambda model: "as asked")
    assert list(generate(model, prompt, GREEDY)) == written


class Adapter(nn.Linear):
    """A projection with something around it."""


def adapted(name):
    model = random_model()
    mixer = model.backbone.layers[1].mixer
    old = getattr(mixer, name)
    setattr(mixer, name, Adapter(old.in_features, old.out_features, bias=old.bias is not None))
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: random_model(norm="layer"), "norm_f is a LayerNorm"),
        (lambda: random_model(d_intermediate=16), "more than norm and mixer"),
        (lambda: random_model(dropout=0.1).train(), "drops"),
        (
            lambda: build(ModelConfig(d_model=16, n_layer=1), seed=0, backend="reference"),
            "backend is reference",
        ),
        (lambda: random_model().bfloat16(), "not plain float32"),
        (lambda: random_model().double(), "not plain float32"),
        (lambda: random_model().to("meta"), "on the CPU"),
        (lambda: nn.Sequential(random_model()), "Sequential"),
        *(
            (lambda name=name: adapted(name), f"{name} is a")
            for name in ("in_proj", "x_proj", "dt_proj", "out_proj")
        ),
    ],
)
def test_other_models_keep_their_own_step(make, reason):
    assert reason in missing(make())


def test_without_native_steps_the_model_steps():
    model = adapted("out_proj")
    calls, original = [], model.step
    model.step = lambda *arguments: calls.append(1) or original(*arguments)
    assert len(list(generate(model, [5], GREEDY))) == 64
    assert len(calls) == 64


def test_a_token_beyond_the_vocabulary_is_refused():
    stepper = NativeStepper(random_model())
    for token in (-1, 300):
        with pytest.raises(IndexError, match="vocabulary of 300"):
            stepper.step(token, stepper.state)
