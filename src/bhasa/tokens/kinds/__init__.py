"""The kinds of tokenizers. A new one is a module here, its config in `tokens.config`, and a line in `KINDS`.

A module has `make(config, texts) -> Tokenizer`: from documents of the train split, each once, or from a file
that the config names. Whatever the kind, the special tokens have the first ids, every text begins with
`<|endoftext|>` by default, and any text can be encoded.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Final

from tokenizers import Tokenizer

from bhasa.tokens.config import BpeConfig, CharactersConfig

KINDS: Final = {
    "bpe": "bhasa.tokens.kinds.bpe",
    "characters": "bhasa.tokens.kinds.characters",
    "bytes": "bhasa.tokens.kinds.byte_level",
    "sentencepiece": "bhasa.tokens.kinds.pieces",
    "huggingface": "bhasa.tokens.kinds.published",
}
"""By the key `kind`: the module that makes it."""


def make(config: Any, texts: Iterable[str]) -> Tokenizer:
    """The tokenizer that a config asks for. Raises `UserError` for a file that is missing or not fit."""
    tokenizer: Tokenizer = import_module(KINDS[config.kind]).make(config, texts)
    return tokenizer


def learns(config: Any) -> bool:
    """Whether it is made from texts."""
    return isinstance(config, BpeConfig | CharactersConfig)


def largest_size(config: Any) -> int:
    """How many tokens it has, at most."""
    return config.vocab_size if learns(config) else make(config, ()).get_vocab_size()
