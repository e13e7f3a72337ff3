import hashlib
import json
from contextlib import nullcontext

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bhasa import bundle
from bhasa.cards import describe_layers
from bhasa.errors import FileError, UserError
from bhasa.inference import native
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import Decoder
from bhasa.model.config import AttentionConfig, ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens import tokenizer_files
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe

VARIANTS = {
    "published": {},
    "untied": {"tie_embeddings": False, "dt_rank": 3, "use_bias": True, "conv_bias": False},
    "mlp": {"d_intermediate": 24},
    "layer-norm": {"norm": "layer", "dropout": 0.1},
    "mamba2": {"ssm": "mamba2", "headdim": 8, "ngroups": 2},
    "mamba2-limited": {"ssm": "mamba2", "headdim": 4, "dt_limit": (0.001, 0.5), "tie_embeddings": False},
    "hybrid": {
        "ssm": "mamba2",
        "headdim": 8,
        "pattern": "M*",
        "attention": AttentionConfig(num_heads=4, num_heads_kv=2, window=7),
    },
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer") / "tokenizer"
    tokenizer_files.save(bpe.make(BpeConfig(vocab_size=280), ["some words, and some more words"] * 3), folder)
    return folder


def make(**changes):
    return build(
        ModelConfig(**{"d_model": 24, "n_layer": 2, "vocab_size": 280, "d_state": 5} | changes), seed=0
    )


@pytest.fixture
def folder(tmp_path, tokenizer):
    bundle.save(tmp_path / "model", make(), tokenizer=tokenizer, provenance={"seed": 3})
    return tmp_path / "model"


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
    published = not {"d_intermediate", "norm", "pattern"} & changes.keys()
    assert bundle.is_published_layout(model.config) == published
    assert config["model_type"] == (changes.get("ssm", "mamba") if published else "bhasa")
    card = (tmp_path / "model" / "README.md").read_text()
    assert ("AutoModelForCausalLM" in card) == published
    assert f"library_name: {'transformers' if published else 'bhasa'}\n" in card
    assert f"{model.num_parameters():,} parameters" in card
    assert f"embedding -> {describe_layers(model.config)} -> norm -> output" in card


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


def test_their_generation_stops_at_our_special_tokens(folder):
    generation = transformers.GenerationConfig.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ends = ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>"]
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


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_projections_in_half_precision_give_what_autocast_does(tmp_path, tokenizer, changes, dtype):
    bundle.save(tmp_path / "model", make(**changes), tokenizer=tokenizer, provenance={})
    half, whole = bundle.load(tmp_path / "model", dtype=dtype), bundle.load(tmp_path / "model")
    ids = torch.randint(280, (2, 19), generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=dtype):
        (found, state), (expected, _) = half(ids), whole(ids)
        assert torch.equal(found, expected)
        decoder = Decoder(half)
        decoder.feed([1, 2])
        assert len(list(decoder.write(SamplingConfig(max_new_tokens=3)))) == 3
        after, _ = half.step(ids[:, 0], state)
        torch.testing.assert_close(after, half(ids[:, :1], state)[0][:, 0], rtol=2e-2, atol=2e-2)
    rounded = {name for name, p in half.named_parameters() if p.dtype == dtype}
    assert rounded
    assert all(
        ".layers." in name and name.endswith(("_proj.weight", "fc1.weight", "fc2.weight")) for name in rounded
    )
    assert {p.dtype for name, p in half.named_parameters() if name not in rounded} == {torch.float32}
    assert "not plain float32" in native.missing(half)


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
def test_a_damaged_folder_names_the_file(folder, name, damage, message):
    damage(folder / name)
    with pytest.raises(UserError, match=message) as raised:
        bundle.load(folder)
    assert str(folder / name) in str(raised.value)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["backbone.layers.1.mixer.A_log"] = torch.zeros(48, 6)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(
        UserError, match=r"1.mixer.A_log: config.json asks for \(48, 5\), the file has \(48, 6\)"
    ):
        bundle.load(folder)


def test_layers_without_number_are_not_built(tmp_path, tokenizer):
    model = make(pattern="M*", attention=AttentionConfig(num_heads=4))
    bundle.save(tmp_path / "model", model, tokenizer=tokenizer, provenance={})
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 10**12}))
    with pytest.raises(UserError, match="asks for 1,000,000,000,000 layers, the file has none of that name"):
        bundle.load(tmp_path / "model")


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


def test_a_tokenizer_with_tokens_that_the_model_has_no_rows_for_is_named(tmp_path):
    tokenizer_files.save(
        bpe.make(BpeConfig(vocab_size=270), ["the cat sat on the mat"]), tmp_path / "tokenizer"
    )
    size = bundle.load_tokenizer(tmp_path / "tokenizer").get_vocab_size()
    for rows, refused in ((size, False), (size - 1, True)):
        model = build(ModelConfig(d_model=16, n_layer=1, vocab_size=rows), seed=0)
        bundle.save(tmp_path / f"{rows}", model, tokenizer=tmp_path / "tokenizer", provenance={})
        message = f"tokenizer.json: token id {size - 1} has no row in the model's vocabulary of {rows}"
        with pytest.raises(FileError, match=message) if refused else nullcontext():
            bundle.load_tokenizer(tmp_path / f"{rows}")


def test_a_tokenizer_that_was_exchanged_is_refused(tmp_path, tokenizer):
    bundle.save(tmp_path / "model", make(), tokenizer=tokenizer, provenance={})
    bundle.load_tokenizer(tmp_path / "model")
    path = tmp_path / "model" / "tokenizer.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(FileError, match=r"tokenizer.json: not the tokenizer that the model was saved with"):
        bundle.load_tokenizer(tmp_path / "model")
    (tmp_path / "model" / "provenance.json").unlink()  # as a folder of others, of which nothing is known
    bundle.load_tokenizer(tmp_path / "model")
