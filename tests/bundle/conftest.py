import json

import pytest
import torch

from bhasa import bundle
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens import tokenizer_files
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe

# Sizes that are all different and mostly odd, so that an exchange of two shows.
FAMILIES = {
    "mamba": {"d_model": 24, "n_layer": 2, "vocab_size": 281, "d_state": 5, "expand": 3, "d_conv": 3},
    "mamba2": {
        "ssm": "mamba2",
        "d_model": 20,
        "n_layer": 3,
        "vocab_size": 281,
        "d_state": 7,
        "expand": 3,
        "headdim": 10,
        "ngroups": 2,
        "d_conv": 3,
    },
}


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """A folder with a tokenizer and nothing else."""
    folder = tmp_path_factory.mktemp("tokenizer") / "tokenizer"
    tokenizer_files.save(bpe.make(BpeConfig(vocab_size=280), ["some words, and some more words"] * 3), folder)
    return folder


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES)
def model(request):
    return build(ModelConfig(**request.param), seed=0)


@pytest.fixture
def folder(model, tmp_path, tokenizer):
    """`model` as a folder."""
    bundle.save(tmp_path / "model", model, tokenizer=tokenizer, provenance={"seed": 3})
    return tmp_path / "model"


@pytest.fixture
def rewrite():
    """Change keys of a folder's config.json; None takes one away."""

    def change(folder, **changes):
        path = folder / "config.json"
        values = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))

    return change


@pytest.fixture
def require_same():
    """Two models, or mappings of tensors, hold the same bits."""

    def require(found, expected):
        found, expected = (x if isinstance(x, dict) else x.state_dict() for x in (found, expected))
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            assert tensor.dtype == expected[name].dtype, name
            assert torch.equal(tensor, expected[name]), name

    return require
