import hashlib
import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens import bpe
from bhasa.tokens.config import TokenizeConfig

VARIANTS = {
    "published": {},
    "untied": {"tie_embeddings": False, "dt_rank": 3, "use_bias": True, "conv_bias": False},
    "mlp": {"d_intermediate": 24},
    "layer-norm": {"norm": "layer", "dropout": 0.1},
}
# Keys that say nothing about a Mamba: every configuration of transformers has them.
GENERAL = {
    *("transformers_version", "_name_or_path", "id2label", "label2id", "problem_type", "return_dict"),
    *("output_hidden_states", "output_attentions", "chunk_size_feed_forward", "is_encoder_decoder"),
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer") / "tokenizer"
    bpe.save(bpe.train(["some words, and some more words"] * 3, TokenizeConfig(vocab_size=280)), folder)
    return folder


def make(**changes):
    return build(
        ModelConfig(**{"d_model": 24, "n_layer": 2, "vocab_size": 280, "d_state": 5} | changes), seed=0
    )


@pytest.fixture
def folder(tmp_path, tokenizer):
    bundle.save(tmp_path / "model", make(), tokenizer=tokenizer, provenance={"seed": 3})
    return tmp_path / "model"


def rewrite_config(folder, **changes):
    path = folder / "config.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_what_was_saved_is_loaded_to_the_bit(tmp_path, tokenizer, changes):
    model = make(**changes)
    bundle.save(tmp_path / "model", model, tokenizer=tokenizer, provenance={})
    loaded = bundle.load(tmp_path / "model")
    found, expected = loaded.state_dict(), model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert loaded.num_parameters() == model.num_parameters()
    rank = {"dt_rank": model.config.resolved_dt_rank}
    assert loaded.config == model.config.model_copy(update=rank)
    assert not loaded.training
    assert all(p.requires_grad for p in loaded.parameters())


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_only_what_transformers_can_express_is_called_a_mamba(tmp_path, tokenizer, changes):
    model = make(**changes)
    bundle.save(tmp_path / "model", model, tokenizer=tokenizer, provenance={})
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    published = not {"d_intermediate", "norm"} & changes.keys()
    assert bundle.is_published_layout(model.config) == published
    assert config["model_type"] == ("mamba" if published else "bhasa")
    card = (tmp_path / "model" / "README.md").read_text()
    assert ("AutoModelForCausalLM" in card) == published
    assert f"{model.num_parameters():,} parameters" in card


def test_every_key_of_their_config_is_written_out_with_the_value_they_read(folder):
    written = json.loads((folder / "config.json").read_text())
    theirs = transformers.AutoConfig.from_pretrained(folder)
    asked = transformers.MambaConfig().to_dict().keys() - GENERAL
    assert asked <= written.keys()
    for key in asked - {"dtype"}:
        assert getattr(theirs, key) == written[key], key


def test_the_folder_has_what_its_users_need_and_no_pickle(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        *("README.md", "config.json", "generation_config.json", "model.safetensors"),
        *("provenance.json", "tokenizer.json", "tokenizer_config.json"),
    ]
    assert set(load_file(folder / "model.safetensors")) == set(make().state_dict()) - {"lm_head.weight"}
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["seed"] == 3
    assert provenance["torch"] == torch.__version__
    assert bundle.load_tokenizer(folder).get_vocab_size() <= 280


def test_their_generation_stops_at_our_marks(folder):
    generation = transformers.GenerationConfig.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ends = ["<|endoftext|>", "<|end|>"]
    assert generation.eos_token_id == tokenizer.convert_tokens_to_ids(ends)
    assert generation.pad_token_id == tokenizer.pad_token_id == tokenizer.convert_tokens_to_ids(ends[0])


def test_twice_the_same_bytes(tmp_path, tokenizer):
    digests = []
    for name in ("a", "b"):
        bundle.save(tmp_path / name, make(), tokenizer=tokenizer, provenance={"seed": 3})
        files = sorted((tmp_path / name).iterdir())
        digests.append([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])
    assert digests[0] == digests[1]


def test_a_model_may_replace_the_folder_it_came_from(folder, tokenizer):
    model = bundle.load(folder)
    with torch.no_grad():
        model.backbone.norm_f.weight += 1
    bundle.save(folder, model, tokenizer=tokenizer, provenance={})
    assert torch.equal(bundle.load(folder).backbone.norm_f.weight, torch.full((24,), 2.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_files_are_loaded_as_float32(folder, dtype):
    tensors = load_file(folder / "model.safetensors")
    save_file({name: t.to(dtype) for name, t in tensors.items()}, folder / "model.safetensors")
    model = bundle.load(folder)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(
        model.backbone.layers[0].mixer.A_log, tensors["backbone.layers.0.mixer.A_log"].to(dtype).float()
    )


def test_the_inner_width_is_believed_and_expand_is_not(folder):
    """Falcon-Mamba's published file says expand 16 and means 2."""
    rewrite_config(folder, expand=16)
    assert bundle.read_config(folder).expand == 2
    bundle.load(folder)


def test_a_published_file_with_few_keys_has_their_defaults(folder):
    rewrite_config(
        folder, expand=None, intermediate_size=None, layer_norm_epsilon=None, time_step_min=None, norm=None
    )
    rewrite_config(folder, time_step_rank="auto", d_intermediate=None, dropout=None, tie_word_embeddings=None)
    assert bundle.read_config(folder) == make().config


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


DAMAGES = {
    "no config": ("config.json", lambda path: path.unlink(), "no such file, so .* is no model folder"),
    "broken config": ("config.json", truncate, "not valid JSON"),
    "a list as config": ("config.json", lambda path: path.write_text("[]"), "expected a JSON object"),
    "binary config": ("config.json", lambda path: path.write_bytes(b"\xff\xfe\x00"), "not valid JSON"),
    "no weights": ("model.safetensors", lambda path: path.unlink(), "no such file"),
    "truncated weights": ("model.safetensors", truncate, "damaged or not safetensors"),
    "empty weights": ("model.safetensors", lambda path: path.write_bytes(b""), "damaged or not safetensors"),
    "other weights": (
        "model.safetensors",
        lambda path: save_file({"weight": torch.ones(2)}, path),
        r"tensor .*: config.json asks for .*, the file has",
    ),
}


@pytest.mark.parametrize(("name", "damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_names_the_file_and_the_way_out(folder, name, damage, message):
    damage(folder / name)
    with pytest.raises(UserError, match=message) as raised:
        bundle.load(folder)
    assert str(folder / name) in str(raised.value)
    assert "dvc repro" in str(raised.value)


def test_tensors_of_another_shape_are_named_with_both_shapes(folder):
    rewrite_config(folder, state_size=6)
    with pytest.raises(
        UserError, match=r"mixer.A_log: config.json asks for \(48, 6\), the file has \(48, 5\)"
    ):
        bundle.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "falcon_mamba"}, "model_type: found 'falcon_mamba'; allowed: mamba, bhasa"),
        ({"hidden_act": "gelu"}, "hidden_act: found 'gelu'; allowed: silu"),
        ({"state_size": "16"}, "config.json: state_size: found '16'"),
        ({"hidden_size": None}, "config.json: hidden_size: missing"),
        ({"time_step_min": 0.5}, r"config.json: time_step_min \(0.5\) must not exceed time_step_max \(0.1\)"),
        ({"time_step_rank": 99}, r"time_step_rank \(99\) must not exceed expand \* hidden_size \(48\)"),
        (
            {"intermediate_size": 50},
            r"intermediate_size: found 50; allowed: a multiple of hidden_size \(24\)",
        ),
        ({"intermediate_size": 0}, "intermediate_size: found 0; allowed: a multiple of hidden_size"),
    ],
)
def test_an_architecture_that_is_not_ours_is_refused(folder, changes, message):
    rewrite_config(folder, **changes)
    with pytest.raises(UserError, match=message):
        bundle.load(folder)


def test_every_mistake_of_a_file_is_in_its_own_words_and_its_path_as_it_is(folder):
    moved = folder.rename(folder.with_name("d_model"))
    rewrite_config(moved, state_size=0, num_hidden_layers=0)
    with pytest.raises(UserError) as raised:
        bundle.load(moved)
    lines = [line.removeprefix(f"{moved}/config.json: ") for line in str(raised.value).splitlines()]
    assert sorted(line.partition(":")[0] for line in lines) == ["num_hidden_layers", "state_size"]


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"version": "1.0"}'])
def test_a_tokenizer_that_is_none_is_named(folder, content):
    path = folder / "tokenizer.json"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=r"tokenizer.json: (no such file|not a readable tokenizer)"):
        bundle.load_tokenizer(folder)


def test_a_failed_save_leaves_the_old_folder(folder, tokenizer, tmp_path):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(TypeError):
        bundle.save(folder, make(), tokenizer=tokenizer, provenance={"no JSON": object()})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
