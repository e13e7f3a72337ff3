"""The contract of every kind of tokenizer. A new kind is one entry of `CONFIGS`."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.normalizers import Lowercase, Sequence
from transformers import AutoTokenizer

from bhasa.errors import UserError
from bhasa.tokens import kinds, tokenizer_files
from bhasa.tokens.chat import question, render
from bhasa.tokens.config import (
    BpeConfig,
    BytesConfig,
    CharactersConfig,
    HuggingFaceConfig,
    SentencePieceConfig,
)
from bhasa.tokens.encoding import encode_checked, encode_documents
from bhasa.tokens.kinds import pieces
from bhasa.tokens.round_trip import ODD_STRINGS, token_bytes
from bhasa.tokens.special import END_OF_TEXT, SPECIAL_TOKENS

ESCAPE = "\u2581"  # SentencePiece's sign for a space, which no model of it can give back


def piece_model(corpus: list[str], path: Path, **options: object) -> Path:
    written = io.BytesIO()
    chosen = {
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "vocab_size": 420,
        "character_coverage": 1.0,
        "minloglevel": 2,
        "num_threads": 1,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=written, **(chosen | options)
    )
    path.write_bytes(written.getvalue())
    return path


@pytest.fixture(scope="session")
def configs(corpus: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    root = tmp_path_factory.mktemp("kinds")
    lines = [line for text in corpus for line in text.splitlines() if line.strip()]
    tokenizer_files.save(kinds.make(BpeConfig(vocab_size=350), corpus), root / "published")
    unigram = piece_model(
        lines,
        root / "unigram.model",
        model_type="unigram",
        hard_vocab_limit=False,
        user_defined_symbols=["<sep>"],
    )
    return {
        "bpe": BpeConfig(vocab_size=400),
        "characters": CharactersConfig(kind="characters"),
        "bytes": BytesConfig(kind="bytes"),
        "sentencepiece": SentencePieceConfig(
            kind="sentencepiece", path=str(piece_model(lines, root / "tokenizer.model").parent)
        ),
        "unigram": SentencePieceConfig(kind="sentencepiece", path=str(unigram)),
        "huggingface": HuggingFaceConfig(kind="huggingface", path=str(root / "published")),
    }


CONFIGS = ("bpe", "characters", "bytes", "sentencepiece", "unigram", "huggingface")
Make = Callable[[str], Tokenizer]


@pytest.fixture(scope="session")
def make(configs: dict[str, object], corpus: list[str]) -> Make:
    made: dict[str, Tokenizer] = {}

    def of(name: str) -> Tokenizer:
        if name not in made:
            made[name] = kinds.make(configs[name], corpus)
        return made[name]

    return of


def test_every_kind_is_held_to_the_contract(configs: dict[str, object]) -> None:
    assert {config.kind for config in configs.values()} == kinds.KINDS.keys()  # type: ignore[attr-defined]
    assert configs.keys() == set(CONFIGS)


texts = st.text() | st.text(alphabet=" ab\n\t<>0x4Ae\u0301\u2028\u00e9", max_size=30)


@pytest.mark.parametrize("name", CONFIGS)
@given(text=texts)
@example(text="<|endoftext|><|user|>x<|end|>")
@example(text="  two  spaces <0x41> <s></s><unk>\r\n")
@settings(deadline=None, max_examples=80)
def test_any_text_comes_back_and_holds_no_special_token(name: str, make: Make, text: str) -> None:
    text = text.replace(ESCAPE, "_")
    tokenizer = make(name)
    (encoded,) = encode_checked(tokenizer, [text])
    assert encoded.exact
    assert encoded.ids[0] == END_OF_TEXT
    assert (encoded.ids[1:] >= len(SPECIAL_TOKENS)).all()
    assert tokenizer.decode(encoded.ids[1:].tolist(), skip_special_tokens=False) == text


@pytest.mark.parametrize("name", CONFIGS)
def test_the_table_of_bytes_says_what_the_decoder_says(name: str, make: Make, corpus: list[str]) -> None:
    tokenizer = make(name)
    table = token_bytes(tokenizer)
    assert table is not None
    for text in [*ODD_STRINGS, corpus[0]]:
        (ids,) = encode_documents(tokenizer, [text])
        joined = b"".join(table[i] for i in ids.tolist()).decode()
        assert joined.removeprefix(" " if name in ("sentencepiece", "unigram") else "") == text


@pytest.mark.parametrize("name", CONFIGS)
def test_a_text_that_does_not_come_back_is_noticed(name: str, make: Make) -> None:
    changing = Tokenizer.from_str(make(name).to_str())
    steps = [Lowercase()] if changing.normalizer is None else [Lowercase(), changing.normalizer]
    changing.normalizer = Sequence(steps)
    assert [one.exact for one in encode_checked(changing, ["same", "Some", "more", ""])] == [
        True,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_transformers_opens_the_folder_and_encodes_the_same(
    name: str, make: Make, corpus: list[str], tmp_path: Path
) -> None:
    tokenizer = make(name)
    tokenizer_files.save(tokenizer, tmp_path / "saved")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "saved")
    tokenizer.encode_special_tokens = False
    for text in [*corpus[:3], *ODD_STRINGS, "<|user|>x<|end|>", ""]:
        assert theirs(text)["input_ids"] == tokenizer.encode(text).ids
    assert (theirs.bos_token_id, theirs.eos_token_id, len(theirs)) == (0, 0, tokenizer.get_vocab_size())
    messages = [{"role": "user", "content": "what  is\nit?"}, {"role": "assistant", "content": "a <thing>"}]
    rendered = theirs.apply_chat_template(messages, tokenize=True, return_dict=False)
    assert rendered == render(tokenizer, messages).ids  # type: ignore[arg-type]
    asked = theirs.apply_chat_template(
        messages[:1], tokenize=True, add_generation_prompt=True, return_dict=False
    )
    assert asked == [END_OF_TEXT, *question(tokenizer, messages[0]["content"])]


@pytest.mark.parametrize("name", CONFIGS)
def test_making_it_twice_in_any_order_gives_the_same_bytes(
    name: str, make: Make, configs: dict[str, object], corpus: list[str]
) -> None:
    for seed in range(3):
        shuffled = random.Random(seed).sample(corpus, len(corpus))
        again = kinds.make(configs[name], shuffled)
        again.encode_special_tokens = make(name).encode_special_tokens
        assert again.to_str() == make(name).to_str()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_size_is_known_beforehand(name: str, make: Make, configs: dict[str, object]) -> None:
    assert make(name).get_vocab_size() <= kinds.largest_size(configs[name])


@pytest.mark.parametrize("name", ["sentencepiece", "unigram"])
@given(text=texts)
@settings(deadline=None, max_examples=150)
def test_the_ids_are_those_of_the_sentencepiece_library(
    name: str, make: Make, configs: dict[str, object], text: str
) -> None:
    file = pieces.model_file(Path(configs[name].path))  # type: ignore[attr-defined]
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(file))
    text = text.replace("\0", "")
    (ids,) = encode_documents(make(name), [text])
    assert [i - len(SPECIAL_TOKENS) for i in ids[1:].tolist()] == theirs.encode(text)


def test_characters_are_those_of_the_text_and_the_most_frequent_first() -> None:
    tokenizer = kinds.make(CharactersConfig(kind="characters", vocab_size=263), ["abba", "a\u00e9"])
    assert tokenizer.get_vocab_size() == 263
    assert {"a", "b"} < tokenizer.get_vocab().keys()
    assert "\u00e9" not in tokenizer.get_vocab()
    assert len(tokenizer.encode("a\u00e9", add_special_tokens=False).ids) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"normalization_rule_name": "nmt_nfkc"},
        {"remove_extra_whitespaces": True},
        {"byte_fallback": False},
    ],
)
def test_a_lossy_sentencepiece_model_is_refused_unless_loss_is_allowed(
    options: dict[str, object], corpus: list[str], tmp_path: Path
) -> None:
    lines = [line for text in corpus for line in text.splitlines() if line.strip()]
    path = str(piece_model(lines, tmp_path / "lossy.model", **options))
    with pytest.raises(UserError, match=r"lossy.model: this tokenizer changes texts: .*allow_loss: true"):
        kinds.make(SentencePieceConfig(kind="sentencepiece", path=path), ())
    allowed = kinds.make(SentencePieceConfig(kind="sentencepiece", path=path, allow_loss=True), ())
    assert not all(encoded.exact for encoded in encode_checked(allowed, ODD_STRINGS))


def test_files_that_are_no_tokenizer_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.model").write_bytes(b"no model")
    (tmp_path / "empty").mkdir()
    Tokenizer(WordLevel({"a": 0}, "a")).save(str(tmp_path / "tokenizer.json"))
    lossy = Tokenizer(BPE({chr(i): i - 33 for i in range(33, 127)}, []))
    lossy.normalizer = Lowercase()
    (tmp_path / "lossy").mkdir()
    lossy.save(str(tmp_path / "lossy" / "tokenizer.json"))
    for config, message in [
        (
            SentencePieceConfig(kind="sentencepiece", path=str(tmp_path / "x.model")),
            "not a SentencePiece model",
        ),
        (
            SentencePieceConfig(kind="sentencepiece", path=str(tmp_path / "empty")),
            "folder with one of tokenizer.model",
        ),
        (SentencePieceConfig(kind="sentencepiece", path=str(tmp_path / "none")), "no SentencePiece model"),
        (HuggingFaceConfig(kind="huggingface", path=str(tmp_path)), "found WordLevel"),
        (HuggingFaceConfig(kind="huggingface", path=str(tmp_path / "empty")), "tokenizer.json: no such file"),
        (HuggingFaceConfig(kind="huggingface", path=str(tmp_path / "lossy")), "this tokenizer changes texts"),
    ]:
        with pytest.raises(UserError, match=message):
            kinds.make(config, ())
