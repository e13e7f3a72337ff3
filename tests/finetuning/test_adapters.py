import contextlib
import json
import os
import subprocess
import sys

import pytest
import torch
import transformers
from peft import AutoPeftModelForCausalLM, PeftModel
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bhasa import bundle
from bhasa.bundle.published import adaptable
from bhasa.errors import BhasaError, UserError
from bhasa.finetuning import adapters
from bhasa.finetuning.projections import projections
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
def test_a_target_that_names_no_projection_is_refused_before_anything_changes(model, lora, target):
    names = [name for name, _ in model.named_parameters()]
    message = (
        rf"finetune.adapter.targets: {target}: no such projection in the model; "
        "there are: dt_proj, in_proj, out_proj, x_proj"
    )
    with pytest.raises(UserError, match=message):
        adapters.attach(model, lora(targets=("in_proj", target)), seed=0)
    assert [name for name, _ in model.named_parameters()] == names


def test_a_model_with_an_mlp_offers_its_projections_too(lora, ids):
    model = build(ModelConfig(d_model=24, n_layer=1, vocab_size=50, d_intermediate=8), seed=0)
    adapters.attach(model, lora(targets=("fc1", "fc2")), seed=0)
    loss_of(model, ids).backward()
    assert sum("lora_B" in name and bool(p.grad.any()) for name, p in model.named_parameters()) == 2


@pytest.mark.parametrize("ssm", ["mamba", "mamba2"])
def test_all_reaches_every_projection_of_every_mixer_and_merges(ssm, lora, ids):
    values = {"pattern": "M*-", "ssm": ssm, "headdim": 8, "d_intermediate": 16, "attention": {"num_heads": 2}}
    model = build(
        ModelConfig.parse({"d_model": 24, "n_layer": 3, "vocab_size": 50, **values}, "a hybrid"), seed=0
    )
    linear = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head"]
    adapted, model = tuned(model, lora(targets=("all",)), ids)
    learnt = {name for name, p in model.named_parameters() if "lora_B" in name and p.any()}
    assert learnt == {f"{name}.lora_B.default.weight" for name in linear}
    with torch.no_grad():
        expected = model(ids)[0]
        torch.testing.assert_close(adapters.merge(adapted)(ids)[0], expected, rtol=1e-4, atol=1e-5)


def test_fresh_adapters_change_nothing_to_the_bit(model, lora, ids):
    with torch.no_grad():
        before = model(ids)[0]
        adapters.attach(model, lora(), seed=0)
        assert torch.equal(model(ids)[0], before)


def test_only_adapters_train_and_every_one_is_reached(model, lora, ids):
    base = {name: p.detach().clone() for name, p in model.named_parameters()}
    adapters.attach(model, lora(), seed=0)
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


def test_the_seed_decides_the_adapters(base, lora):
    def first_matrix(seed):
        model = bundle.load(base)
        torch.manual_seed(7 + seed)
        adapters.attach(model, lora(), seed=seed // 2)
        return model.backbone.layers[0].mixer.in_proj.lora_A["default"].weight

    assert torch.equal(first_matrix(0), first_matrix(1))
    assert not torch.equal(first_matrix(0), first_matrix(2))


@torch.no_grad()
def test_the_merged_model_computes_what_the_adapted_one_does(base, model, lora, ids):
    with torch.enable_grad():
        adapted, model = tuned(model, lora(), ids)
    expected, original = model(ids)[0], bundle.load(base)(ids)[0]
    assert (expected - original).abs().max() > 0.1  # tuning has changed something
    merged = adapters.merge(adapted)
    assert (merged(ids)[0] - expected).abs().max() < 1e-5 * expected.abs().max()
    assert merged.state_dict().keys() == bundle.load(base).state_dict().keys()
    assert all(p.requires_grad for p in merged.parameters())
    assert merged.lm_head.weight is merged.backbone.embeddings.weight


FOREIGN = {
    "mamba": {},
    "mamba, untied": {"tie_embeddings": False},
    "mamba2": {"ssm": "mamba2", "headdim": 8, "ngroups": 2},
    "mamba2, untied": {"ssm": "mamba2", "headdim": 8, "tie_embeddings": False},
}
quiet = pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing.*:FutureWarning"
)  # theirs, to each other


@pytest.fixture
def saved(tmp_path, lora, ids):
    """A tuned model, with its base and its adapter as folders."""

    def make(architecture, **adapter):
        (tmp_path / "tokenizer").mkdir()
        sizes = {"d_model": 24, "n_layer": 2, "vocab_size": 50, "d_state": 4, "initializer_range": 0.3}
        model = build(ModelConfig.parse(sizes | architecture, "a model"), seed=0)
        bundle.save(tmp_path / "base", model, tokenizer=tmp_path / "tokenizer", provenance={})
        adapted, model = tuned(model, lora(**adapter), ids)
        adapters.write(adapted, tmp_path / "adapter", base=tmp_path / "base")
        return model

    return make


@quiet
@pytest.mark.parametrize("architecture", FOREIGN.values(), ids=FOREIGN)
@torch.no_grad()
def test_a_portable_adapter_opens_in_peft_on_transformers_class(architecture, saved, ids, tmp_path):
    with torch.enable_grad():
        model = saved(architecture, targets=("portable",))
    expected, base = model(ids)[0], bundle.load(tmp_path / "base")(ids)[0]
    assert (expected - base).abs().max() > 0.1
    theirs = PeftModel.from_pretrained(
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base"), str(tmp_path / "adapter")
    )
    torch.testing.assert_close(theirs(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-4)
    auto = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")  # finds the base by the adapter
    torch.testing.assert_close(auto(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-4)
    merged = theirs.merge_and_unload()
    torch.testing.assert_close(merged(ids).logits, expected, rtol=1e-4, atol=1e-4)
    page = (tmp_path / "adapter/README.md").read_text()
    assert "AutoModelForCausalLM" in page
    assert "Only bhasa opens it" not in page


BHASA_ALONE = {
    "out_proj": ({}, ("in_proj", "out_proj")),
    "dt_proj": ({}, ("dt_proj",)),
    "mamba2": ({"ssm": "mamba2", "headdim": 8}, ("all",)),
    "hybrid": ({"pattern": "M*", "attention": {"num_heads": 2}}, ("portable",)),
}


@pytest.mark.parametrize(("architecture", "targets"), BHASA_ALONE.values(), ids=BHASA_ALONE)
@torch.no_grad()
def test_the_page_of_any_other_adapter_has_bhasa_open_it(architecture, targets, saved, ids, tmp_path):
    with torch.enable_grad():
        model = saved(architecture, targets=targets)
    page = (tmp_path / "adapter/README.md").read_text()
    assert "Only bhasa opens it" in page
    code = page.split("```python\n")[1].split("```")[0].replace("<this folder>", str(tmp_path / "adapter"))
    found: dict = {}
    exec(code, found)  # what the page says to do
    torch.testing.assert_close(found["model"](ids)[0], model(ids)[0], rtol=1e-5, atol=1e-5)


@quiet
@pytest.mark.parametrize("ssm", ["mamba", "mamba2"])
@torch.no_grad()
def test_no_other_projection_is_portable(ssm, saved, ids, tmp_path):
    """What `PublishedMixer.adaptable` leaves out, peft refuses there or transformers bypasses."""
    with torch.enable_grad():
        saved({"ssm": ssm, "headdim": 8}, targets=("all",))
    model = bundle.load(tmp_path / "base")
    names = set(projections(model, ["all"])) - set(adaptable(model.config))
    path = tmp_path / "adapter/adapter_config.json"
    values = json.loads(path.read_text())
    for name in names:
        path.write_text(json.dumps(values | {"target_modules": [name], "lora_alpha": 600.0}))
        base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
        expected, _ = PeftModel.from_pretrained(bundle.load(tmp_path / "base"), str(path.parent))(ids)
        with contextlib.suppress(ValueError):
            found = PeftModel.from_pretrained(base, str(path.parent))(input_ids=ids).logits
            assert (found - expected).abs().max() > 1e-2, name


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
from bhasa.finetuning.config import LoraConfig

config = LoraConfig(kind="lora", rank=3, alpha=6.0, targets=("x_proj", "out_proj", "in_proj", "dt_proj"))
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
    assert sorted(written) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    config = json.loads(written["adapter_config.json"])
    assert config["base_model_name_or_path"] == "models/base"
    assert config["target_modules"] == sorted(ADAPTED)


@torch.no_grad()
def test_an_untied_output_learns_the_special_tokens_too(lora, ids):
    model = build(ModelConfig(d_model=24, n_layer=1, vocab_size=50, tie_embeddings=False), seed=0)
    before = model.lm_head.weight.clone()
    with torch.enable_grad():
        adapted, model = tuned(model, lora(), ids)
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
def test_the_loss_of_an_adapted_model_never_holds_all_logits_and_is_the_plain_one(lora, tied):
    config = ModelConfig(d_model=16, n_layer=1, vocab_size=20_000, d_state=4, tie_embeddings=tied)
    model = build(config, seed=0)
    adapters.attach(model, lora(), seed=1)
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


@torch.no_grad()
@pytest.mark.parametrize(("rank", "alpha"), [(3, 6.0), (3, 1.5), (2, 6.0)])
def test_alpha_over_rank_scales_what_is_added(base, model, lora, rank, alpha):
    adapted = adapters.attach(model, lora(rank=rank, alpha=alpha, targets=("in_proj",)), seed=0)
    layer = model.backbone.layers[1].mixer.in_proj
    A, B = (matrix["default"].weight for matrix in (layer.lora_A, layer.lora_B))
    B.normal_(generator=torch.Generator().manual_seed(0))
    expected = bundle.load(base).backbone.layers[1].mixer.in_proj.weight + alpha / rank * B @ A
    torch.testing.assert_close(adapters.merge(adapted).backbone.layers[1].mixer.in_proj.weight, expected)


@torch.no_grad()
def test_dropout_drops_its_share_of_an_adapter_s_inputs_in_training_alone(model, lora, ids):
    adapters.attach(model, lora(dropout=0.25, targets=("in_proj",)), seed=0)
    layer = model.backbone.layers[0].mixer.in_proj
    layer.lora_B["default"].weight.fill_(1.0)
    seen = []
    layer.lora_A["default"].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    torch.manual_seed(0)
    model.train()(ids)
    model.eval()(ids)
    trained, evaluated = seen
    assert (trained == 0).float().mean() == pytest.approx(0.25, abs=0.05)
    kept = trained != 0
    torch.testing.assert_close(trained[kept], evaluated[kept] / 0.75)
    assert (evaluated != 0).all()
