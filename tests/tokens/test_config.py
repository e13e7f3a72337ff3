import pytest

from bhasa.errors import UserError
from bhasa.tokens.config import SMALLEST_VOCABULARY, TokenizeConfig


def test_a_vocabulary_without_room_for_every_byte_and_special_token_is_refused() -> None:
    for kind in ("bpe", "characters"):
        tokenizer = {"kind": kind, "vocab_size": SMALLEST_VOCABULARY}
        TokenizeConfig.parse({"tokenizer": tokenizer}, "params.yaml: tokenize")
        with pytest.raises(UserError, match=rf"tokenize: tokenizer.{kind}.vocab_size: found 260"):
            TokenizeConfig.parse({"tokenizer": tokenizer | {"vocab_size": 260}}, "params.yaml: tokenize")


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"'bpe', 'characters', 'bytes', 'sentencepiece', 'huggingface'"):
        TokenizeConfig.parse({"tokenizer": {"kind": "wordpiece"}}, "params.yaml: tokenize")
