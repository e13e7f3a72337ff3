import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE

from bhasa.errors import UserError
from bhasa.inference.text import document_ids, special_ids, stream


def test_a_character_is_shown_when_its_last_byte_is_there(tokenizer: Tokenizer):
    ids = tokenizer.encode("a\u00e9\U0001f600b", add_special_tokens=False).ids
    assert len(ids) == 1 + 2 + 4 + 1
    assert list(stream(tokenizer, ids)) == ["a", "\u00e9", "\U0001f600", "b"]
    assert list(stream(tokenizer, ids[:-2])) == ["a", "\u00e9"]


@given(text=st.text())
def test_the_pieces_of_a_text_are_the_text(tokenizer, text):
    pieces = list(stream(tokenizer, document_ids(tokenizer, text)))
    assert "".join(pieces) == text
    assert "" not in pieces


@given(ids=st.lists(st.integers(0, 299), max_size=80))
def test_any_tokens_can_be_shown(tokenizer, ids):
    shown = "".join(stream(tokenizer, ids))
    assert tokenizer.decode(ids).startswith(shown)
    shown.encode()  # no half of a surrogate pair


def test_special_tokens_are_not_shown_and_are_text_in_a_text(tokenizer):
    assert special_ids(tokenizer) == {0, 1, 2, 3, 4}
    assert (
        "".join(stream(tokenizer, [0, 1, *tokenizer.encode("cat", add_special_tokens=False).ids, 3])) == "cat"
    )
    ids = document_ids(tokenizer, "the <|end|>")
    assert ids[0] == 0
    assert not special_ids(tokenizer) & set(ids[1:])


def test_a_tokenizer_that_begins_texts_otherwise_is_refused():
    with pytest.raises(UserError, match=r"<\|endoftext\|>: found id 2, expected 0"):
        document_ids(Tokenizer(BPE({"a": 0, "b": 1, "<|endoftext|>": 2}, [])), "a")
