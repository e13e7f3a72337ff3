"""config.json in the Hugging Face layout: what is written, what is read, and what is put right."""

import json
import math

import pytest
import transformers

from bhasa import bundle
from bhasa.bundle.published import from_published, to_published
from bhasa.errors import UserError
from bhasa.model.config import AttentionConfig, ModelConfig

# Keys that say nothing about a Mamba: every configuration of transformers has them.
GENERAL = {
    *("transformers_version", "_name_or_path", "id2label", "label2id", "problem_type", "return_dict"),
    *("output_hidden_states", "output_attentions", "chunk_size_feed_forward", "is_encoder_decoder"),
}
THEIRS = {"mamba": transformers.MambaConfig, "mamba2": transformers.Mamba2Config}
SMALL = {"d_model": 24, "n_layer": 2, "vocab_size": 280, "d_state": 5}
SMALL2 = SMALL | {"ssm": "mamba2", "headdim": 8, "ngroups": 3}


def written(**changes):
    return to_published(ModelConfig(**changes))


def test_every_key_of_their_config_is_written_out_with_the_value_they_read(folder, model):
    found = json.loads((folder / "config.json").read_text())
    theirs = transformers.AutoConfig.from_pretrained(folder)
    assert type(theirs) is THEIRS[model.config.ssm]
    asked = THEIRS[model.config.ssm]().to_dict().keys() - GENERAL
    assert asked <= found.keys()
    for key in asked - {"dtype", "time_step_limit"}:
        assert getattr(theirs, key) == found[key], key


def length_that_lm_evaluation_harness_reads(config, tokenizer):
    """`HFLM.max_length` of its `models/huggingface.py`."""
    for attribute in ("n_positions", "max_position_embeddings", "n_ctx"):
        if hasattr(config, attribute):
            return getattr(config, attribute)
    length = getattr(tokenizer, "model_max_length", 2048)
    return 2048 if length == 1000000000000000019884624838656 else length


def test_other_programs_do_not_cut_long_texts(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert length_that_lm_evaluation_harness_reads(config, tokenizer) == 1 << 20


@pytest.mark.parametrize(
    ("ours", "theirs"), [(None, [0.0, math.inf]), ((0.25, 0.5), [0.25, 0.5]), ((0.0, 0.5), [0.0, 0.5])]
)
def test_limits_of_the_step_size_reach_them_and_come_back(tmp_path, ours, theirs):
    values = written(**SMALL2, dt_limit=ours)
    (tmp_path / "config.json").write_text(json.dumps(values, allow_nan=False))
    assert list(transformers.AutoConfig.from_pretrained(tmp_path).time_step_limit) == theirs
    assert from_published(values, "").dt_limit == ours
    assert from_published(values | {"time_step_limit": theirs}, "").dt_limit == ours


def test_a_lower_limit_alone_comes_back(tmp_path):
    config = from_published(written(**SMALL2) | {"time_step_limit": [0.25, math.inf]}, "")
    assert config.dt_limit[0] == 0.25
    assert to_published(config)["time_step_limit"] == [0.25, {"__float__": "Infinity"}]


@pytest.mark.parametrize(
    "changes",
    [
        {"pattern": "M*", "attention": AttentionConfig(num_heads=4, num_heads_kv=2, window=9)},
        {"pattern": "M-", "d_intermediate": 40},
        {"pattern": "*", "attention": AttentionConfig(num_heads=2)},
        {"norm": "layer", "dt_limit": (0.0, 0.5)},
        {"d_intermediate": 16, "ssm": "mamba", "dropout": 0.5},
    ],
)
def test_what_they_have_not_keeps_their_frame_and_comes_back(changes):
    config = ModelConfig(**(SMALL2 | changes))
    values = to_published(config)
    assert values["model_type"] == "bhasa"
    assert values["hidden_size"] == 24
    found = from_published(json.loads(json.dumps(values)), "")
    assert found == config.model_copy(update={"dt_rank": 2})


def test_a_file_from_before_there_were_patterns_still_loads():
    values = written(**SMALL, d_intermediate=24)
    for key in ("pattern", "ssm", "attention", "headdim", "ngroups", "dt_limit"):
        del values[key]
    assert from_published(values, "") == ModelConfig(**SMALL, d_intermediate=24, dt_rank=2)


def test_a_file_with_few_keys_has_their_defaults():
    few = {"model_type": "mamba", "hidden_size": 24, "num_hidden_layers": 2, "vocab_size": 280}
    assert from_published(few | {"state_size": 5}, "") == ModelConfig(**SMALL)
    theirs = transformers.Mamba2Config()
    config = from_published({"model_type": "mamba2", "hidden_size": 4096, "num_hidden_layers": 64}, "")
    assert config.ssm == "mamba2"
    assert (config.nheads, config.headdim) == (theirs.num_heads, theirs.head_dim)
    assert (config.d_state, config.ngroups) == (theirs.state_size, theirs.n_groups)
    assert (config.vocab_size, config.tie_embeddings) == (theirs.vocab_size, theirs.tie_word_embeddings)


def test_the_inner_width_counts_and_expand_does_not():
    """Falcon-Mamba's published file says expand 16 and means 2."""
    assert from_published(written(**SMALL) | {"expand": 16}, "").expand == 2


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        (
            SMALL,
            {"model_type": "falcon_mamba"},
            "model_type: found 'falcon_mamba'; allowed: mamba, mamba2, bhasa",
        ),
        (SMALL, {"hidden_act": "gelu"}, "hidden_act: found 'gelu'; allowed: silu"),
        (SMALL, {"state_size": "16"}, "config.json: state_size: found '16'"),
        (SMALL, {"hidden_size": None}, "config.json: hidden_size: "),
        (
            SMALL,
            {"time_step_min": 0.5},
            r"config.json: time_step_min \(0.5\) must not exceed time_step_max \(0.1\)",
        ),
        (
            SMALL,
            {"time_step_rank": 99},
            r"time_step_rank \(99\) must not exceed expand \* hidden_size \(48\)",
        ),
        (SMALL, {"intermediate_size": 50}, r"found 50; allowed: a multiple of hidden_size \(24\)"),
        (SMALL, {"intermediate_size": 0}, "intermediate_size: found 0; allowed: a multiple of hidden_size"),
        (
            SMALL2,
            {"num_heads": 7},
            r"num_heads \(7\) times head_dim \(8\) must be expand \(2\) times hidden_size",
        ),
        (SMALL2, {"time_step_limit": 3}, "time_step_limit: found 3; allowed: two numbers"),
        (SMALL2, {"head_dim": "8"}, "config.json: head_dim: found '8'"),
        (SMALL2, {"n_groups": 4}, "6 heads must be a multiple of n_groups"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_the_words_of_the_file(family, changes, message):
    with pytest.raises(UserError, match=message):
        from_published(written(**family) | changes, "config.json")


def test_every_mistake_of_a_file_is_in_its_own_words_and_its_path_as_it_is():
    with pytest.raises(UserError) as raised:
        from_published(written(**SMALL) | {"state_size": 0, "num_hidden_layers": 0}, "d_model/config.json")
    lines = [line.removeprefix("d_model/config.json: ") for line in str(raised.value).splitlines()]
    assert sorted(line.partition(":")[0] for line in lines) == ["num_hidden_layers", "state_size"]


WRONG = {
    "the width of another model": {"hidden_size": 4096, "num_hidden_layers": 64, "num_heads": 128},
    "sizes that say nothing": {"hidden_size": None, "num_hidden_layers": None, "vocab_size": None},
    "another expansion": {"expand": 16, "intermediate_size": None, "num_heads": None},
    "biases that are not there": {"use_bias": True, "use_conv_bias": False, "conv_kernel": 9},
    "a head that is not there": {"tie_word_embeddings": False},
    "words for numbers": {"state_size": None, "hidden_size": "wide"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_what_the_weights_contradict_is_put_right_and_said(
    folder, model, rewrite, require_same, capsys, changes
):
    expected = bundle.read_config(folder)
    assert capsys.readouterr().err == ""
    rewrite(folder, **changes)
    loaded = bundle.load(folder)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{folder / 'config.json'} contradicts its weights" in said
    assert loaded.config == expected
    require_same(loaded, model)


def test_the_line_names_each_key_as_the_file_does_with_both_values(folder, rewrite, capsys):
    rewrite(folder, hidden_size=4096, conv_kernel=None)
    bundle.load(folder)
    said = capsys.readouterr().err
    assert ", the file has 4096" in said
    assert "hidden_size is " in said
    assert "conv_kernel is 3, the file has none" in said


def test_groups_follow_from_the_states_or_the_other_way_round_but_not_from_neither():
    config = ModelConfig(**SMALL2 | {"n_layer": 1})
    shapes = {
        "backbone.layers.0.mixer.A_log": (6,),
        "backbone.layers.0.mixer.norm.weight": (48,),
        "backbone.layers.0.mixer.conv1d.weight": (48 + 2 * 15, 1, 4),
    }
    for key in ("n_groups", "state_size"):
        values = {name: value for name, value in to_published(config).items() if name != key}
        assert from_published(values, "", shapes) == config.model_copy(update={"dt_rank": 2})
    with pytest.raises(UserError, match="n_groups 3 times state_size 6 must be 15"):
        from_published(to_published(config) | {"state_size": 6}, "", shapes)
