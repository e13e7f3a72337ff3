import pytest
import torch

from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build
from bhasa.training.optimizer import build_optimizer, decays, is_hidden

HIDDEN = {"in_proj.weight", "x_proj.weight", "dt_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight"}
DECAYED = HIDDEN | {"backbone.embeddings.weight", "conv1d.weight", "lm_head.weight"}


def model(**changes):
    return LanguageModel(ModelConfig(d_model=16, n_layer=1, vocab_size=30, d_state=4, **changes))


def shortened(names):
    prefixes = "backbone.layers.0.mixer.", "backbone.layers.0.mlp."
    return {name.removeprefix(prefixes[0]).removeprefix(prefixes[1]) for name in names}


def test_only_matrices_decay_and_a_log_does_not():
    full = model(d_intermediate=24, norm="layer", use_bias=True, tie_embeddings=False)
    found = {name for name, parameter in full.named_parameters() if decays(name, parameter)}
    assert shortened(found) == DECAYED
    kept = {name for name, _ in full.named_parameters()} - found
    assert {name.rpartition(".")[2] for name in kept} == {"A_log", "D", "bias", "weight"}
    assert all("norm" in name for name in kept if name.endswith("weight"))


def test_hidden_are_the_matrices_inside_the_layers():
    full = model(d_intermediate=24, norm="layer", use_bias=True, tie_embeddings=False)
    assert shortened(name for name, p in full.named_parameters() if is_hidden(name, p)) == HIDDEN


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_each_trained_parameter_has_one_rule_and_frozen_ones_none(config, optimizer):
    small = model()
    small.backbone.embeddings.weight.requires_grad_(False)
    built = build_optimizer(small.named_parameters(), config.model_copy(update={"optimizer": optimizer}))
    trained = {name: p for name, p in small.named_parameters() if p.requires_grad}
    assert sorted(map(id, built.parameters)) == sorted(map(id, trained.values()))
    muon = {name for name, p in trained.items() if optimizer == "muon" and is_hidden(name, p)}
    assert {name for rule in built.rules if "momentum" in vars(rule) for name in rule.params} == muon


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_decay_alone_moves_what_it_should(config, optimizer):
    small = model()
    before = {name: p.detach().clone() for name, p in small.named_parameters()}
    for parameter in small.parameters():
        parameter.grad = torch.zeros_like(parameter)
    build_optimizer(small.named_parameters(), config.model_copy(update={"optimizer": optimizer})).step(0.01)
    for name, parameter in small.named_parameters():
        factor = 1 - 0.01 * config.weight_decay if decays(name, parameter) else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name])


def gradients(small, seed):
    torch.manual_seed(seed)
    return {name: torch.randn_like(p) for name, p in small.named_parameters()}


def trained(small, step, zero):
    """The weights after three steps on drawn gradients."""
    for seed in range(3):
        for name, gradient in gradients(small, seed).items():
            small.get_parameter(name).grad = gradient
        step()
        zero()
    return {name: p.detach() for name, p in small.named_parameters()}


def test_adamw_is_torch_s_to_the_bit(config):
    ours, theirs = (build(model().config, seed=0) for _ in range(2))
    built = build_optimizer(ours.named_parameters(), config)
    groups = [
        {
            "params": [p for name, p in theirs.named_parameters() if decays(name, p) == decayed],
            "weight_decay": w,
        }
        for decayed, w in ((True, config.weight_decay), (False, 0.0))
    ]
    adamw = torch.optim.AdamW(groups, lr=0.01, betas=(config.beta1, config.beta2), fused=True)
    found = trained(ours, lambda: built.step(0.01), built.zero_grad)
    expected = trained(theirs, adamw.step, adamw.zero_grad)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_what_has_no_gradient_stays(config):
    small = model()
    before = {name: p.detach().clone() for name, p in small.named_parameters()}
    built = build_optimizer(small.named_parameters(), config.model_copy(update={"optimizer": "muon"}))
    mixer = small.backbone.layers[0].mixer
    mixer.in_proj.weight.grad = torch.ones_like(mixer.in_proj.weight)
    built.step(0.01)
    moved = {name for name, p in small.named_parameters() if not torch.equal(p, before[name])}
    assert shortened(moved) == {"in_proj.weight"}
