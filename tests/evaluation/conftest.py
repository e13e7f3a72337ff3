from collections.abc import Callable

import pytest

from bhasa.evaluation.config import EvaluateConfig
from bhasa.evaluation.subject import Subject
from bhasa.inference.config import SamplingConfig
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe

TEXTS = ["the cat sat on the mat, and the rat saw it\n" * 3, "caf\u00e9 <|end|>", "so " * 40]


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    config = ModelConfig(
        d_model=16, n_layer=2, vocab_size=300, d_state=4, initializer_range=0.5, tie_embeddings=False
    )
    return build(config, seed=0).eval()


@pytest.fixture
def subject(model: LanguageModel) -> Callable[..., Subject]:
    """Makes a subject of TEXTS; nothing that was computed of another one is in it."""
    tokenizer = bpe.make(BpeConfig(vocab_size=280), TEXTS)
    config = EvaluateConfig(
        batch=2,
        chunk=16,
        prompts=("the cat", "why?"),
        sampling=SamplingConfig(max_new_tokens=8, temperature=0.8, seed=1),
    )

    def make(name: str = "base", *, chats: bool = False) -> Subject:
        return Subject(name, "0" * 64, chats, model, tokenizer, TEXTS, config)

    return make
