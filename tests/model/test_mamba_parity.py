"""The same folder in transformers and here: the same logits, loss, gradients and text."""

import pytest
import torch
import transformers
from torch.nn import functional as F

from bhasa import bundle
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

CONFIGS = {
    "small": {"d_model": 32, "n_layer": 3, "vocab_size": 60},
    "odd": {
        "d_model": 24,
        "n_layer": 2,
        "vocab_size": 61,
        "d_state": 5,
        "d_conv": 3,
        "expand": 3,
        "dt_rank": 7,
    },
    "untied-biased": {
        "d_model": 32,
        "n_layer": 2,
        "vocab_size": 60,
        "tie_embeddings": False,
        "use_bias": True,
        "conv_bias": False,
    },
    "mamba2": {"ssm": "mamba2", "d_model": 32, "n_layer": 3, "vocab_size": 60, "d_state": 16, "headdim": 8},
    "mamba2-odd-groups": {
        "ssm": "mamba2",
        "d_model": 20,
        "n_layer": 2,
        "vocab_size": 61,
        "d_state": 7,
        "d_conv": 3,
        "expand": 3,
        "headdim": 5,
        "ngroups": 3,
    },
    "mamba2-untied-biased": {
        "ssm": "mamba2",
        "d_model": 32,
        "n_layer": 2,
        "vocab_size": 60,
        "d_state": 8,
        "headdim": 16,
        "ngroups": 2,
        "tie_embeddings": False,
        "use_bias": True,
        "conv_bias": False,
    },
    "mamba2-limited": {
        "ssm": "mamba2",
        "d_model": 32,
        "n_layer": 2,
        "vocab_size": 60,
        "d_state": 8,
        "headdim": 8,
        "dt_limit": (0.02, 0.05),
    },
}
CLASSES = {"mamba": transformers.MambaForCausalLM, "mamba2": transformers.Mamba2ForCausalLM}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS, scope="module")
def pair(request, tmp_path_factory):
    """Our model and transformers', both from a folder that we wrote."""
    folder = tmp_path_factory.mktemp("parity")
    (folder / "tokenizer").mkdir()
    model = build(ModelConfig(**request.param, initializer_range=0.3), seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("D", "bias", "norm.weight", "norm_f.weight")) and "dt_proj" not in name:
                # initial ones and zeros would hide an exchange
                parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
            if name.endswith(("in_proj.weight", "x_proj.weight", "out_proj.weight")):
                parameter *= 6  # mixers that say more than the residual: else the text is one token for ever
    bundle.save(folder / "ours", model, tokenizer=folder / "tokenizer", provenance={})
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder / "ours")
    assert type(theirs) is CLASSES[model.config.ssm]
    theirs.save_pretrained(folder / "theirs", max_shard_size="20KB")
    assert (folder / "theirs/model.safetensors.index.json").is_file()
    return bundle.load(folder / "ours"), theirs, bundle.load(folder / "theirs")


@pytest.fixture
def ids():
    return torch.randint(60, (2, 45), generator=torch.Generator().manual_seed(2))


def test_what_transformers_writes_is_read_here_to_the_bit(pair):
    ours, _, back = pair
    assert back.config.model_copy(update={"dt_rank": "auto"}) == ours.config.model_copy(
        update={"dt_rank": "auto"}
    )
    found, expected = back.state_dict(), ours.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_logits_loss_and_all_gradients_agree(pair, ids):
    ours, theirs, _ = pair
    logits, _ = ours(ids)
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    published = theirs(input_ids=ids, labels=ids)
    torch.testing.assert_close(logits, published.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss, published.loss, rtol=1e-5, atol=1e-6)
    ours.zero_grad()
    theirs.zero_grad()
    loss.backward()
    published.loss.backward()
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    found = {name: parameter.grad for name, parameter in ours.named_parameters()}
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        error = (gradient - expected[name]).abs().max()
        assert error <= 1e-4 * expected[name].abs().max() + 1e-7, name


@torch.no_grad()
def test_both_write_the_same_text_greedily(pair, ids):
    ours, theirs, _ = pair
    prompt = ids[:1, :7]
    expected = theirs.generate(
        prompt,
        max_new_tokens=64,
        do_sample=False,
        eos_token_id=None,
        attention_mask=torch.ones_like(prompt),
        use_cache=ours.config.dt_limit is None,  # their step by step decoding forgets the limits
    )[0, 7:]
    logits, state = ours(prompt)
    token, found = logits[:, -1].argmax(-1), []
    for _ in range(64):
        found.append(int(token))
        logits, state = ours.step(token, state)
        token = logits.argmax(-1)
    assert found == expected.tolist()
    assert len(set(found)) > 3  # no mere repetition, in which any model would agree
