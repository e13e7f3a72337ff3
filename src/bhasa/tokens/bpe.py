"""A byte-level BPE tokenizer: learned from text, kept as a Hugging Face folder, applied to whole corpora.

It splits words as GPT-2 does, which other programs know (llama.cpp among them), and has no normaliser, so
decoding gives back every byte. Texts go in as pieces cut between words, where the tokenizer would cut
too: the tokens stay the same, while memory and time keep bounded for a text of any length. Only runs
without any space longer than a piece are cut inside, and still decode exactly. A tokenizer from elsewhere
that may read across such places (Metaspace, the patterns of cl100k and Llama 3) gets every text whole, which
takes some 130 bytes of memory a character of the longest, where pieces take 20.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

from bhasa.errors import FileError
from bhasa.journal import write_json
from bhasa.tokens.chat import CHAT_TEMPLATE
from bhasa.tokens.config import TokenizeConfig
from bhasa.tokens.shards import TOKENIZER_FILE
from bhasa.tokens.special import END_OF_TEXT, SPECIAL_TOKENS

TRAINING_PIECE = 512  # characters; a merge is looked for along the whole of a word, so long ones cost most
ENCODING_PIECE = 1 << 16
BATCH_PIECES = 1024
BATCH_CHARACTERS = 1 << 21  # encoded at once, by all cores: about 200 MB with what the library keeps


def train(texts: Iterable[str], config: TokenizeConfig) -> Tokenizer:
    """Learn the merges; the same texts give the same tokenizer on any number of threads.

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


def begin_documents() -> TemplateProcessing:
    """Puts `<|endoftext|>` in front of every text where `add_special_tokens` is not false.

    Other programs encode a prompt so by default, and a model has learnt every text after that token.
    """
    start = SPECIAL_TOKENS[END_OF_TEXT]
    return TemplateProcessing(
        single=f"{start} $A", pair=f"{start} $A {start}:1 $B:1", special_tokens=[(start, END_OF_TEXT)]
    )


def load(path: Path) -> Tokenizer:
    """Open a `tokenizer.json`."""
    if not path.is_file():
        raise FileError(path, "no such file")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise FileError(path, f"not a readable tokenizer ({error})") from None


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files that `transformers.AutoTokenizer.from_pretrained(folder)` opens; `folder` is made."""
    folder.mkdir()
    tokenizer.save(str(folder / TOKENIZER_FILE))
    write_json(folder / "tokenizer_config.json", _published_config())


def encode_documents(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[NDArray[np.uint32]]:
    """The ids (n,) of each text, `<|endoftext|>` first; special tokens spelt out are encoded as text."""
    tokenizer.encode_special_tokens = True
    limit = ENCODING_PIECE if cuts_before_spaces(tokenizer) else None
    parts = [_START]
    for batch in _batches(texts, limit):
        encodings = tokenizer.encode_batch_fast([piece for piece, _ in batch], add_special_tokens=False)
        for encoding, (_, is_last) in zip(encodings, batch, strict=True):
            parts.append(np.array(encoding.ids, np.uint32))
            if is_last:
                yield np.concatenate(parts)
                parts = [_START]


def cuts_before_spaces(tokenizer: Tokenizer) -> bool:
    """Whether no token of any text reaches across a place at which `split_text` looks for a cut.

    Only what is known to is accepted: words as GPT-2 splits them, no normaliser or NFC (nothing composes with
    a space or line feed after it), no added token that holds such a place or depends on what is beside it.
    """
    spec: dict[str, Any] = json.loads(tokenizer.to_str())
    splits = spec["pre_tokenizer"] or {}
    as_gpt2 = splits.get("type") == "ByteLevel" and splits["use_regex"] and not splits["add_prefix_space"]
    normalises = (spec["normalizer"] or {"type": "NFC"})["type"] != "NFC"
    across = any(
        token["rstrip"] or token["single_word"] or re.search(r"\S[ \n]", token["content"])
        for token in spec["added_tokens"]
    )
    return as_gpt2 and not normalises and not across


def split_text(text: str, limit: int) -> Iterator[str]:
    """Cut a text into pieces of at most `limit` characters, before a space or line feed that ends a word.

    A word of GPT-2's never goes on after such a place, so the tokens of the pieces are those of the text.
    Where there is no such place within `limit` characters, the cut is made there all the same.
    """
    pattern = rf".{{1,{limit}}}(?:\Z|(?<=\S)(?=[ \n]))|.{{1,{limit}}}"
    return (match.group() for match in re.finditer(pattern, text, re.DOTALL))


_START = np.array([END_OF_TEXT], np.uint32)

Piece = tuple[str, bool]
"""Part of a text, and whether it is the last one."""


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


def _published_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL_TOKENS[END_OF_TEXT],
        "eos_token": SPECIAL_TOKENS[END_OF_TEXT],
        "pad_token": SPECIAL_TOKENS[END_OF_TEXT],
        "add_bos_token": True,  # as in tokenizer.json; programs that read no post-processor look here
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,  # it would delete spaces before punctuation when decoding
        "model_max_length": int(1e30),  # what transformers writes for "no limit"
        "chat_template": CHAT_TEMPLATE,
    }
