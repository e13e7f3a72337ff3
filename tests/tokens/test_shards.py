import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.errors import FileError
from bhasa.journal import sha256_file, sha256_folder
from bhasa.tokens import shard_reader
from bhasa.tokens.shard_reader import TokenSplit, open_split
from bhasa.tokens.shard_writer import TokenDocument, write_tokens
from bhasa.tokens.shards import identity

MakeSplit = Callable[..., TokenSplit]

DOCUMENTS = [
    TokenDocument([0, 5, 6, 7], 9, [0, 0, 1, 1]),
    TokenDocument([0], 0, [0]),
    TokenDocument([0, 8], 3, [0, 1]),
]
SPLITS = {"train": DOCUMENTS, "validation": []}
"""7 tokens; a shard ends with the document that gives it three, so there are two."""


@pytest.fixture
def folder(tmp_path: Path, tokenizer_folder: Path) -> Path:
    write_tokens(
        tmp_path / "tokens", SPLITS, vocab_size=9, tokenizer=tokenizer_folder, masked=True, shard_tokens=3
    )
    return tmp_path / "tokens"


def test_what_is_read_is_what_was_written(folder: Path, tokenizer_folder: Path) -> None:
    split = open_split(folder, "train", tokenizer=tokenizer_folder)
    assert split.read(0, 7).tolist() == [0, 5, 6, 7, 0, 0, 8]
    assert split.read_mask(0, 7).tolist() == [False, False, True, True, False, False, True]
    assert split.offsets.tolist() == [0, 4, 5, 7]
    assert (split.index.tokens, split.index.documents, split.index.bytes) == (7, 3, 12)
    assert (split.index.target_tokens, split.vocab_size) == (3, 9)


def test_an_empty_split_is_read_as_empty(folder: Path, tokenizer_folder: Path) -> None:
    split = open_split(folder, "validation", tokenizer=tokenizer_folder)
    assert (split.index.tokens, split.offsets.tolist(), split.read(0, 0).tolist()) == (0, [0], [])


@given(st.data())
@settings(deadline=None)
def test_any_span_is_the_same_however_the_stream_is_cut_into_shards(
    make_split: MakeSplit, data: st.DataObject
) -> None:
    shard_tokens = data.draw(st.integers(1, 45))
    split = make_split([11, 1, 20, 8], shard_tokens=shard_tokens)
    start = data.draw(st.integers(0, 40))
    stop = data.draw(st.integers(start, 40))
    stream = np.arange(1, 41)
    stream[[0, 11, 12, 32]] = 0
    assert split.read(start, stop).tolist() == stream[start:stop].tolist()


def test_files_are_plain_and_the_same_every_time(
    folder: Path, tmp_path: Path, tokenizer_folder: Path
) -> None:
    assert np.load(folder / "train-00001.npy").tolist() == [0, 0, 8]
    assert np.load(folder / "train-00001.mask.npy").tolist() == [0, 0, 1]
    assert np.load(folder / "train-00001.offsets.npy").tolist() == [0, 1, 3]
    index = json.loads((folder / "index.json").read_text())
    assert (index["version"], index["dtype"]) == (1, "uint16")
    again = tmp_path / "again"
    write_tokens(again, SPLITS, vocab_size=9, tokenizer=tokenizer_folder, masked=True, shard_tokens=3)
    assert sha256_folder(again) == sha256_folder(folder)


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_the_vocabulary_decides_the_width_of_a_token(
    vocab_size: int, dtype: type, tmp_path: Path, tokenizer_folder: Path
) -> None:
    largest = TokenDocument([0, vocab_size - 1], 1)
    write_tokens(
        tmp_path / "t", {"train": [largest]}, vocab_size=vocab_size, tokenizer=tokenizer_folder, masked=False
    )
    assert np.load(tmp_path / "t" / "train-00000.npy").dtype == dtype
    split = open_split(tmp_path / "t", "train", tokenizer=tokenizer_folder)
    assert split.read(0, 2).tolist() == [0, vocab_size - 1]
    assert split.read_mask(0, 2).all()
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == [
        "index.json",
        "train-00000.npy",
        "train-00000.offsets.npy",
    ]


@pytest.mark.parametrize("wrong", [9, -1, 70_000])
def test_an_id_outside_the_vocabulary_is_refused_when_written(
    wrong: int, tmp_path: Path, tokenizer_folder: Path
) -> None:
    with pytest.raises(FileError, match=rf"train, document 1: token id {wrong} .* vocabulary of 9"):
        write_tokens(
            tmp_path / "t",
            {"train": [TokenDocument([0, wrong], 1)]},
            vocab_size=9,
            tokenizer=tokenizer_folder,
            masked=False,
        )


def test_an_id_outside_the_vocabulary_is_refused_on_opening(folder: Path, tokenizer_folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    assert [shard["max_id"] for shard in index["splits"]["train"]["shards"]] == [7, 8]
    (folder / "index.json").write_text(json.dumps(index | {"vocab_size": 8}))
    with pytest.raises(FileError, match=r"tokens: train: token id 8 is beyond the 8 rows"):
        open_split(folder, "train", tokenizer=tokenizer_folder)


def test_a_model_with_fewer_rows_than_ids_is_refused_at_once(folder: Path, tokenizer_folder: Path) -> None:
    split = open_split(folder, "train", tokenizer=tokenizer_folder)
    split.require_rows(9)
    with pytest.raises(FileError, match=r"tokens: train: token id 8 is beyond the 7 rows of the embedding"):
        split.require_rows(7)


@pytest.mark.parametrize("name", ["train-00001.npy", "train-00001.mask.npy", "train-00001.offsets.npy"])
def test_a_file_of_other_content_is_refused_when_it_is_first_read(
    name: str, folder: Path, tokenizer_folder: Path
) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    split = open_split(folder, "train", tokenizer=tokenizer_folder)
    assert split.read(0, 4).tolist() == [0, 5, 6, 7]
    assert split.read_mask(0, 4).tolist() == [False, False, True, True]
    with pytest.raises(FileError, match=rf"{name}: damaged: its SHA-256 is not that in index.json"):
        (split.read(3, 5), split.read_mask(3, 5), split.offsets)


def test_a_file_is_hashed_once_and_only_when_it_is_read(
    folder: Path, tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(
        shard_reader, "sha256_file", lambda path: hashed.append(path.name) or sha256_file(path)
    )
    split = open_split(folder, "train", tokenizer=tokenizer_folder)
    assert hashed == ["tokenizer.json"]
    for _ in range(2):
        split.read(4, 5)
    assert hashed == ["tokenizer.json", "train-00001.npy"]


def test_the_identity_is_that_of_the_content(folder: Path, tmp_path: Path, tokenizer_folder: Path) -> None:
    options = {"vocab_size": 9, "tokenizer": tokenizer_folder, "masked": True, "shard_tokens": 3}
    write_tokens(tmp_path / "same", SPLITS, **options)
    assert identity(tmp_path / "same") == identity(folder)
    for number, changed in enumerate(
        (
            TokenDocument([0, 7], 3, [0, 1]),  # another token
            TokenDocument([0, 8], 3, [1, 1]),  # another mask
        )
    ):
        write_tokens(tmp_path / str(number), {**SPLITS, "train": [*DOCUMENTS[:2], changed]}, **options)
        assert identity(tmp_path / str(number)) != identity(folder)
    moved = [TokenDocument([0, 5, 6], 9, [0, 0, 1]), TokenDocument([7, 0], 0, [1, 0]), DOCUMENTS[2]]
    write_tokens(tmp_path / "moved", {**SPLITS, "train": moved}, **options)  # a document's start
    assert identity(tmp_path / "moved") != identity(folder)


FILES = [
    "index.json",
    "train-00000.npy",
    "train-00001.npy",
    "train-00001.mask.npy",
    "train-00001.offsets.npy",
]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, folder: Path, tokenizer_folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(FileError, match=rf"{name}: no such file"):
        open_split(folder, "train", tokenizer=tokenizer_folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0, 20, -1])
def test_a_truncated_file_is_named(name: str, kept: int, folder: Path, tokenizer_folder: Path) -> None:
    content = (folder / name).read_bytes()
    cut = content[: content.rindex(b"}")] if name == "index.json" and kept == -1 else content[:kept]
    (folder / name).write_bytes(cut)
    with pytest.raises(FileError, match=rf"{name}: "):
        open_split(folder, "train", tokenizer=tokenizer_folder)


@pytest.mark.parametrize(
    "array", [np.zeros(2, np.uint16), np.zeros(4, np.uint32), np.zeros((4, 1), np.uint16)]
)
def test_a_shard_of_another_size_or_type_is_refused(
    array: np.ndarray, folder: Path, tokenizer_folder: Path
) -> None:
    np.save(folder / "train-00000.npy", array)
    with pytest.raises(FileError, match=r"train-00000.npy: found .* asks for uint16 \(4,\)"):
        open_split(folder, "train", tokenizer=tokenizer_folder)


def test_an_index_with_a_wrong_key_or_version_is_refused(folder: Path, tokenizer_folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    for change, message in [
        ({"dtype": "int8"}, "dtype"),
        ({"version": 2}, "version"),
        ({"x": 1}, "x: unknown"),
    ]:
        (folder / "index.json").write_text(json.dumps(index | change))
        with pytest.raises(FileError, match=rf"index.json: {message}"):
            open_split(folder, "train", tokenizer=tokenizer_folder)


def test_tokens_of_another_tokenizer_are_refused(
    folder: Path, tmp_path: Path, tokenizer_folder: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tokenizer_folder, other)
    with (other / "tokenizer.json").open("a") as stream:
        stream.write("\n")
    with pytest.raises(FileError, match=r"made with another tokenizer"):
        open_split(folder, "train", tokenizer=other)
    (other / "tokenizer.json").unlink()
    with pytest.raises(FileError, match=r"other/tokenizer.json: no such file"):
        open_split(folder, "train", tokenizer=other)


def test_a_domain_is_a_stream_of_its_own(tmp_path: Path, tokenizer_folder: Path) -> None:
    documents = [
        TokenDocument([0, number + 1], 1, domain=domain)
        for number, domain in enumerate(["b", "a", "b", "a", "a"])
    ]
    options = {"vocab_size": 9, "tokenizer": tokenizer_folder, "masked": False, "shard_tokens": 4}
    write_tokens(tmp_path / "t", {"train": documents}, **options)
    split = open_split(tmp_path / "t", "train", tokenizer=tokenizer_folder)
    assert split.index.domains == ("a", "b")
    assert split.read(0, 10).tolist() == [0, 2, 0, 4, 0, 5, 0, 1, 0, 3]
    assert split.offsets.tolist() == [0, 2, 4, 6, 8, 10]
    assert split.of_domain("b").read(0, 4).tolist() == [0, 1, 0, 3]
    assert split.of_domain("a").offsets.tolist() == [0, 2, 4, 6]
    assert [shard.documents for shard in split.index.shards] == [2, 1, 2]


@given(st.integers(1, 45), st.lists(st.integers(0, 39), min_size=1, max_size=9), st.integers(1, 90))
@settings(deadline=None)
def test_windows_go_around_the_ring(
    make_split: MakeSplit, shard_tokens: int, starts: list[int], length: int
) -> None:
    split = make_split([11, 1, 20, 8], shard_tokens=shard_tokens)
    stream = split.read(0, 40)
    found = split.windows(np.array(starts), length)
    assert found.dtype == np.uint16
    assert found.tolist() == [[int(stream[(start + i) % 40]) for i in range(length)] for start in starts]


def test_an_unknown_split_is_refused(folder: Path, tokenizer_folder: Path) -> None:
    with pytest.raises(FileError, match="no split 'test'; there are: train, validation"):
        open_split(folder, "test", tokenizer=tokenizer_folder)
