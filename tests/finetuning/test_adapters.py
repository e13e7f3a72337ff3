import json
import os
import subprocess
import sys

import pytest
import torch
import transformers
from peft import PeftModel
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bhasa import bundle
from bhasa.errors import BhasaError, UserError
from bhasa.finetuning import adapters
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

ADAPTED = ["in_proj", "x_proj", "dt_proj", "out_proj"]


def loss_of(model, ids):
    logits, _ = model(ids[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def tuned(model, config, ids, steps=5):
    adapted = adapters.attach(model, config, seed=1)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(model.train(), ids).backward()
        optimizer.step()
    return adapted, model.eval()


@pytest.mark.parametrize(
    "target", ["q_proj", "lm_head", "conv1d", "mixer", "backbone.layers.0.mixer.in_proj"]
)
def test_a_target_that_names_no_projection_is_refused_before_anything_changes(model, make_config, target):
    names = [name for name, _ in model.named_parameters()]
    message = (
        rf"finetune.targets: {target}: no such projection in the model; "
        "there are: dt_proj, in_proj, out_proj, x_proj"
    )
    with pytest.raises(UserError, match=message):
        adapters.attach(model, make_config(targets=("in_proj", target)), seed=0)
    assert [name for name, _ in model.named_parameters()] == names


def test_a_model_with_an_mlp_offers_its_projections_too(make_config, ids):
    model = build(ModelConfig(d_model=24, n_layer=1, vocab_size=50, d_intermediate=8), seed=0)
    adapters.attach(model, make_config(targets=("fc1", "fc2")), seed=0)
    loss_of(model, ids).backward()
    assert sum("lora_B" in name and bool(p.grad.any()) for name, p in model.named_parameters()) == 2


@pytest.mark.parametrize("ssm", ["mamba", "mamba2"])
def test_all_reaches_every_projection_of_every_mixer_and_merges(ssm, make_config, ids):
    values = {"pattern": "M*-", "ssm": ssm, "headdim": 8, "d_intermediate": 16, "attention": {"num_heads": 2}}
    model = build(
        ModelConfig.parse({"d_model": 24, "n_layer": 3, "vocab_size": 50, **values}, "a hybrid"), seed=0
    )
    linear = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head"]
    adapted, model = tuned(model, make_config(targets=("all",)), ids)
    learnt = {name for name, p in model.named_parameters() if "lora_B" in name and p.any()}
    assert learnt == {f"{name}.lora_B.default.weight" for name in linear}
    with torch.no_grad():
        expected = model(ids)[0]
        torch.testing.assert_close(adapters.merge(adapted)(ids)[0], expected, rtol=1e-4, atol=1e-5)


def test_fresh_adapters_change_nothing_to_the_bit(model, make_config, ids):
    with torch.no_grad():
        before = model(ids)[0]
        adapters.attach(model, make_config(), seed=0)
        assert torch.equal(model(ids)[0], before)


def test_only_adapters_train_and_every_one_is_reached(model, make_config, ids):
    base = {name: p.detach().clone() for name, p in model.named_parameters()}
    adapters.attach(model, make_config(), seed=0)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    special_tokens = {name for name in trained if "trainable_tokens_delta" in name}
    assert len(special_tokens) == 1  # the rows of the conversation's special tokens, shared with the output
    assert len(trained - special_tokens) == 2 * len(ADAPTED) * 2  # A and B, per projection, per layer
    assert all("lora_" in name for name in trained - special_tokens)
    loss_of(model, ids).backward()
    for layer in model.backbone.layers:
        for target in ADAPTED:
            module = getattr(layer.mixer, target)
            assert module.lora_B["default"].weight.grad.abs().sum() > 0, target
            assert not module.lora_B["default"].weight.any()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    optimizer.step()
    after = {
        name.replace(".token_adapter", "").replace(".base_layer", ""): p
        for name, p in model.named_parameters()
    }
    assert all(torch.equal(base[name], after[name]) for name in base)


def test_the_seed_decides_the_adapters(base, make_config):
    def first_matrix(seed):
        model = bundle.load(base)
        torch.manual_seed(7 + seed)
        adapters.attach(model, make_config(), seed=seed // 2)
        return model.backbone.layers[0].mixer.in_proj.lora_A["default"].weight

    assert torch.equal(first_matrix(0), first_matrix(1))
    assert not torch.equal(first_matrix(0), first_matrix(2))


@torch.no_grad()
def test_the_merged_model_computes_what_the_adapted_one_does(base, model, make_config, ids):
    with torch.enable_grad():
        adapted, model = tuned(model, make_config(), ids)
    expected, original = model(ids)[0], bundle.load(base)(ids)[0]
    assert (expected - original).abs().max() > 0.1  # tuning has changed something
    merged = adapters.merge(adapted)
    assert (merged(ids)[0] - expected).abs().max() < 1e-5 * expected.abs().max()
    assert merged.state_dict().keys() == bundle.load(base).state_dict().keys()
    assert all(p.requires_grad for p in merged.parameters())
    assert merged.lm_head.weight is merged.backbone.embeddings.weight


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # theirs, to each other
@torch.no_grad()
def test_the_saved_adapter_opens_in_peft_on_the_base_opened_by_transformers(
    base, model, make_config, ids, tmp_path
):
    with torch.enable_grad():
        # transformers reads the weights of the other two itself and would bypass their adapters
        config = make_config(targets=("in_proj", "x_proj"))
        adapted, model = tuned(model, config, ids)
    adapters.write(adapted, tmp_path / "adapter", base=base)
    theirs = PeftModel.from_pretrained(
        transformers.AutoModelForCausalLM.from_pretrained(base), str(tmp_path / "adapter")
    )
    torch.testing.assert_close(theirs(input_ids=ids).logits, model(ids)[0], rtol=1e-4, atol=1e-4)


def test_another_loss_than_the_expected_is_a_fault():
    adapters.require_equal(1.5, 1.5)
    adapters.require_equal(1.500001, 1.5)
    with pytest.raises(BhasaError, match=r"loss is 1.5001 where it must be 1.5"):
        adapters.require_equal(1.5001, 1.5)
    with pytest.raises(BhasaError, match="nan"):
        adapters.require_equal(float("nan"), 1.5)


SAVE = """
import sys
from pathlib import Path
from bhasa import bundle
from bhasa.finetuning import adapters
from bhasa.finetuning.config import FinetuneConfig

config = FinetuneConfig(context_length=16, tokens_per_step=32, learning_rate=0.1, rank=3, alpha=6.0,
                        targets=("x_proj", "out_proj", "in_proj", "dt_proj"))
adapted = adapters.attach(bundle.load(Path(sys.argv[1])), config, seed=0)
adapters.write(adapted, Path(sys.argv[2]), base=Path("models/base"))
"""


@pytest.mark.slow
def test_the_adapter_s_bytes_do_not_depend_on_the_hash_seed(base, tmp_path):
    for seed in ("0", "3"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SAVE, str(base), str(tmp_path / seed)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    written = {path.name: path.read_bytes() for path in (tmp_path / "0").iterdir()}
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "3").iterdir()}
    assert sorted(written) == ["adapter_config.json", "adapter_model.safetensors"]
    config = json.loads(written["adapter_config.json"])
    assert config["base_model_name_or_path"] == "models/base"
    assert config["target_modules"] == sorted(ADAPTED)


@torch.no_grad()
def test_an_untied_output_learns_the_special_tokens_too(make_config, ids):
    model = build(ModelConfig(d_model=24, n_layer=1, vocab_size=50, tie_embeddings=False), seed=0)
    before = model.lm_head.weight.clone()
    with torch.enable_grad():
        adapted, model = tuned(model, make_config(), ids)
    expected = model(ids)[0]
    merged = adapters.merge(adapted)
    torch.testing.assert_close(merged(ids)[0], expected, rtol=1e-4, atol=1e-4)
    changed = (merged.lm_head.weight != before).any(dim=1).nonzero().flatten().tolist()
    assert changed == list(adapters.SPECIAL_TOKEN_IDS)


class LargestTensor(TorchDispatchMode):
    """Numbers in the largest result of any operation."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        results = function(*args, **kwargs or {})
        tensors = [leaf for leaf in tree_leaves(results) if isinstance(leaf, torch.Tensor)]
        self.numel = max([self.numel, *(tensor.numel() for tensor in tensors)])
        return results


@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_of_an_adapted_model_never_holds_all_logits_and_is_the_plain_one(make_config, tied):
    config = ModelConfig(d_model=16, n_layer=1, vocab_size=20_000, d_state=4, tie_embeddings=tied)
    model = build(config, seed=0)
    adapters.attach(model, make_config(), seed=1)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for number, parameter in enumerate(trained.values()):  # as after some steps: nothing is zero
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
    ids = torch.randint(config.vocab_size, (2, 513), generator=torch.Generator().manual_seed(0))
    ids[:, ::7] = adapters.SPECIAL_TOKEN_IDS[0]
    with LargestTensor() as largest:
        loss = model(ids[:, :-1], targets=ids[:, 1:])
        gradients = torch.autograd.grad(loss, list(trained.values()))
    assert largest.numel <= config.vocab_size * config.d_model
    plain = F.cross_entropy(model(ids[:, :-1])[0].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
    torch.testing.assert_close(loss, plain)
    for name, found, expected in zip(
        trained, gradients, torch.autograd.grad(plain, list(trained.values())), strict=True
    ):
        assert expected.any(), name
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
