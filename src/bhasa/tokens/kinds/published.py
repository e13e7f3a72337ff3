"""The tokenizer of any Hugging Face folder, with our special tokens."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer

from bhasa.tokens.config import HuggingFaceConfig
from bhasa.tokens.foreign_tokenizer import open_foreign
from bhasa.tokens.round_trip import require_exact


def make(config: HuggingFaceConfig, texts: Iterable[str] = ()) -> Tokenizer:
    """That of the folder `path`, its tokens numbered anew where special tokens need their places."""
    tokenizer = open_foreign(Path(config.path)).tokenizer
    if not config.allow_loss:
        require_exact(tokenizer, config.path)
    return tokenizer
