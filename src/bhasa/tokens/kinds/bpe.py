"""Byte-level BPE, learned from the train split.

It splits words as GPT-2 does, which other programs know (llama.cpp among them), and has no normaliser, so
decoding gives back every byte.
"""

from collections.abc import Iterable
from itertools import chain

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from bhasa.tokens.config import BpeConfig
from bhasa.tokens.encoding import split_text
from bhasa.tokens.special import SPECIAL_TOKENS
from bhasa.tokens.tokenizer_files import begin_documents

TRAINING_PIECE = 512  # characters; a merge is looked for along the whole of a word, so long ones cost most


def make(config: BpeConfig, texts: Iterable[str]) -> Tokenizer:
    """Learn the merges; the same texts give the same tokenizer on any number of threads and in any order.

    A corpus without enough repeated pairs gives fewer tokens than `config.vocab_size`.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.post_processor = begin_documents()
    trainer = BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    pieces = chain.from_iterable(split_text(text, TRAINING_PIECE) for text in texts)
    tokenizer.train_from_iterator(pieces, trainer)
    return tokenizer
