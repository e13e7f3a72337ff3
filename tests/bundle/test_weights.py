"""The four forms that weights come in, and files that must not be opened."""

import json
import os
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from bhasa import bundle
from bhasa.bundle import weights
from bhasa.errors import UserError
from bhasa.journal import sha256_file


def keep_as(form, folder):
    """Replace the one file of weights by another form of it."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if form == "pickle":
        torch.save(tensors, folder / "pytorch_model.bin")
        return
    suffix, write = (".bin", torch.save) if form == "pickled shards" else (".safetensors", save_file)
    stem = "pytorch_model" if suffix == ".bin" else "model"
    names = sorted(tensors)
    files = {name: f"{stem}-{i % 3 + 1:05d}-of-00003{suffix}" for i, name in enumerate(names)}
    for file in set(files.values()):
        write({name: tensors[name] for name in names if files[name] == file}, folder / file)
    (folder / f"{stem}{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))


FORMS = ("pickle", "shards", "pickled shards")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tensors_and_shapes(folder, model, require_same, form):
    expected = weights.shapes(folder)
    keep_as(form, folder)
    require_same(bundle.load(folder), model)
    assert weights.shapes(folder) == expected
    assert len(bundle.weights_sha256(folder)) == 64


def test_a_parameter_that_shares_memory_in_a_pickle_is_read_whole(folder, model, require_same):
    """Official files hold the tied output beside the embedding, as one storage."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(
        tensors | {"lm_head.weight": tensors["backbone.embeddings.weight"]}, folder / "pytorch_model.bin"
    )
    loaded = bundle.load(folder)
    require_same(loaded, model)
    assert loaded.lm_head.weight is loaded.backbone.embeddings.weight


def test_an_output_of_its_own_is_used_although_the_file_calls_it_tied(folder, model, capsys):
    tensors = load_file(folder / "model.safetensors")
    head = torch.randn_like(tensors["backbone.embeddings.weight"])
    save_file(tensors | {"lm_head.weight": head}, folder / "model.safetensors")
    loaded = bundle.load(folder)
    assert "hold another, which is used" in capsys.readouterr().err
    assert torch.equal(loaded.lm_head.weight, head)
    assert torch.equal(loaded.backbone.embeddings.weight, model.backbone.embeddings.weight)


def test_the_hash_is_the_files_or_tells_shards_apart(folder):
    assert bundle.weights_sha256(folder) == sha256_file(folder / "model.safetensors")
    keep_as("shards", folder)
    before = bundle.weights_sha256(folder)
    shard = folder / "model-00002-of-00003.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(shard).items()}, shard)
    assert bundle.weights_sha256(folder) != before


class Attack:
    """What a pickle can hold: a call that is made when it is opened."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    "content",
    [
        {"backbone.norm_f.weight": Attack()},
        Attack(),
        [torch.ones(2)],
        {"backbone.norm_f.weight": "text"},
        torch.nn.Linear(2, 2),
    ],
    ids=["hidden", "bare", "list", "text", "module"],
)
def test_a_pickle_of_anything_but_tensors_is_refused_and_nothing_runs(folder, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model.bin: .*tensors") as raised:
        bundle.load(folder)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a pickle", b"\x80\x02}q\x00."])
def test_a_damaged_pickle_is_one_message(folder, content):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"pytorch_model.bin: not a file of tensors alone"):
        bundle.load(folder)


@settings(max_examples=60)
@given(place=st.integers(0, 700), value=st.integers(0, 255))
def test_a_pickle_with_a_wrong_byte_is_read_or_is_one_message(tmp_path_factory, place, value):
    folder = tmp_path_factory.mktemp("broken")
    torch.save({"backbone.norm_f.weight": torch.ones(3)}, folder / "pytorch_model.bin")
    content = bytearray((folder / "pytorch_model.bin").read_bytes())
    content[place] = value
    (folder / "pytorch_model.bin").write_bytes(content)
    with suppress(UserError):
        assert all(isinstance(tensor, torch.Tensor) for tensor in weights.read(folder).values())


def test_a_truncated_pickle_is_one_message(folder):
    keep_as("pickle", folder)
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"pytorch_model.bin: not a file of tensors alone"):
        bundle.load(folder)


@pytest.mark.parametrize(
    "name",
    ["../model.safetensors", "/etc/passwd", "..", "", "a\\b.safetensors", "sub/x.safetensors", "x.bin", 3],
)
@pytest.mark.parametrize("form", ["shards"])
def test_a_list_of_shards_points_nowhere_else(folder, form, name):
    keep_as(form, folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"backbone.norm_f.weight": name}}))
    with pytest.raises(UserError, match=r"index.json: "):
        bundle.load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": {}}}'])
def test_a_list_of_shards_that_is_none_is_named(folder, text):
    keep_as("shards", folder)
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(UserError, match=r"index.json: not a list of shards"):
        bundle.load(folder)


def test_a_shard_that_is_missing_is_named(folder):
    keep_as("shards", folder)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError, match=r"model-00002-of-00003.safetensors: no such file"):
        bundle.load(folder)


def test_numbers_that_are_no_floats_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    name = "backbone.norm_f.weight"
    save_file(tensors | {name: tensors[name].to(torch.int32)}, folder / "model.safetensors")
    with pytest.raises(UserError, match=rf"tensor {name}: found torch.int32; allowed: floats"):
        bundle.load(folder)
