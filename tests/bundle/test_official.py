"""config.json in the layout of state-spaces/mamba, and its published models."""

import json

import pytest
import torch

from bhasa import bundle
from bhasa.bundle.official import from_official, is_official, to_official
from bhasa.bundle.weights import official_names
from bhasa.errors import UserError
from bhasa.model.config import AttentionConfig, ModelConfig
from bhasa.model.language_model import outline

# As published, at https://huggingface.co/state-spaces.
PUBLISHED = {"rms_norm": True, "residual_in_fp32": True, "fused_add_norm": True, "vocab_size": 50277}
MAMBA2 = PUBLISHED | {
    "d_intermediate": 0,
    "ssm_cfg": {"layer": "Mamba2"},
    "attn_layer_idx": [],
    "attn_cfg": {},
    "pad_vocab_size_multiple": 16,
    "tie_embeddings": True,
}
SIZES = {
    # width, layers: parameters of Mamba, of Mamba-2, rows of Mamba-2's in_proj
    "130m": (768, 24, 129_135_360, 128_989_632, 3352),
    "370m": (1024, 48, 371_516_416, 368_346_624, 4384),
    "790m, 780m": (1536, 48, 793_204_224, 780_161_280, 6448),
    "1.4b, 1.3b": (2048, 48, 1_372_178_432, 1_343_757_312, 8512),
    "2.8b, 2.7b": (2560, 64, 2_768_345_600, 2_702_599_680, 10576),
}


@pytest.mark.parametrize(("width", "layers", "mamba", "mamba2", "rows"), SIZES.values(), ids=SIZES)
def test_the_published_sizes_count_exactly(width, layers, mamba, mamba2, rows):
    sizes = {"d_model": width, "n_layer": layers}
    first = outline(from_official(PUBLISHED | {"ssm_cfg": {}} | sizes, ""))
    second = outline(from_official(MAMBA2 | sizes, ""))
    assert first.num_parameters() == mamba
    assert first.config.vocab_size == 50280
    assert second.num_parameters() == mamba2
    assert second.config.vocab_size == 50288
    assert second.backbone.layers[0].mixer.in_proj.weight.shape == (rows, width)


@pytest.fixture
def official(folder, model):
    """`folder` as state-spaces publishes: a pickle with every name, and their config."""
    (folder / "model.safetensors").unlink()
    torch.save(official_names(model.state_dict()), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(to_official(model.config)))
    return folder


def test_an_official_folder_opens_to_the_same_bits(official, model, require_same, capsys):
    loaded = bundle.load(official)
    assert loaded.config == model.config
    require_same(loaded, model)
    assert capsys.readouterr().err == ""


def test_the_rows_that_fill_the_vocabulary_up_are_counted(official, rewrite, model, capsys):
    rewrite(official, vocab_size=276, pad_vocab_size_multiple=281)
    assert bundle.load(official).config == model.config
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "changes",
    [{"vocab_size": 50277}, {"d_model": 2560}, {"n_layer": 64}, {"n_layer": None, "vocab_size": None}],
)
def test_what_the_weights_contradict_is_put_right_and_said(
    official, model, rewrite, require_same, capsys, changes
):
    rewrite(official, **changes)
    loaded = bundle.load(official)
    assert "contradicts its weights, which are used" in capsys.readouterr().err
    assert loaded.config == model.config
    require_same(loaded, model)


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_embeddings": False, "norm": "layer"},
        {"d_intermediate": 128},
        {"use_bias": True, "conv_bias": False, "dt_min": 0.01, "dt_max": 0.2, "dt_init_floor": 1e-3},
        {"dt_rank": 3},
        {"ssm": "mamba2", "headdim": 8, "ngroups": 3, "d_state": 7, "dt_limit": (0.0, 0.5)},
    ],
)
def test_what_is_written_is_read_as_it_was(changes):
    config = ModelConfig(**({"d_model": 24, "n_layer": 2, "vocab_size": 280} | changes))
    values = json.loads(json.dumps(to_official(config), allow_nan=False))
    assert is_official(values)
    assert from_official(values, "") == config


def test_no_limit_of_the_step_size_may_be_written_as_infinity():
    values = MAMBA2 | {"d_model": 768, "n_layer": 24}
    endless = values | {"ssm_cfg": {"layer": "Mamba2", "dt_limit": [0.0, float("inf")]}}
    assert from_official(endless, "") == from_official(values, "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attn_layer_idx": [3]}, r"attn_layer_idx: found \[3\].*choose a pure"),
        ({"ssm_cfg": {"layer": "Mamba3"}}, "ssm_cfg.layer: found 'Mamba3'; allowed: Mamba1, Mamba2"),
        (
            {"ssm_cfg": {"layer": "Mamba2", "norm_before_gate": True}},
            "norm_before_gate: found True; allowed: False",
        ),
        ({"ssm_cfg": {"headdim": 8}}, "ssm_cfg.headdim: unknown key; allowed here: .*d_state"),
        ({"ssm_cfg": {"layer": "Mamba2", "dt_limit": 3}}, "ssm_cfg.dt_limit: found 3; allowed: two numbers"),
        ({"vocab_size": "many"}, "vocab_size: found 'many'"),
        ({"pad_vocab_size_multiple": 0}, "pad_vocab_size_multiple: found 0"),
        ({"n_layer": -1}, "n_layer: found -1"),
        ({"d_intermediate": "wide"}, "d_intermediate: found 'wide'"),
    ],
)
def test_what_is_not_ours_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        from_official(MAMBA2 | {"d_model": 768, "n_layer": 24} | changes, "config.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern": "M*", "attention": AttentionConfig(num_heads=4)}, "it has layers of attention, mamba"),
        ({"norm_eps": 1e-6}, "norm_eps 1e-06"),
        ({"d_intermediate": 100}, "only multiples of 128"),
    ],
)
def test_what_the_layout_cannot_hold_is_not_written(changes, message):
    with pytest.raises(UserError, match=message):
        to_official(ModelConfig(**({"d_model": 24, "n_layer": 2} | changes)))


def test_what_is_lost_is_said(capsys):
    to_official(ModelConfig(d_model=24, n_layer=2, dropout=0.1))
    assert "no place for dropout 0.1" in capsys.readouterr().err
