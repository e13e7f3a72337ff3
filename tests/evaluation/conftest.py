import pytest

from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    config = ModelConfig(
        d_model=16, n_layer=2, vocab_size=300, d_state=4, initializer_range=0.5, tie_embeddings=False
    )
    return build(config, seed=0).eval()
