import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from bhasa.errors import UserError
from bhasa.journal import sha256_folder
from bhasa.stages.tokenize import run
from bhasa.tokens.config import BpeConfig, TokenizeConfig
from bhasa.tokens.packing import ChatLoader
from bhasa.tokens.shard_reader import open_split
from bhasa.tracking import NullTracker

SPLITS = ("train", "validation", "test")
CONFIG = TokenizeConfig(tokenizer=BpeConfig(vocab_size=280))


def documents_of(split: str) -> list[str]:
    return [f"The {split} state {i} reads na\u00efve text.\n" * (i + 1) for i in range(6)] + [
        "<|end|> only text"
    ]


def write_parquet(path: Path, texts: list[str]) -> None:
    columns = {
        "id": [hashlib.sha256(text.encode()).hexdigest() for text in texts],
        "domain": ["raw"] * len(texts),
        "media_type": ["text/plain"] * len(texts),
        "language": ["und"] * len(texts),
        "text": texts,
        "bytes": [len(text.encode()) for text in texts],
    }
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    documents, chat = tmp_path / "documents", tmp_path / "chat"
    documents.mkdir()
    chat.mkdir()
    for split in SPLITS:
        write_parquet(documents / f"{split}-00000.parquet", documents_of(split))
        talk = [{"role": "user", "content": f"{split}?"}, {"role": "assistant", "content": "na\u00efve"}]
        line = json.dumps({"id": split, "messages": talk}) + "\n"
        (chat / f"{split}.jsonl").write_text(line * 3, encoding="utf-8")
    outputs = {name: tmp_path / "out" / name for name in ("tokenizer", "tokens", "report")}
    return {"documents": documents, "chat": chat, **outputs}


def tokenized(folders: dict[str, Path], config: TokenizeConfig = CONFIG) -> dict[str, Any]:
    return run(config, **folders, tracker=NullTracker())


def test_the_streams_hold_every_document_and_conversation(folders: dict[str, Path]) -> None:
    tokenized(folders)
    tokenizer = Tokenizer.from_file(str(folders["tokenizer"] / "tokenizer.json"))
    for split in SPLITS:
        documents = open_split(folders["tokens"] / "documents", split, tokenizer=folders["tokenizer"])
        ids = documents.read(0, documents.index.tokens).tolist()
        text = tokenizer.decode(ids, skip_special_tokens=False)
        assert text == "".join(f"<|endoftext|>{document}" for document in documents_of(split))
        assert ids.count(0) == len(documents_of(split))
        assert 3 not in ids  # a special token spelled out in a document is text
        assert np.flatnonzero(np.array(ids) == 0).tolist() == documents.offsets[:-1].tolist()
        chat = open_split(folders["tokens"] / "chat", split, tokenizer=folders["tokenizer"])
        spoken = chat.read(0, chat.offsets[1])[chat.read_mask(0, chat.offsets[1])]
        assert tokenizer.decode(spoken.tolist(), skip_special_tokens=False) == "na\u00efve<|end|>"
        assert ChatLoader(chat, 64, seed=0).left_out == 0


def test_the_report_counts_what_was_written(folders: dict[str, Path]) -> None:
    metrics = tokenized(folders)
    report = json.loads(folders["report"].read_text())
    assert (report["vocab_size"], report["vocab_size_asked"]) == (280, 280)
    for split in SPLITS:
        sizes = report["documents"][split]
        assert sizes["documents"] == len(documents_of(split))
        assert sizes["bytes"] == sum(len(text.encode()) for text in documents_of(split))
        assert sizes["tokens"] == len(np.load(folders["tokens"] / "documents" / f"{split}-00000.npy"))
        assert report["chat"][split]["conversations"] == 3
        mask = np.load(folders["tokens"] / "chat" / f"{split}-00000.mask.npy")
        assert report["chat"][split]["target_tokens"] == mask.sum()
        assert report["chat"][split]["target_share"] == round(mask.mean(), 4)
        assert metrics[f"documents_{split}_tokens"] == sizes["tokens"]


def test_two_runs_write_the_same_bytes(folders: dict[str, Path]) -> None:
    def outputs() -> list[str]:
        tokenized(folders)
        return [sha256_folder(folders[name]) for name in ("tokenizer", "tokens")] + [
            folders["report"].read_text()
        ]

    assert outputs() == outputs()


def test_only_the_train_split_shapes_the_tokenizer(folders: dict[str, Path]) -> None:
    tokenized(folders)
    before = sha256_folder(folders["tokenizer"])
    for split in ("validation", "test"):
        write_parquet(folders["documents"] / f"{split}-00000.parquet", ["zq zq zq zq " * 50])
    tokenized(folders)
    assert sha256_folder(folders["tokenizer"]) == before
    write_parquet(folders["documents"] / "train-00000.parquet", ["zq zq zq zq " * 50])
    tokenized(folders)
    assert sha256_folder(folders["tokenizer"]) != before


@pytest.mark.parametrize("order", [1, -1])
def test_a_byte_budget_takes_the_documents_of_the_lowest_ids(order: int, folders: dict[str, Path]) -> None:
    texts = sorted(["aaaa " * 20, "zqzq " * 20], key=lambda text: hashlib.sha256(text.encode()).hexdigest())
    write_parquet(folders["documents"] / "train-00000.parquet", texts[::order])
    tokenized(folders, TokenizeConfig(tokenizer=BpeConfig(vocab_size=300), max_bytes=100))
    vocabulary = Tokenizer.from_file(str(folders["tokenizer"] / "tokenizer.json")).get_vocab()
    assert texts[0].strip().split()[0] in vocabulary
    assert texts[1][:2] not in vocabulary


def test_a_small_corpus_says_that_the_vocabulary_is_smaller(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = tokenized(folders, TokenizeConfig(tokenizer=BpeConfig(vocab_size=50_000)))
    assert metrics["vocab_size"] < 1000
    message = (
        f"tokenize.tokenizer.vocab_size: 50,000 asked for, the text gives {metrics['vocab_size']:,} tokens"
    )
    assert message in capsys.readouterr().err


def test_several_files_of_a_split_are_read_in_order(folders: dict[str, Path]) -> None:
    write_parquet(folders["documents"] / "test-00001.parquet", ["the last one"])
    tokenized(folders)
    tokenizer = Tokenizer.from_file(str(folders["tokenizer"] / "tokenizer.json"))
    split = open_split(folders["tokens"] / "documents", "test", tokenizer=folders["tokenizer"])
    assert tokenizer.decode(split.read(split.offsets[-2] + 1, split.offsets[-1]).tolist()) == "the last one"


def damage_tail(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def damage_data(path: Path) -> None:
    """Overwrite the pages and leave the footer, which alone is read at first."""
    content = bytearray(path.read_bytes())
    content[4:-1500] = bytes(len(content) - 1504)
    path.write_bytes(content)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("damage", [Path.unlink, damage_tail, damage_data])
def test_a_missing_or_damaged_file_is_named_and_nothing_good_is_lost(
    damage: Any, split: str, folders: dict[str, Path]
) -> None:
    tokenized(folders)
    good = sha256_folder(folders["tokens"].parent)
    damage(folders["documents"] / f"{split}-00000.parquet")
    with pytest.raises(UserError, match=rf"{split}-00000.parquet: "):
        tokenized(folders)
    assert sha256_folder(folders["tokens"].parent) == good


def test_a_gap_between_files_is_named(folders: dict[str, Path]) -> None:
    write_parquet(folders["documents"] / "train-00002.parquet", ["third"])
    with pytest.raises(UserError, match=r"train-00001.parquet: no such file"):
        tokenized(folders)


def test_a_missing_chat_file_is_named_before_anything_is_trained(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (folders["chat"] / "validation.jsonl").unlink()
    with pytest.raises(UserError, match=r"validation.jsonl: no such file"):
        tokenized(folders)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"messages": []}',
        b'{"messages": "text"}',
        b'{"messages": [{"role": "tool", "content": "x"}]}',
        b'{"messages": [{"role": ["user"], "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": 3}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b"\xff",
    ],
)
def test_a_line_that_is_no_conversation_is_named(line: bytes, folders: dict[str, Path]) -> None:
    with (folders["chat"] / "train.jsonl").open("ab") as stream:
        stream.write(line + b"\n")
    with pytest.raises(UserError, match=r"train.jsonl: line 4: not a conversation.*system, user, assistant"):
        tokenized(folders)


def test_documents_without_text_to_learn_from_are_refused(folders: dict[str, Path]) -> None:
    write_parquet(folders["documents"] / "train-00000.parquet", [])
    with pytest.raises(UserError, match="the train split has no text"):
        tokenized(folders)


def test_the_tokenizer_of_another_model_is_taken_with_our_special_tokens(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vocabulary = {chr(i): i - 33 for i in range(33, 127)} | {
        "\u0120": 94,
        "\u010a": 95,
        "\u00c3": 96,
        "\u00af": 97,
    }
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    (tmp_path / "foreign").mkdir()
    tokenizer.save(str(tmp_path / "foreign" / "tokenizer.json"))
    metrics = run(CONFIG, init_from=tmp_path / "foreign", **folders, tracker=NullTracker())
    assert metrics["vocab_size"] == len(vocabulary) + 5
    assert "103 tokens of pretrain.init_from" in capsys.readouterr().err
    renumbered = Tokenizer.from_file(str(folders["tokenizer"] / "tokenizer.json"))
    documents = open_split(folders["tokens"] / "documents", "test", tokenizer=folders["tokenizer"])
    text = renumbered.decode(documents.read(0, documents.index.tokens).tolist(), skip_special_tokens=False)
    assert text == "".join(f"<|endoftext|>{document}" for document in documents_of("test"))
