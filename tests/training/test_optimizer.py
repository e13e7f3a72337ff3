import torch

from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel
from bhasa.training.optimizer import build_optimizer, decays

DECAYED = {
    *("backbone.embeddings.weight", "in_proj.weight", "conv1d.weight", "x_proj.weight", "dt_proj.weight"),
    *("out_proj.weight", "fc1.weight", "fc2.weight", "lm_head.weight"),
}


def model(**changes):
    return LanguageModel(ModelConfig(d_model=16, n_layer=1, vocab_size=30, d_state=4, **changes))


def test_only_matrices_decay_and_a_log_does_not():
    full = model(d_intermediate=24, norm="layer", use_bias=True, tie_embeddings=False)
    found = {name for name, parameter in full.named_parameters() if decays(name, parameter)}
    assert {
        name.removeprefix("backbone.layers.0.mixer.").removeprefix("backbone.layers.0.mlp.") for name in found
    } == DECAYED
    kept = {name for name, _ in full.named_parameters()} - found
    assert {name.rpartition(".")[2] for name in kept} == {"A_log", "D", "bias", "weight"}
    assert all("norm" in name for name in kept if name.endswith("weight"))


def test_each_trained_parameter_is_in_one_group_and_frozen_ones_in_none(config):
    small = model()
    small.backbone.embeddings.weight.requires_grad_(False)
    optimizer = build_optimizer(small.named_parameters(), config)
    decayed, others = optimizer.param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (config.weight_decay, 0.0)
    placed = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(placed) == sorted(id(p) for p in small.parameters() if p.requires_grad)


def test_decay_alone_moves_what_it_should(config):
    small = model()
    before = {name: p.detach().clone() for name, p in small.named_parameters()}
    for parameter in small.parameters():
        parameter.grad = torch.zeros_like(parameter)
    build_optimizer(small.named_parameters(), config).step()
    shrink = 1 - config.learning_rate * config.weight_decay
    for name, parameter in small.named_parameters():
        factor = shrink if decays(name, parameter) else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name])
