"""The special tokens, which stand for no text; their ids are their places, the same in every tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_TOKENS = ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>")

END_OF_TEXT, USER, ASSISTANT, END_OF_TURN, SYSTEM = range(len(SPECIAL_TOKENS))
"""`<|endoftext|>` stands before every document and conversation: what follows it knows nothing before it."""


def special_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """The ids that are special tokens and not text: each of them ends a generated text."""
    return frozenset(i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special)
