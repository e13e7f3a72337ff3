"""Between ids and text, a token at a time.

A token of a byte-level tokenizer may hold part of a character. `stream` keeps such bytes back until the
character is whole, so what it yields can always be shown, and special tokens are left out.
"""

from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from bhasa.tokens.chat import encode_content, require_special_tokens
from bhasa.tokens.special import END_OF_TEXT
from bhasa.tokens.special import special_ids as special_ids


def stream(tokenizer: Tokenizer, ids: Iterable[int]) -> Iterator[str]:
    """Yield the text of `ids` piece by piece as they come; a broken last character is dropped."""
    decoder = DecodeStream(skip_special_tokens=True)
    for token in ids:
        piece = decoder.step(tokenizer, token)
        if piece:
            yield piece


def document_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The beginning of a document: `<|endoftext|>`, then the text; special tokens spelt out are text."""
    require_special_tokens(tokenizer, [END_OF_TEXT])
    return [END_OF_TEXT, *encode_content(tokenizer, text)]
