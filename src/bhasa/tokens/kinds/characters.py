"""A token for each character of the train split; of any other character, one for each of its bytes."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteFallback, Fuse, Sequence
from tokenizers.models import BPE

from bhasa.tokens.config import CharactersConfig
from bhasa.tokens.special import SPECIAL_TOKENS
from bhasa.tokens.tokenizer_files import begin_documents

CODE_POINTS = 0x110000
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def make(config: CharactersConfig, texts: Iterable[str]) -> Tokenizer:
    """The most frequent characters, of equally frequent ones the first by code point."""
    counts = count_characters(texts)
    order = np.argsort(-counts, kind="stable")[: config.vocab_size - len(SPECIAL_TOKENS) - len(BYTES)]
    characters = sorted(chr(point) for point in order.tolist() if counts[point])
    vocabulary = [*SPECIAL_TOKENS, *BYTES, *characters]
    tokenizer = Tokenizer(BPE({token: i for i, token in enumerate(vocabulary)}, [], byte_fallback=True))
    tokenizer.decoder = Sequence([ByteFallback(), Fuse()])
    tokenizer.post_processor = begin_documents()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return tokenizer


def count_characters(texts: Iterable[str]) -> NDArray[np.int64]:
    """(0x110000,): how often each code point comes."""
    counts = np.zeros(CODE_POINTS, np.int64)
    for text in texts:
        found = np.bincount(np.frombuffer(text.encode("utf-32-le"), np.uint32))
        counts[: len(found)] += found
    return counts
