import gc
import json
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from bhasa.documents.config import IngestConfig
from bhasa.documents.records import Conversation, Refused, Text
from bhasa.documents.source_configs import HuggingFaceConfig
from bhasa.documents.sources.data_sets import DataSet, open_data_set
from bhasa.errors import UserError

COMMIT = "0123456789" * 4


def opened(path: Path, **settings: object) -> DataSet:
    values = {"kind": "huggingface", "path": str(path), "name": "set", **settings}
    (config,) = IngestConfig.parse({"sources": [values]}, "test").sources
    assert isinstance(config, HuggingFaceConfig)
    return open_data_set(config, max_file_bytes=1 << 20)


def found(path: Path, **settings: object) -> dict[str, object]:
    """What each row is: a text, messages, or the reason why it is neither."""
    rows = {}
    for row in opened(path, **settings).partitions():
        (record,) = row.found
        if isinstance(record, Refused):
            rows[row.name] = record.reason
        else:
            assert isinstance(record, Text | Conversation)
            rows[row.name] = record.text if isinstance(record, Text) else record.messages
    return rows


def lines(path: Path, *rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(autouse=True)
def workspace(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    monkeypatch.setenv("DVC_ROOT", str(folder))
    return folder


def test_the_splits_asked_for_are_read_in_order(tmp_path: Path) -> None:
    lines(tmp_path / "data" / "train.jsonl", {"text": "one"}, {"text": "two"}, {"text": "three"})
    lines(tmp_path / "data" / "test.jsonl", {"text": "four"})
    assert found(tmp_path) == {"set/train/0": "one", "set/train/1": "two", "set/train/2": "three"}
    assert found(tmp_path, splits=["test", "train"], max_rows=2) == {
        "set/test/0": "four",
        "set/train/0": "one",
        "set/train/1": "two",
    }


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "text"])
def test_every_format_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    data = Dataset.from_dict({"text": ["a b", "c"]})
    if form == "text":
        (tmp_path / "train.txt").write_text("a b\nc\n")
    else:
        getattr(data, f"to_{form}")(tmp_path / f"train.{form}")
    assert found(tmp_path) == {"set/train/0": "a b", "set/train/1": "c"}


def test_a_readme_says_which_files_are_which(tmp_path: Path) -> None:
    lines(tmp_path / "a" / "x.jsonl", {"text": "one"})
    lines(tmp_path / "b.jsonl", {"text": "two"})
    configs = "".join(
        f"- config_name: {name}\n  data_files: {files}\n"
        for name, files in (("first", "a/*.jsonl"), ("second", "b.jsonl"))
    )
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n# A set\n")
    assert found(tmp_path, config="first") == {"set/train/0": "one"}
    assert found(tmp_path, config="second") == {"set/train/0": "two"}
    with pytest.raises(UserError, match="Config name is missing"):
        found(tmp_path)


def test_folders_that_save_to_disk_wrote(tmp_path: Path) -> None:
    data = Dataset.from_dict({"text": ["one", "two"]})
    data.save_to_disk(tmp_path / "one")
    DatasetDict({"train": data, "test": data.select([1])}).save_to_disk(tmp_path / "several")
    assert found(tmp_path / "one") == {"set/train/0": "one", "set/train/1": "two"}
    assert found(tmp_path / "several", splits=["test"]) == {"set/test/0": "two"}
    with pytest.raises(UserError, match="no split 'dev'; there are: train, test"):
        found(tmp_path / "several", splits=["dev"])


def test_columns_become_texts_and_conversations(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    lines(tmp_path / "train.jsonl", {"body": "one", "talk": talk}, {"body": None, "talk": talk[:1]})
    assert found(tmp_path, text="body") == {
        "set/train/0": "one",
        "set/train/1": "no conversation, preference or text",
    }
    assert found(tmp_path, messages="talk") == {
        "set/train/0": (("user", "hi"), ("assistant", "yes")),
        "set/train/1": "no reply of the assistant",
    }
    assert set(found(tmp_path).values()) == {"no conversation, preference or text"}
    with pytest.raises(UserError, match="no column 'boddy'; there are: body, talk"):
        found(tmp_path, text="boddy")


@pytest.mark.filterwarnings(
    "ignore"
)  # pandas leaves the file that is not read to its end to be closed for it
def test_a_missing_column_of_a_table_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no column 'c'; there are: a, b"):
        found(tmp_path, text="c")
    gc.collect()


def test_the_size_of_a_row_is_that_of_its_strings(tmp_path: Path) -> None:
    lines(tmp_path / "train.jsonl", {"text": "\u00e9t\u00e9", "more": [{"a": "xy", "n": 1}]})
    assert [row.size for row in opened(tmp_path).partitions()] == [7]
    assert [row.size for row in opened(tmp_path, text="text").partitions()] == [5]


def test_a_row_that_cannot_be_parsed_stops_with_its_place_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text('text,label\n"one",1\n"two",2,3,4\n')
    with pytest.raises(UserError, match=r"split 'train', row 0: .*; mend the file, or .* `kind: folder`"):
        found(tmp_path)


def test_no_code_of_a_data_set_runs(tmp_path: Path) -> None:
    lines(tmp_path / "train.jsonl", {"text": "one"})
    (tmp_path / f"{tmp_path.name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UserError, match="scripts are no longer supported"):
        found(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "place",
    ["../secret.jsonl", "/etc/passwd", "http://127.0.0.1:9/a.csv", "zip://x::a.zip", "x/../../s.jsonl"],
)
def test_a_readme_that_leads_elsewhere_is_refused_before_it_is_followed(place: str, tmp_path: Path) -> None:
    lines(tmp_path / "secret.jsonl", {"text": "secret"})
    lines(tmp_path / "set" / "train.jsonl", {"text": "one"})
    card = f"configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: ['{place}']\n"
    (tmp_path / "set" / "README.md").write_text(f"---\n{card}---\n")
    with pytest.raises(UserError, match="which is not in the folder; copy it there"):
        found(tmp_path / "set")


def test_a_link_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    lines(tmp_path / "secret.jsonl", {"text": "secret"})
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").symlink_to(tmp_path / "secret.jsonl")
    with pytest.raises(UserError, match=r"train\.jsonl is not in the folder but elsewhere"):
        found(tmp_path / "set")
    Dataset.from_dict({"text": ["one"]}).save_to_disk(tmp_path / "saved")
    state = json.loads((tmp_path / "saved" / "state.json").read_text())
    state["_data_files"] = [{"filename": "../other.arrow"}]
    (tmp_path / "saved" / "state.json").write_text(json.dumps(state))
    with pytest.raises(UserError, match=r"other\.arrow is not in the folder"):
        found(tmp_path / "saved")


def test_files_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match="files of the kind 'imagefolder'; read are arrow, csv, json"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs either `dataset`, a name on the hub, or `path`"),
        ({"dataset": "a/b", "path": "raw"}, "needs either"),
        (
            {"dataset": "a/b"},
            r"`revision` is missing.*`git ls-remote https://huggingface.co/datasets/a/b HEAD`",
        ),
        ({"dataset": "a/b", "revision": "main"}, r"revision: found 'main'; not the hash of a commit"),
        ({"dataset": "a/b", "revision": COMMIT[1:]}, "not the hash of a commit"),
        ({"dataset": "../b", "revision": COMMIT}, "dataset: found"),
        ({"path": "raw", "streaming": True}, "are for a `dataset` on the hub"),
        ({"path": "raw", "text": "a", "messages": "b"}, "a row is one of them"),
        ({"path": "raw", "splits": ["train", "train"]}, "one of `splits` twice"),
        ({"path": "raw", "splits": ["train[:10%]"]}, r"splits\.0: found"),
    ],
)
def test_what_is_not_fixed_or_not_clear_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        IngestConfig.parse({"sources": [{"kind": "huggingface", **settings}]}, "test")


def test_a_missing_or_empty_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder; a single file is read by"):
        found(tmp_path / "nowhere")
    with pytest.raises(UserError, match="doesn't contain any data files"):
        found(tmp_path)
