"""From one layout to the other and back, without the loss of a bit."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bhasa import bundle
from bhasa.bundle.conversion import convert
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

BACK = ("config.json", "generation_config.json", "provenance.json", "tokenizer.json", "tokenizer_config.json")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_there_and_back_gives_every_byte(folder, model, rewrite, require_same, tmp_path, dtype):
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name: t.to(dtype) for name, t in tensors.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    rewrite(folder, dtype=str(dtype).removeprefix("torch."))
    there = convert(folder, tmp_path / "official", "official")
    assert there.dtype == str(dtype).removeprefix("torch.")
    assert there.parameters == model.num_parameters()
    convert(tmp_path / "official", tmp_path / "back", "huggingface")
    assert (tmp_path / "back/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    for name in BACK[1:]:
        assert (tmp_path / "back" / name).read_bytes() == (folder / name).read_bytes(), name
    first, last = (json.loads((f / "config.json").read_text()) for f in (folder, tmp_path / "back"))
    assert first == last


def test_the_official_folder_has_official_names_and_all_of_them(folder, model, require_same, tmp_path):
    convert(folder, tmp_path / "official", "official")
    tensors = load_file(tmp_path / "official/model.safetensors")
    assert {"backbone.embedding.weight", "lm_head.weight"} <= tensors.keys()
    assert "backbone.embeddings.weight" not in tensors
    assert len(tensors) == len(model.state_dict())
    assert not list((tmp_path / "official").glob("*.bin"))
    require_same(bundle.load(tmp_path / "official"), model)


@torch.no_grad()
def test_transformers_opens_what_came_from_the_official_layout(folder, model, tmp_path):
    convert(folder, tmp_path / "official", "official")
    convert(tmp_path / "official", tmp_path / "back", "huggingface")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "back")
    ids = torch.randint(280, (2, 19), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(theirs(ids).logits, model(ids)[0], rtol=1e-4, atol=1e-4)


def test_a_folder_without_a_tokenizer_is_converted_too(folder, model, require_same, tmp_path):
    for path in folder.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    convert(folder, tmp_path / "official", "official")
    assert sorted(p.name for p in (tmp_path / "official").iterdir()) == [
        *("README.md", "config.json", "model.safetensors")
    ]
    require_same(bundle.load(tmp_path / "official"), model)
    with pytest.raises(UserError, match=r"tokenizer.json: no such file"):
        bundle.load_tokenizer(tmp_path / "official")


def test_nothing_that_stands_there_is_replaced(folder, tmp_path):
    (tmp_path / "target").mkdir()
    with pytest.raises(UserError, match="target: exists already; name a folder that is new"):
        convert(folder, tmp_path / "target", "official")


@pytest.mark.parametrize(
    ("changes", "layout", "message"),
    [
        (
            {"d_intermediate": 24},
            "huggingface",
            "transformers cannot hold .* multiples of .*bhasa alone opens it",
        ),
        ({"d_intermediate": 24}, "official", "only multiples of 128 are known there; bhasa alone opens it"),
        ({"d_intermediate": 128}, "huggingface", "transformers cannot hold this model.*; use --to official"),
        ({"norm": "layer"}, "huggingface", "LayerNorm; use --to official"),
        ({"norm_eps": 1e-6}, "official", "only 1e-05 is known there; use --to huggingface"),
    ],
)
def test_what_a_layout_cannot_hold_is_refused_and_nothing_is_left(
    tmp_path, tokenizer, changes, layout, message
):
    model = build(ModelConfig(d_model=24, n_layer=2, vocab_size=280, **changes), seed=0)
    bundle.save(tmp_path / "model", model, tokenizer=tokenizer, provenance={})
    with pytest.raises(UserError, match=message):
        convert(tmp_path / "model", tmp_path / "target", layout)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_a_config_says_beside_the_architecture_survives_where_there_is_room(folder, rewrite, tmp_path):
    ids = {"bos_token_id": 3, "eos_token_id": [4, 5], "pad_token_id": None}
    rewrite(folder, **ids)
    has_chunks = "chunk_size" in json.loads((folder / "config.json").read_text())
    if has_chunks:
        rewrite(folder, chunk_size=64)
    convert(folder, tmp_path / "same", "huggingface")
    convert(folder, tmp_path / "official", "official")
    convert(tmp_path / "official", tmp_path / "back", "huggingface")
    same, back = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("same", "back"))
    assert {key: same[key] for key in ids} == ids | {"pad_token_id": 0}  # `rewrite` takes None away
    assert [values.get("chunk_size") for values in (same, back)] == 2 * [64 if has_chunks else None]


def test_each_layout_has_a_page_of_its_own_and_the_source_s_page_beside(folder, tmp_path):
    convert(folder, tmp_path / "official", "official")
    convert(tmp_path / "official", tmp_path / "back", "huggingface")
    pages = {name: (tmp_path / name / "README.md").read_text() for name in ("official", "back")}
    assert "library_name: mamba-ssm" in pages["official"]
    assert "library_name: transformers" in pages["back"]
    assert (tmp_path / "official/README.source.md").read_text() == (folder / "README.md").read_text()
    assert (tmp_path / "back/README.source.md").read_text() == pages["official"]
