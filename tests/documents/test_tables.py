import hashlib
import json
from pathlib import Path

import datasets
import pandas as pd
import pyarrow.parquet as pq
import pytest

from bhasa.dataset import Document
from bhasa.documents import tables
from bhasa.documents.records import Conversation, Preference
from bhasa.documents.tables import SCHEMA, write_conversations, write_documents, write_preferences


def document(text: str) -> Document:
    identifier = hashlib.sha256(text.encode()).hexdigest()
    return Document(
        identifier, identifier, "raw", "raw/a.txt", "text/plain", "und", text, len(text.encode()), "{}"
    )


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


SPLITS = {
    "train": [document(f"text {n} \u2603\n") for n in range(9)],
    "validation": [document("held out\n")],
    "test": [document("measured\n")],
}


def test_pandas_and_datasets_read_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    write_documents(made(tmp_path / "documents"), SPLITS)
    frame = pd.read_parquet(tmp_path / "documents" / "train-00000.parquet")
    assert list(frame.columns) == SCHEMA.names
    assert list(frame["text"]) == [row.text for row in SPLITS["train"]]
    files = {split: f"{tmp_path}/documents/{split}-*.parquet" for split in SPLITS}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert {split: list(loaded[split]["id"]) for split in SPLITS} == {
        split: [row.id for row in rows] for split, rows in SPLITS.items()
    }
    assert loaded["test"][0]["bytes"] == 9


def test_a_large_split_goes_into_several_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SHARD_BYTES", 40)
    monkeypatch.setattr(tables, "ROW_GROUP_BYTES", 20)
    write_documents(made(tmp_path / "documents"), SPLITS)
    shards = sorted((tmp_path / "documents").glob("train-*.parquet"))
    assert [shard.name for shard in shards] == [f"train-0000{n}.parquet" for n in range(len(shards))]
    assert len(shards) == 3
    assert pq.ParquetFile(shards[0]).num_row_groups == 2
    texts = [text for shard in shards for text in pq.read_table(shard)["text"].to_pylist()]
    assert texts == [row.text for row in SPLITS["train"]]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 8, 9])
def test_no_shard_is_empty_but_that_of_an_empty_split(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "SHARD_BYTES", 40)
    monkeypatch.setattr(tables, "ROW_GROUP_BYTES", 20)
    write_documents(made(tmp_path / "documents"), {"train": SPLITS["train"][:count]})
    rows = [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "documents").iterdir())]
    assert rows == [4] * (count // 4) + [count % 4] * (count % 4 > 0 or not count)


def test_an_empty_split_is_a_file_without_rows(tmp_path: Path) -> None:
    write_documents(made(tmp_path / "documents"), {"train": []})
    table = pq.read_table(tmp_path / "documents" / "train-00000.parquet")
    assert (table.num_rows, table.schema) == (0, SCHEMA)


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    for run in ("one", "two"):
        write_documents(made(tmp_path / run), SPLITS)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_conversations_are_json_lines(tmp_path: Path) -> None:
    talk = Conversation((("user", "A \u2028 line\nbreak"), ("assistant", "\u2603")))
    write_conversations(made(tmp_path / "chat"), {"train": [talk, talk], "test": []})
    lines = (tmp_path / "chat" / "train.jsonl").read_bytes().split(b"\n")
    assert lines[2:] == [b""]
    assert json.loads(lines[0]) == {
        "id": talk.id,
        "messages": [
            {"role": "user", "content": "A \u2028 line\nbreak"},
            {"role": "assistant", "content": "\u2603"},
        ],
    }
    assert (tmp_path / "chat" / "test.jsonl").read_bytes() == b""


def test_preferences_are_json_lines(tmp_path: Path) -> None:
    pair = Preference((("user", "q\u2028"),), (("assistant", "good"),), (("assistant", "bad"),))
    write_preferences(made(tmp_path / "chat"), {"train": [pair], "test": []})
    line, end = (tmp_path / "chat" / "train.preferences.jsonl").read_bytes().split(b"\n")
    assert end == b""
    assert (tmp_path / "chat" / "test.preferences.jsonl").read_bytes() == b""
    assert json.loads(line) == {
        "id": pair.id,
        "prompt": [{"role": "user", "content": "q\u2028"}],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }
