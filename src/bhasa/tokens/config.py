"""What the tokenizer is to be like: the `tokenize` section of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from bhasa.params import Config
from bhasa.tokens.special import SPECIAL_TOKENS

SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)  # every byte, so that any text can be written

VocabularySize = Annotated[int, Field(ge=SMALLEST_VOCABULARY, le=1 << 20)]
FilePath = Annotated[str, Field(min_length=1)]


class BpeConfig(Config):
    """Byte-level BPE, learned from the train split."""

    kind: Literal["bpe"] = "bpe"
    vocab_size: VocabularySize = 4096
    """Tokens in the vocabulary, at most: a small corpus fills fewer."""
    min_frequency: Annotated[int, Field(ge=1)] = 2
    """A pair of tokens seen less often is not merged into one."""


class CharactersConfig(Config):
    """The characters of the train split, and the bytes of all others."""

    kind: Literal["characters"]
    vocab_size: VocabularySize = 4096
    """Tokens in the vocabulary, at most: the characters that come most often."""


class BytesConfig(Config):
    """The 256 bytes."""

    kind: Literal["bytes"]


class SentencePieceConfig(Config):
    """A model of the SentencePiece library."""

    kind: Literal["sentencepiece"]
    path: FilePath
    """The `.model` file, or a folder with `tokenizer.model`, `spiece.model` or `sentencepiece.bpe.model`."""
    allow_loss: bool = False
    """Whether decoding may give back another text, as after a normaliser that changes characters."""


class HuggingFaceConfig(Config):
    """The `tokenizer.json` of any folder."""

    kind: Literal["huggingface"]
    path: FilePath
    """The folder."""
    allow_loss: bool = False
    """Whether decoding may give back another text, as after a normaliser that changes characters."""


TokenizerConfig = Annotated[
    BpeConfig | CharactersConfig | BytesConfig | SentencePieceConfig | HuggingFaceConfig,
    Field(discriminator="kind"),
]


class TokenizeConfig(Config):
    tokenizer: TokenizerConfig = BpeConfig()
    max_bytes: Annotated[int, Field(ge=1)] = 200_000_000
    """UTF-8 bytes of the train split to learn from: documents drawn by their ids, whatever their order."""
