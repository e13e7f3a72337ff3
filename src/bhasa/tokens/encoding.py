"""Texts to ids, in batches that all cores share, whatever the tokenizer and however long a text.

Where the tokenizer allows it, texts go in as pieces cut between words, where it would cut too: the tokens
stay the same, while memory and time keep bounded for a text of any length. Only runs without any space longer
than a piece are cut inside, and still decode exactly. A tokenizer that may read across such places
(Metaspace, the patterns of cl100k and Llama 3) gets every text whole, which takes some 130 bytes of memory a
character of the longest, where pieces take 20.
"""

import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from bhasa.tokens.round_trip import Check, exactness
from bhasa.tokens.special import END_OF_TEXT

ENCODING_PIECE = 1 << 16
BATCH_PIECES = 1024
BATCH_CHARACTERS = 1 << 21  # encoded at once, by all cores: about 200 MB with what the library keeps


Piece = tuple[str, bool]
"""Part of a text, and whether it is the last one."""

_START = np.array([END_OF_TEXT], np.uint32)


class Encoded(NamedTuple):
    """A text as tokens."""

    ids: NDArray[np.uint32]
    """(n,): `<|endoftext|>` first."""
    exact: bool
    """Whether they stand for every byte of the text."""


def encode_documents(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[NDArray[np.uint32]]:
    """The ids (n,) of each text, `<|endoftext|>` first; special tokens spelt out are encoded as text."""
    return (encoded.ids for encoded in _encode(tokenizer, texts, lambda ids, text: True))


def encode_checked(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[Encoded]:
    """The same, each with whether decoding it gives back the text."""
    return _encode(tokenizer, texts, exactness(tokenizer))


def _encode(tokenizer: Tokenizer, texts: Iterable[str], check: Check) -> Iterator[Encoded]:
    """One batch is encoded by the library's threads while the one before it is looked at here."""
    tokenizer.encode_special_tokens = True
    limit = ENCODING_PIECE if cuts_before_spaces(tokenizer) else None
    encode = partial(tokenizer.encode_batch_fast, add_special_tokens=False)
    parts, exact = [_START], True
    for batch, encodings in _ahead(
        lambda batch: encode([piece for piece, _ in batch]), _batches(texts, limit)
    ):
        for encoding, (piece, is_last) in zip(encodings, batch, strict=True):
            ids = encoding.ids
            exact = check(ids, piece) and exact
            parts.append(np.frombuffer(array("I", ids), np.uint32))  # a third of the time of `np.array`
            if is_last:
                yield Encoded(np.concatenate(parts), exact)
                parts, exact = [_START], True


def _ahead(
    function: Callable[[list[Piece]], Any], batches: Iterator[list[Piece]]
) -> Iterator[tuple[Any, Any]]:
    """Each batch with its result, while another thread works on the next."""
    with ThreadPoolExecutor(1) as thread:
        waiting: tuple[list[Piece], Future[Any]] | None = None
        for batch in batches:
            following = (batch, thread.submit(function, batch))
            if waiting:
                yield waiting[0], waiting[1].result()
            waiting = following
        if waiting:
            yield waiting[0], waiting[1].result()


def cuts_before_spaces(tokenizer: Tokenizer) -> bool:
    """Whether no token of any text reaches across a place at which `split_text` looks for a cut.

    Only what is known to is accepted: words as GPT-2 splits them, or single characters; no normaliser or NFC
    (nothing composes with a space or line feed after it), no added token that holds such a place or depends
    on what is beside it.
    """
    spec: dict[str, Any] = json.loads(tokenizer.to_str())
    splits = spec["pre_tokenizer"] or {}
    by_character = not splits and spec["model"].get("merges") == []
    as_gpt2 = splits.get("type") == "ByteLevel" and splits["use_regex"] and not splits["add_prefix_space"]
    normalises = (spec["normalizer"] or {"type": "NFC"})["type"] != "NFC"
    across = any(
        token["rstrip"] or token["single_word"] or re.search(r"\S[ \n]", token["content"])
        for token in spec["added_tokens"]
    )
    return (as_gpt2 or by_character) and not normalises and not across


def split_text(text: str, limit: int) -> Iterator[str]:
    """Cut a text into pieces of at most `limit` characters, before a space or line feed that ends a word.

    A word of GPT-2's never goes on after such a place, so the tokens of the pieces are those of the text.
    Where there is no such place within `limit` characters, the cut is made there all the same.
    """
    pattern = rf".{{1,{limit}}}(?:\Z|(?<=\S)(?=[ \n]))|.{{1,{limit}}}"
    return (match.group() for match in re.finditer(pattern, text, re.DOTALL))


def _batches(texts: Iterable[str], limit: int | None) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    characters = 0
    for text in texts:
        pieces = [text] if limit is None else list(split_text(text, limit)) or [""]
        for number, piece in enumerate(pieces, start=1):
            batch.append((piece, number == len(pieces)))
            characters += len(piece)
            if characters >= BATCH_CHARACTERS or len(batch) >= BATCH_PIECES:
                yield batch
                batch, characters = [], 0
    if batch:
        yield batch
