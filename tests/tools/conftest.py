from pathlib import Path

import pytest

from bhasa import bundle
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens import tokenizer_files
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe

VOCAB_SIZE = 300


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes varied nonsense."""
    root = tmp_path_factory.mktemp("models")
    text = "the cat sat on the mat, and the cat saw that the rat sat too while nobody was watching them"
    tokenizer_files.save(bpe.make(BpeConfig(vocab_size=VOCAB_SIZE), [text] * 2), root / "tokenizer")
    config = ModelConfig(
        d_model=16, n_layer=2, vocab_size=VOCAB_SIZE, d_state=4, initializer_range=0.5, tie_embeddings=False
    )
    bundle.save(root / "model", build(config, seed=0), tokenizer=root / "tokenizer", provenance={})
    return root / "model"
