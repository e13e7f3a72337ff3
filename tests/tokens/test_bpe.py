import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFC, NFKC
from tokenizers.pre_tokenizers import ByteLevel, Metaspace, Sequence, Split
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer

from bhasa.tokens import encoding, tokenizer_files
from bhasa.tokens.config import SMALLEST_VOCABULARY, BpeConfig
from bhasa.tokens.kinds import bpe
from bhasa.tokens.special import END_OF_TEXT, SPECIAL_TOKENS

TRAIN = """
import json, sys
from bhasa.tokens import encoding, tokenizer_files
from bhasa.tokens.kinds import bpe
from bhasa.tokens.config import BpeConfig
print(bpe.make(BpeConfig(vocab_size=400), json.load(sys.stdin)).to_str())
"""


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_same_text_gives_the_same_bytes_in_any_process_and_on_any_number_of_threads(
    threads: str, corpus: list[str], tokenizer: Tokenizer
) -> None:
    command = [sys.executable, "-c", TRAIN]
    environment = {**os.environ, "RAYON_NUM_THREADS": threads}
    result = subprocess.run(
        command, input=json.dumps(corpus).encode(), env=environment, capture_output=True, check=True
    )
    assert result.stdout.decode().strip() == tokenizer.to_str()


def test_saving_twice_gives_the_same_bytes(corpus: list[str], tokenizer_folder: Path, tmp_path: Path) -> None:
    tokenizer_files.save(bpe.make(BpeConfig(vocab_size=400), corpus), tmp_path / "again")
    files = sorted(path.name for path in tokenizer_folder.iterdir())
    assert files == ["tokenizer.json", "tokenizer_config.json"]
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (tokenizer_folder / name).read_bytes()


def test_special_tokens_have_the_first_ids_and_every_byte_has_one(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert tokenizer.get_vocab_size() == 400
    assert all(tokenizer.decode(tokenizer.encode(chr(c)).ids[1:]) == chr(c) for c in range(256))


def test_a_corpus_that_repeats_nothing_gives_a_smaller_vocabulary() -> None:
    assert bpe.make(BpeConfig(vocab_size=5000), ["abc"]).get_vocab_size() == SMALLEST_VOCABULARY


def test_other_programs_find_out_that_a_text_begins_with_our_token(tokenizer_folder: Path) -> None:
    """llama.cpp reads both files for it."""
    spec = json.loads((tokenizer_folder / "tokenizer.json").read_text())
    first, *_ = spec["post_processor"]["single"]
    assert spec["post_processor"]["type"] == "TemplateProcessing"
    assert first["SpecialToken"]["id"] == SPECIAL_TOKENS[END_OF_TEXT]
    assert json.loads((tokenizer_folder / "tokenizer_config.json").read_text())["add_bos_token"] is True


def test_the_split_into_words_is_the_one_of_gpt2(tokenizer: Tokenizer) -> None:
    words = [
        word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str("It's 42  new\n\nlines, \u65e5\u672c")
    ]
    assert words[:6] == ["It", "'s", "\u012042", "\u0120", "\u0120new", "\u010a"]


@given(st.text())
@example("  leading and trailing \n\t ")
@example("\r\n\x00\x1c\x85\u2028 \u200d e\u0301")
@example("<|endoftext|><|user|>")
@settings(deadline=None, max_examples=200)
def test_decoding_gives_back_every_byte(trained: Tokenizer, text: str) -> None:
    (ids,) = encoding.encode_documents(trained, [text])
    assert ids[0] == END_OF_TEXT
    assert (ids[1:] > END_OF_TEXT).all()
    assert trained.decode(ids[1:].tolist(), skip_special_tokens=False) == text


@pytest.fixture(scope="module")
def trained(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))


@given(st.text(), st.integers(1, 12))
@example("a " * 20, 1)
@example("a\n \n", 3)
@settings(deadline=None, max_examples=200)
def test_pieces_add_up_and_are_not_longer_than_the_limit(text: str, limit: int) -> None:
    pieces = list(encoding.split_text(text, limit))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)


exotic = " \n\t\x1c\x85\u3000"  # what Python and the tokenizer take for space is not quite the same
word = st.builds(
    str.__add__, st.text(max_size=4) | st.text("a!" + exotic, max_size=4), st.sampled_from("a1.'\u65e5")
)
space = st.builds(str.__add__, st.sampled_from(" \n"), st.text(exotic, max_size=3))


@given(st.lists(st.tuples(word, space), max_size=20))
@settings(deadline=None, max_examples=300)
def test_a_text_is_cut_only_where_the_tokenizer_cuts(parts: list[tuple[str, str]]) -> None:
    def words(text: str) -> list[str]:
        return [word for word, _ in ByteLevel(add_prefix_space=False).pre_tokenize_str(text)]

    text = "".join(word + space for word, space in parts)
    assert [word for piece in encoding.split_text(text, 20) for word in words(piece)] == words(text)


CL100K = (  # and, but for the length of a number, that of Llama 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTES = ByteLevel(add_prefix_space=False, use_regex=False)


def made_elsewhere(pre_tokenizer, *, normalizer=None, added=()) -> Tokenizer:  # type: ignore[no-untyped-def]
    tokenizer = Tokenizer(BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = BpeTrainer(vocab_size=700, initial_alphabet=sorted(ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator(["a! a'1 the space.\n\n  the !\n 1a  .\n the, the" * 20], trainer)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.add_tokens(list(added))
    return tokenizer


ELSEWHERE = {
    "gpt-2": (made_elsewhere(ByteLevel(add_prefix_space=False)), True),
    "gpt-neox": (
        made_elsewhere(
            ByteLevel(add_prefix_space=False),
            normalizer=NFC(),
            added=[AddedToken(" " * n, normalized=True) for n in (2, 3, 4)],
        ),
        True,
    ),
    "a space in front": (made_elsewhere(ByteLevel(add_prefix_space=True)), False),
    "another normaliser": (made_elsewhere(ByteLevel(add_prefix_space=False), normalizer=NFKC()), False),
    "cl100k": (made_elsewhere(Sequence([Split(Regex(CL100K), "isolated"), BYTES])), False),
    "metaspace": (made_elsewhere(Metaspace()), False),
    "an added phrase": (made_elsewhere(ByteLevel(add_prefix_space=False), added=["a 1", "!\n"]), False),
    "an added token with what is after it": (
        made_elsewhere(ByteLevel(add_prefix_space=False), added=[AddedToken("a1", rstrip=True)]),
        False,
    ),
    "an added word": (
        made_elsewhere(ByteLevel(add_prefix_space=False), added=[AddedToken(" a", single_word=True)]),
        False,
    ),
}


@pytest.mark.parametrize(("tokenizer", "cuts"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_only_where_words_provably_end_is_a_text_cut(tokenizer: Tokenizer, cuts: bool) -> None:
    assert encoding.cuts_before_spaces(tokenizer) == cuts


@pytest.mark.parametrize("name", [*ELSEWHERE, "ours"])
@given(
    parts=st.lists(
        st.tuples(word | st.sampled_from(["a", "a1", "!", "the"]), space | st.sampled_from(" \n")),
        max_size=20,
    )
)
@example(parts=[("a!", "\n"), ("a", " "), ("1", "  "), ("a1", "   "), ("the", " ")] * 6)
@settings(deadline=None, max_examples=60)
def test_a_document_has_the_tokens_of_its_text_whatever_the_tokenizer(
    name: str, parts: list[tuple[str, str]], trained: Tokenizer
) -> None:
    tokenizer = trained if name == "ours" else ELSEWHERE[name][0]
    text = "".join(word + space for word, space in parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "ENCODING_PIECE", 20)
        (ids,) = encoding.encode_documents(tokenizer, [text])
    assert ids[1:].tolist() == tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("unit", ["a", "acgt", "\u65e5\u672c\u8a9e", " ", "=", "\u00e91"])
def test_a_long_run_without_spaces_costs_little_and_comes_back_whole(unit: str) -> None:
    run = (unit * 400_000)[:400_000]
    started = time.process_time()
    tokenizer = bpe.make(BpeConfig(vocab_size=512), [run, "some other text " * 10])
    (ids,) = encoding.encode_documents(tokenizer, [run])
    assert time.process_time() - started < 10
    assert tokenizer.decode(ids[1:].tolist()) == run


def test_documents_keep_their_order_and_limits_across_batches(
    corpus: list[str], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*corpus, "", "one", corpus[0] * 3, ""]
    expected = [tokenizer.encode(text).ids for text in texts]
    monkeypatch.setattr(encoding, "ENCODING_PIECE", 100)
    monkeypatch.setattr(encoding, "BATCH_CHARACTERS", 1000)
    monkeypatch.setattr(encoding, "BATCH_PIECES", 3)
    assert [ids.tolist() for ids in encoding.encode_documents(tokenizer, texts)] == expected


def test_transformers_opens_the_folder_and_encodes_the_same(
    corpus: list[str], tokenizer_folder: Path, tokenizer: Tokenizer
) -> None:
    theirs = AutoTokenizer.from_pretrained(tokenizer_folder)
    for text in [*corpus, " spaces , before !  ", "<|user|>x<|end|>", ""]:
        assert theirs(text)["input_ids"] == tokenizer.encode(text).ids
        assert theirs.decode(theirs(text)["input_ids"]) == SPECIAL_TOKENS[END_OF_TEXT] + text
        assert theirs(text, split_special_tokens=True)["input_ids"] == (
            next(encoding.encode_documents(tokenizer, [text])).tolist()
        )
        tokenizer.encode_special_tokens = False
    assert theirs("a", "b")["input_ids"] == [*theirs("a")["input_ids"], *theirs("b")["input_ids"]]
    assert theirs.is_fast
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (0, 0, 0)
    assert len(theirs) == tokenizer.get_vocab_size()
    assert theirs.decode([1, *tokenizer.encode("hi").ids, 3], skip_special_tokens=True) == "hi"
