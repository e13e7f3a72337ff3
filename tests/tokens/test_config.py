import pytest

from bhasa.errors import UserError
from bhasa.tokens.config import SMALLEST_VOCABULARY, TokenizeConfig


def test_a_vocabulary_without_room_for_every_byte_and_special_token_is_refused() -> None:
    TokenizeConfig.parse({"vocab_size": SMALLEST_VOCABULARY}, "params.yaml: tokenize")
    with pytest.raises(UserError, match="tokenize: vocab_size: found 260"):
        TokenizeConfig.parse({"vocab_size": SMALLEST_VOCABULARY - 1}, "params.yaml: tokenize")
