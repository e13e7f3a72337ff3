"""Steps in native code: those of the model, in any number of threads, and only where they stand for it."""

import pytest
import torch
from torch import nn

from bhasa.inference import native as module
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import Decoder, generate
from bhasa.inference.native import NativeStepper, missing
from bhasa.inference.native.attention import SMALLEST_CACHE
from bhasa.model.block import Block
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.model.mixers.mamba import Mamba
from bhasa.ops import native

pytestmark = pytest.mark.skipif(
    native.missing(torch.device("cpu"), torch.float32) is not None, reason="the kernels are not built"
)
GREEDY = SamplingConfig(temperature=0.0, max_new_tokens=64)
GROUPS = {"ssm": "mamba2", "headdim": 8, "ngroups": 3, "dt_limit": (0.05, 0.4), "d_state": 21}
ODD = {"d_model": 37, "expand": 3, "vocab_size": 101}
CASES = {
    "plain": {},
    "untied": {"tie_embeddings": False},
    "biased": {"use_bias": True, "conv_bias": False},
    "five states, two taps": {"d_state": 5, "d_conv": 2},
    "seventeen states, seven taps": {"d_state": 17, "d_conv": 7},
    "odd": {**ODD, "dt_rank": 7},
    "narrow": {"d_model": 8, "expand": 1, "vocab_size": 3},
    "mamba2": {"ssm": "mamba2", "headdim": 16},
    "mamba2: groups and limits": GROUPS,
    "mamba2: biased": {**GROUPS, "use_bias": True, "conv_bias": False},
    "mamba2: odd": {**ODD, "ssm": "mamba2", "headdim": 37, "ngroups": 3, "d_state": 5, "d_conv": 2},
    "attention": {"pattern": "*", "attention": {"num_heads": 3}},
    "attention: grouped, biased": {
        "pattern": "*",
        "use_bias": True,
        "attention": {"num_heads": 6, "num_heads_kv": 2, "head_dim": 10},
    },
    "attention: ALiBi": {"pattern": "*", "attention": {"num_heads": 6, "positions": "alibi"}},
    "attention: a window": {"pattern": "*", "attention": {"num_heads": 6, "num_heads_kv": 3, "window": 7}},
    "attention: ALiBi in a window": {
        "pattern": "*",
        "attention": {"num_heads": 2, "positions": "alibi", "window": 20},
    },
    "attention: one token": {"pattern": "*", "attention": {"num_heads": 2, "window": 1}},
    "attention: no positions": {
        "pattern": "*",
        "attention": {"num_heads": 4, "num_heads_kv": 1, "positions": "none", "rope_theta": 50.0},
    },
    "mlp": {"pattern": "M-M", "d_intermediate": 50},
    "layer norm": {"norm": "layer", "norm_eps": 1e-3},
    "mlp after each mixer": {"d_intermediate": 29, "norm_eps": 1e-3},
    "hybrid": {**GROUPS, "pattern": "M*M", "attention": {"num_heads": 4}, "d_intermediate": 29},
    "hybrid: layer norm": {
        "pattern": "M*-",
        "norm": "layer",
        "d_intermediate": 16,
        "attention": {"num_heads": 4, "num_heads_kv": 2, "window": 33},
    },
}
ARCHITECTURES = {
    name: CASES[name] for name in ("plain", "mamba2", "attention", "hybrid", "hybrid: layer norm")
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


def assert_same_state(one, other):
    for mine, theirs in zip(one, other, strict=True):
        assert type(mine) is type(theirs)
        for part, expected in zip(mine, theirs, strict=True):
            torch.testing.assert_close(part, expected, rtol=1e-4, atol=2e-5)


def assert_steps_of(model, state, tokens):
    """A stepper that goes on from `state` gives what the model gives; returns it and the model's state."""
    stepper, own = NativeStepper(model), state
    for token in tokens:
        expected, state = model.step(torch.tensor([token]), state)
        torch.testing.assert_close(stepper.step(token, own), expected[0], rtol=1e-4, atol=2e-5)
        own = stepper.state
    assert_same_state(stepper.state, state)
    return stepper, state


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_steps_are_those_of_the_model(native_version, case):
    model = random_model(**CASES[case])
    assert missing(model) is None
    assert_steps_of(model, model.initial_state(1), random_tokens(model, 40))


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_steps_and_chunks_go_on_from_each_other(native_version, case):
    model = random_model(**CASES[case])
    tokens = random_tokens(model, 79)
    _, state = model(torch.tensor([tokens[:30]]))
    stepper, state = assert_steps_of(model, state, tokens[30:70])
    logits, own = model(torch.tensor([tokens[70:]]), stepper.state)
    expected, state = model(torch.tensor([tokens[70:]]), state)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=2e-5)
    assert_same_state(own, state)


@pytest.mark.parametrize("window", [None, 50, 200])
@torch.inference_mode()
def test_a_cache_outgrows_its_room(native_version, window):
    given = {"num_heads": 2, "num_heads_kv": 1, "window": window}
    model = random_model(d_model=16, n_layer=1, pattern="*", attention=given)
    steps = 4 * SMALLEST_CACHE + 5  # more than two blocks of columns
    stepper, _ = assert_steps_of(model, model.initial_state(1), random_tokens(model, steps))
    assert stepper.state[0].keys.shape[2] == min(steps, (window or steps + 1) - 1)


@pytest.mark.parametrize("positions", ["rope", "alibi"])
@torch.inference_mode()
def test_what_lies_in_a_cache_from_another_document_is_not_seen(positions):
    model = random_model(pattern="M*M", attention={"num_heads": 4, "positions": positions})
    packed = torch.tensor([[0] * 11 + [1] * 9])
    _, state = model(torch.tensor([random_tokens(model, 20)]), segment_ids=packed)
    assert state[1].length < state[1].keys.shape[2]
    assert_steps_of(model, state, random_tokens(model, 30))


LARGE = {  # above ALONE of decode.h
    "mamba": {"d_model": 250},
    "mamba2": {"d_model": 252, "ssm": "mamba2", "headdim": 28, "ngroups": 3, "d_intermediate": 70},
    "attention": {"d_model": 252, "pattern": "*", "attention": {"num_heads": 6, "num_heads_kv": 2}},
    "hybrid": {
        "d_model": 256,
        "pattern": "M*-",
        "d_intermediate": 90,
        "norm": "layer",
        "attention": {"num_heads": 2, "head_dim": 6, "positions": "alibi"},
    },
}


@pytest.mark.parametrize("case", LARGE)
@torch.inference_mode()
def test_any_number_of_threads_gives_the_same_bits(case):
    model = random_model(vocab_size=20_000, **LARGE[case])
    _, state = model(torch.tensor([random_tokens(model, 300)]))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            stepper = NativeStepper(model)
            logits = [stepper.step(7, state)]
            logits += [stepper.step(token, stepper.state) for token in random_tokens(model, 5)]
            found.append(torch.cat([*logits, *(part.flatten() for layer in stepper.state for part in layer)]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("case", ARCHITECTURES)
def test_another_state_is_read_and_not_changed(case):
    model = random_model(**ARCHITECTURES[case])
    _, state = model(torch.tensor([random_tokens(model, 6)]))
    copies = [part.clone() for layer in state for part in layer]
    stepper = NativeStepper(model)
    first = stepper.step(7, state)
    stepper.step(8, stepper.state)
    assert torch.equal(stepper.step(7, state), first)
    assert all(map(torch.equal, copies, (part for layer in state for part in layer)))


@pytest.mark.parametrize("case", ARCHITECTURES)
def test_a_snapshot_outlives_the_steps_after_it(case):
    decoder = Decoder(random_model(**ARCHITECTURES[case]))
    decoder.feed([3])
    next(decoder.write(GREEDY))
    before = decoder.snapshot()
    first = list(decoder.write(GREEDY))
    for _ in range(2):
        decoder.restore(before)
        assert list(decoder.write(GREEDY)) == first


@pytest.mark.parametrize("prompt", [[5], [5, 2, 9, 11]])
@pytest.mark.parametrize("case", ARCHITECTURES)
def test_text_is_that_of_torch(monkeypatch, case, prompt):
    model = random_model(tie_embeddings=False, **ARCHITECTURES[case])
    written = list(generate(model, prompt, GREEDY))
    monkeypatch.setattr(module, "missing", lambda model: "as asked")
    assert list(generate(model, prompt, GREEDY)) == written


class Adapter(nn.Linear):
    """A projection with something around it."""


def adapted(name, **values):
    """With an adapter around a projection of the second block."""
    model = random_model(**values)
    holder, _, last = name.rpartition(".")
    parent = model.backbone.layers[1].get_submodule(holder)
    old = getattr(parent, last)
    setattr(parent, last, Adapter(old.in_features, old.out_features, bias=old.bias is not None))
    return model


def with_another(name, module):
    model = random_model(d_intermediate=16)
    setattr(model.backbone.layers[1], name, module)
    return model


class Other(Mamba):
    """A mixer that the kernel does not know."""


class OtherBlock(Block):
    """A block that the kernel does not know."""


def with_other_block():
    model = random_model()
    model.backbone.layers[2] = OtherBlock(model.config, "mamba")
    return model


def slow(**values):
    return build(ModelConfig(d_model=16, n_layer=1, headdim=4, **values), seed=0, backend="reference")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: with_another("norm", nn.LayerNorm(48)), "norm is a LayerNorm"),
        (lambda: with_another("norm2", nn.LayerNorm(48)), "norm2 is a LayerNorm"),
        (lambda: with_another("mlp", nn.Linear(48, 48)), "mlp is a Linear"),
        (lambda: with_another("mixer", Other(random_model().config)), "mixer is a Other"),
        (with_other_block, "a block is a OtherBlock"),
        (lambda: random_model(dropout=0.1).train(), "drops"),
        (slow, "backend is reference"),
        (lambda: slow(ssm="mamba2", norm="layer"), "backend is reference"),
        (lambda: slow(pattern="*"), "backend is reference"),
        (lambda: random_model().bfloat16(), "not plain float32"),
        (lambda: random_model().double(), "not plain float32"),
        (lambda: random_model().to("meta"), "on the CPU"),
        (lambda: nn.Sequential(random_model()), "Sequential"),
        *(
            (lambda name=name: adapted(f"mixer.{name}"), f"{name} is a")
            for name in ("in_proj", "x_proj", "dt_proj", "out_proj")
        ),
        *(
            (lambda name=name: adapted(f"mixer.{name}", **GROUPS), f"{name} is a")
            for name in ("in_proj", "out_proj")
        ),
        *(
            (lambda name=name: adapted(f"mixer.{name}", **CASES["attention"]), f"{name} is a")
            for name in ("q_proj", "k_proj", "v_proj", "o_proj")
        ),
        (lambda: adapted("mixer.mlp.fc1", **CASES["mlp"]), "fc1 is a"),
        (lambda: adapted("mlp.fc2", d_intermediate=16), "fc2 is a"),
    ],
)
def test_other_models_keep_their_own_step(make, reason):
    assert reason in missing(make())


def test_without_native_steps_the_model_steps():
    model = adapted("mixer.out_proj")
    calls, original = [], model.step
    model.step = lambda *arguments: calls.append(1) or original(*arguments)
    assert len(list(generate(model, [5], GREEDY))) == 64
    assert len(calls) == 64


def test_a_token_beyond_the_vocabulary_is_refused():
    stepper = NativeStepper(random_model())
    for token in (-1, 300):
        with pytest.raises(IndexError, match="vocabulary of 300"):
            stepper.step(token, stepper.state)
