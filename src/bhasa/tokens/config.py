"""What the tokenizer is to be like: the `tokenize` section of params.yaml."""

from typing import Annotated

from pydantic import Field

from bhasa.params import Config
from bhasa.tokens.special import SPECIAL_TOKENS

SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)  # every byte, so that any text can be written


class TokenizeConfig(Config):
    vocab_size: Annotated[int, Field(ge=SMALLEST_VOCABULARY, le=1 << 20)] = 4096
    """Tokens in the vocabulary, at most: a small corpus fills fewer."""
    min_frequency: Annotated[int, Field(ge=1)] = 2
    """A pair of tokens seen less often is not merged into one."""
    max_bytes: Annotated[int, Field(ge=1)] = 200_000_000
    """UTF-8 bytes of the train split to learn from: the first documents by id, which is a random sample."""
