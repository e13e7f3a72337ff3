"""A token for each byte, written as byte-level BPE without any merges, which every program knows."""

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from bhasa.tokens.config import BytesConfig
from bhasa.tokens.special import SPECIAL_TOKENS
from bhasa.tokens.tokenizer_files import begin_documents


def make(config: BytesConfig, texts: Iterable[str] = ()) -> Tokenizer:
    """256 tokens and the special tokens; nothing is learned."""
    vocabulary = [*SPECIAL_TOKENS, *sorted(ByteLevel.alphabet())]
    tokenizer = Tokenizer(BPE({token: i for i, token in enumerate(vocabulary)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.post_processor = begin_documents()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return tokenizer
