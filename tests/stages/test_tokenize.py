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
from tokenizers.normalizers import Replace
from tokenizers.pre_tokenizers import ByteLevel

from bhasa.errors import UserError
from bhasa.journal import sha256_folder
from bhasa.stages.tokenize import run
from bhasa.tokens import kinds, tokenizer_files, tokenizing
from bhasa.tokens.config import BpeConfig, BytesConfig, HuggingFaceConfig, TokenizeConfig
from bhasa.tokens.corpus import read_labelled
from bhasa.tokens.packing import ChatLoader
from bhasa.tokens.shard_reader import open_split
from bhasa.tracking import NullTracker

SPLITS = ("train", "validation", "test")
CONFIG = TokenizeConfig(tokenizer=BpeConfig(vocab_size=280))


def documents_of(split: str) -> list[str]:
    return [f"The {split} state {i} reads na\u00efve text.\n" * (i + 1) for i in range(6)] + [
        "<|end|> only text"
    ]


def write_parquet(path: Path, texts: list[str], domains: list[str] | None = None) -> None:
    columns = {
        "id": [hashlib.sha256(text.encode()).hexdigest() for text in texts],
        "domain": domains or ["raw"] * len(texts),
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
        assert sizes["tokens"] == len(np.load(folders["tokens"] / "documents" / f"{split}-00000-00000.npy"))
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


class Interrupted(BaseException):
    """As by a signal."""


@pytest.mark.parametrize("damage", [False, True])
def test_an_interrupted_run_goes_on_at_the_last_finished_file_with_the_same_bytes(
    damage: bool, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        write_parquet(folders["documents"] / f"train-{number:05d}.parquet", [f"part {number}\n" * 9])
    tokenized(folders)
    expected = [sha256_folder(folders[name]) for name in ("tokenizer", "tokens")]
    read: list[str] = []

    def read_and_stop(path: Path) -> Any:
        read.append(path.name)
        if len(read) == 3:
            raise Interrupted
        return read_labelled(path)

    with monkeypatch.context() as patch:
        patch.setattr(tokenizing, "read_labelled", read_and_stop)
        with pytest.raises(Interrupted):
            tokenized(folders)
    assert read == ["train-00000.parquet", "train-00001.parquet", "train-00002.parquet"]
    (work,) = (path for path in (tmp_path / ".bhasa" / "ckpt" / "tokenize").iterdir() if path.is_dir())
    if damage:
        (work / "tokens" / "train-00000-00000.npy").write_bytes(b"half")
    with monkeypatch.context() as patch:
        patch.setattr(tokenizing, "read_labelled", lambda path: read.append(path.name) or read_labelled(path))
        patch.setattr("bhasa.tokens.kinds.bpe.BpeTrainer", None)  # the tokenizer is not learned again
        tokenized(folders)
    again = ["train-00000.parquet"] if damage else []
    assert read[3:] == [*again, "train-00002.parquet", "validation-00000.parquet", "test-00000.parquet"]
    assert [sha256_folder(folders[name]) for name in ("tokenizer", "tokens")] == expected
    assert [path.name for path in (tmp_path / ".bhasa" / "ckpt" / "tokenize").iterdir()] == []


def test_what_was_finished_of_other_documents_is_not_used(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("bhasa.stages.tokenize._write_index", lambda *_: (_ for _ in ()).throw(Interrupted))
        with pytest.raises(Interrupted):
            tokenized(folders)
    write_parquet(folders["documents"] / "train-00000.parquet", ["entirely other text " * 9])
    metrics = tokenized(folders)
    assert metrics["documents_train_documents"] == 1


def test_domains_are_streams_of_their_own_and_are_reported(folders: dict[str, Path]) -> None:
    texts = [f"text {number} " * 5 for number in range(8)]
    write_parquet(folders["documents"] / "train-00000.parquet", texts, ["b", "a"] * 4)
    metrics = tokenized(folders)
    split = open_split(folders["tokens"] / "documents", "train", tokenizer=folders["tokenizer"])
    tokenizer = Tokenizer.from_file(str(folders["tokenizer"] / "tokenizer.json"))
    found = [tokenizer.decode(split.of_domain(d).read(0, split.of_domain(d).tokens).tolist()) for d in "ab"]
    assert found == ["".join(texts[1::2]), "".join(texts[::2])]
    report = json.loads(folders["report"].read_text())
    assert {name: sizes["documents"] for name, sizes in report["train_by_domain"].items()} == {"a": 4, "b": 4}
    assert report["train_by_kind"]["text/plain"]["bytes"] == sum(len(text.encode()) for text in texts)
    assert report["round_trip"] == {"documents": 8 + 2 * len(documents_of("test")), "inexact": 0}
    assert metrics["bytes_per_token_a"] == report["train_by_domain"]["a"]["bytes_per_token"]
    vocabulary = report["vocabulary"]
    counts = np.bincount(split.read(0, split.tokens), minlength=metrics["vocab_size"])
    assert vocabulary["unused"] == int((counts[5:] == 0).sum())
    lengths = [len(one["text"].encode()) for one in vocabulary["longest"]]
    assert lengths == sorted(lengths, reverse=True)
    assert all(
        counts[tokenizer.encode(one["text"]).ids[-1]] == one["count"] for one in vocabulary["longest"][:3]
    )


def test_documents_that_do_not_come_back_stop_the_stage_unless_loss_is_allowed(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = kinds.make(BytesConfig(kind="bytes"), ())
    tokenizer.normalizer = Replace("reads", "read")  # no odd string has it
    tokenizer_files.save(tokenizer, tmp_path / "lossy")
    config = HuggingFaceConfig(kind="huggingface", path=str(tmp_path / "lossy"))
    with pytest.raises(UserError, match=r"18 of 21 documents are not given back exactly.*allow_loss: true"):
        tokenized(folders, TokenizeConfig(tokenizer=config))
    assert not folders["tokenizer"].exists()
    tokenized(folders, TokenizeConfig(tokenizer=config.model_copy(update={"allow_loss": True})))
    assert "18 of 21 documents are not given back exactly" in capsys.readouterr().err
    assert json.loads(folders["report"].read_text())["round_trip"]["inexact"] == 18
