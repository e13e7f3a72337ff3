import pytest
from tokenizers import Tokenizer

from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe

VOCAB_SIZE = 300


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    # Untied and with a wide embedding, an untrained model writes varied text and is never near a tie.
    config = ModelConfig(
        d_model=16, n_layer=2, vocab_size=VOCAB_SIZE, d_state=4, initializer_range=0.5, tie_embeddings=False
    )
    return build(config, seed=0).eval()


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    text = "the cat sat on the mat, and the cat saw that the rat sat too while nobody was watching them"
    trained = bpe.make(BpeConfig(vocab_size=VOCAB_SIZE), [text] * 2)
    assert trained.get_vocab_size() == VOCAB_SIZE
    return trained
