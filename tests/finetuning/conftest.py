from pathlib import Path

import pytest
import torch

from bhasa import bundle
from bhasa.finetuning.config import FinetuneConfig, LoraConfig
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A model folder, without a tokenizer, which adapters do not need."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "tokenizer").mkdir()
    config = ModelConfig(d_model=24, n_layer=2, vocab_size=50, d_state=4, initializer_range=0.3)
    bundle.save(folder / "base", build(config, seed=0), tokenizer=folder / "tokenizer", provenance={})
    return folder / "base"


@pytest.fixture
def model(base):
    return bundle.load(base)


@pytest.fixture
def lora():
    """Settings of adapters."""

    def make(**changes):
        targets = ("in_proj", "x_proj", "dt_proj", "out_proj")
        return LoraConfig(**{"kind": "lora", "rank": 3, "alpha": 6.0, "targets": targets} | changes)

    return make


@pytest.fixture
def make_config(lora):
    def make(adapter=None, **changes):
        values = {"context_length": 16, "tokens_per_step": 32, "learning_rate": 1e-2}
        return FinetuneConfig(**{**values, "adapter": adapter or lora(), **changes})

    return make


@pytest.fixture
def ids():
    return torch.randint(50, (2, 40), generator=torch.Generator().manual_seed(0))
