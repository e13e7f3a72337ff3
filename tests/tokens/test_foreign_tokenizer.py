"""A tokenizer from elsewhere gets our special tokens at our ids, and cuts texts as it did."""

import json

import pytest
import transformers
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE, WordLevel
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import ByteLevel as ByteLevelProcessor
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

from bhasa.errors import UserError
from bhasa.tokens import tokenizer_files
from bhasa.tokens.chat import encode_content, render, require_special_tokens
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.foreign_tokenizer import open_foreign, renumber_tokens
from bhasa.tokens.kinds import bpe
from bhasa.tokens.special import SPECIAL_TOKENS

TEXT = 'the "cat" sat! on #1 $2 mats, and    the rat sat  too\n' * 3


def foreign(special_tokens, added=()):
    """As GPT-NeoX's was made: special tokens at the first ids, further tokens after the last one."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=300,
        special_tokens=list(special_tokens),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.normalizer = NFC()
    tokenizer.add_tokens([AddedToken(text, normalized=True) for text in added])
    return tokenizer


FOREIGN = {
    "gpt-neox": foreign(["<|endoftext|>", "<|padding|>"], ["    ", "  "]),
    "no special tokens": foreign([]),
    "its own special tokens": foreign(["<s>", "</s>", "<unk>", "<pad>", "<mask>", "<extra>"]),
    "one of ours at the end": foreign(["<s>"], ["<|end|>"]),
    "ours in another order": foreign(reversed(SPECIAL_TOKENS)),
}


@pytest.mark.parametrize("tokenizer", FOREIGN.values(), ids=FOREIGN)
def test_the_special_tokens_are_where_they_are_everywhere_and_no_token_is_lost(tokenizer):
    renumbered, rows = renumber_tokens(tokenizer, "")
    vocabulary = renumbered.get_vocab()
    assert [renumbered.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert sorted(vocabulary.values()) == list(range(len(rows)))
    assert vocabulary.keys() == tokenizer.get_vocab().keys() | set(SPECIAL_TOKENS)
    assert {i for i, row in enumerate(rows) if row is None} == {
        i for i, token in enumerate(SPECIAL_TOKENS) if tokenizer.token_to_id(token) is None
    }
    assert all(
        tokenizer.id_to_token(row) == renumbered.id_to_token(i)
        for i, row in enumerate(rows)
        if row is not None
    )
    assert sorted(row for row in rows if row is not None) == list(range(tokenizer.get_vocab_size()))
    assert all(renumbered.get_added_tokens_decoder()[i].special for i in range(len(SPECIAL_TOKENS)))


@pytest.mark.parametrize("tokenizer", FOREIGN.values(), ids=FOREIGN)
@given(text=st.text() | st.text(alphabet=' "cat#!$\n<|end>', max_size=40))
def test_texts_are_cut_into_the_same_tokens(tokenizer, text):
    assume(not any(token in text for token in SPECIAL_TOKENS))  # one of ours that is spelt out becomes text
    renumbered, rows = renumber_tokens(tokenizer, "")
    renumbered.encode_special_tokens = tokenizer.encode_special_tokens = True
    ids = renumbered.encode(text, add_special_tokens=False).ids
    before = tokenizer.encode(text, add_special_tokens=False).ids
    assert [rows[i] for i in ids] == before
    assert renumbered.decode(ids, skip_special_tokens=False) == tokenizer.decode(
        before, skip_special_tokens=False
    )


def test_only_what_is_in_the_way_gets_another_number():
    _, rows = renumber_tokens(FOREIGN["gpt-neox"], "")
    size = FOREIGN["gpt-neox"].get_vocab_size()
    assert rows[0] == 0
    assert rows[5:size] == tuple(range(5, size))
    assert rows[size:] == (1, 2, 3, 4)


def test_a_tokenizer_of_ours_stays_as_it_is_to_the_byte(tmp_path):
    tokenizer_files.save(bpe.make(BpeConfig(vocab_size=290), [TEXT]), tmp_path / "ours")
    renumbered, rows = open_foreign(tmp_path / "ours")
    assert rows == tuple(range(len(rows)))
    tokenizer_files.save(renumbered, tmp_path / "renumbered")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "renumbered" / name).read_bytes() == (tmp_path / "ours" / name).read_bytes()


def test_adopting_twice_changes_nothing_more():
    once = renumber_tokens(FOREIGN["gpt-neox"], "").tokenizer
    twice, rows = renumber_tokens(once, "")
    assert twice.to_str() == once.to_str()
    assert rows == tuple(range(len(rows)))


@pytest.mark.parametrize("tokenizer", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize(
    "before", [None, ByteLevelProcessor(), TemplateProcessing(single="a $A", special_tokens=[("a", 7)])]
)
def test_a_text_begins_by_default_as_ours_do(tokenizer, before):
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.post_processor = before
    renumbered, _ = renumber_tokens(tokenizer, "")
    assert renumbered.encode("the cat").ids == [
        0,
        *renumbered.encode("the cat", add_special_tokens=False).ids,
    ]


def test_what_knows_ids_of_old_or_draws_is_taken_away():
    tokenizer = foreign(["<s>"])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.enable_padding(pad_id=0)
    tokenizer.enable_truncation(3)
    tokenizer.model.dropout = 0.5
    spec = json.loads(renumber_tokens(tokenizer, "").tokenizer.to_str())
    assert (spec["padding"], spec["truncation"]) == (None, None)
    assert spec["model"]["dropout"] is None


def test_a_conversation_is_rendered_with_it():
    renumbered = renumber_tokens(FOREIGN["gpt-neox"], "").tokenizer
    ids, _ = render(
        renumbered, [{"role": "user", "content": "<|end|>?"}, {"role": "assistant", "content": "the"}]
    )
    assert renumbered.decode(ids, skip_special_tokens=False) == (
        "<|endoftext|><|user|><|end|>?<|end|><|assistant|>the<|end|>"
    )
    assert ids.count(3) == 2  # a special token that is spelt out is text


def test_what_cannot_be_numbered_anew_is_refused(tmp_path):
    words = Tokenizer(WordLevel({"a": 0, "b": 1}, unk_token="a"))
    with pytest.raises(UserError, match=r"here: found WordLevel with 2 tokens; allowed: BPE"):
        renumber_tokens(words, "here")
    with pytest.raises(UserError, match="without a gap"):
        renumber_tokens(Tokenizer(BPE({"a": 0, "b": 2}, [])), "here")
    with pytest.raises(UserError, match=r"tokenizer.json: no such file; .*EleutherAI/gpt-neox-20b"):
        open_foreign(tmp_path)


def test_a_tokenizer_that_was_not_adopted_is_refused_where_ours_would_be_used():
    foreign_tokenizer = FOREIGN["gpt-neox"]
    require_special_tokens(foreign_tokenizer, [0])
    require_special_tokens(renumber_tokens(foreign_tokenizer, "").tokenizer, range(len(SPECIAL_TOKENS)))
    with pytest.raises(UserError, match=r"<\|user\|>: found id None, expected 1; .*pretrain.init_from"):
        require_special_tokens(foreign_tokenizer, range(len(SPECIAL_TOKENS)))


def test_transformers_reads_texts_as_the_same_tokens(tmp_path):
    renumbered = renumber_tokens(FOREIGN["gpt-neox"], "").tokenizer
    tokenizer_files.save(renumbered, tmp_path / "renumbered")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "renumbered")
    text = TEXT + "<|end|>    <|padding|>!"
    assert theirs.encode(text, add_special_tokens=False, split_special_tokens=True) == (
        encode_content(renumbered, text)
    )
    assert theirs.eos_token_id == 0
    assert theirs.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == [0, 1, 2, 3, 4]
