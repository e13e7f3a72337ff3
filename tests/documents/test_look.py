from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bhasa.dataset import SPLITS, Document
from bhasa.documents import look as looking
from bhasa.documents.look import look_at
from bhasa.documents.tables import write_documents


def document(number: int, domain: str = "raw", language: str = "en", size: int = 40) -> Document:
    identifier = f"{number:064x}"
    meta = '{"encoding": "utf-8"}' if number % 2 else "{}"
    names = (identifier, identifier, domain, f"{domain}/{number}.txt", "text/plain", language)
    return Document(*names, text="x" * size, bytes=size, meta=meta)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    splits = {split: [] for split in SPLITS} | {
        "train": [document(number) for number in range(8)] + [document(9, "library", "python", 2000)],
        "test": [document(20, size=700)],
    }
    write_documents(folder, splits)
    return folder


def account(source: str, outcome: str, reason: str = "", *details: str) -> dict[str, object]:
    values = {"source": source, "outcome": outcome, "reason": reason, "details": list(details)}
    return values | {"media_type": "text/plain", "bytes": 10}


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    rows = [
        account("raw/a.txt", "kept"),
        *(account(f"raw/b{n}.txt", "duplicate", "equal text", "same as raw/a.txt") for n in range(5)),
        account("raw/c.txt", "near duplicate", "nearly equal text", "like raw/d.txt"),
        account("raw/e.bin", "skipped", "unsupported format .bin"),
        account("raw/f.zip", "kept", "", "same as the last one: no duplicate"),
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "accounts.parquet")
    return tmp_path / "accounts.parquet"


def test_documents_are_counted_by_split_language_encoding_and_length(documents: Path, accounts: Path) -> None:
    look = look_at(documents, accounts)
    assert look.lengths == {"train": {6: 8, 11: 1}, "validation": {}, "test": {10: 1}}
    assert look.sizes == {"train": 2320, "validation": 0, "test": 700}
    assert look.languages == {"en": 9, "python": 1}
    assert look.encodings == {"utf-8": 5}
    assert look.media_types == {"text/plain": 10}


def test_samples_are_of_every_domain_and_cut(documents: Path, accounts: Path) -> None:
    kept = look_at(documents, accounts).kept
    assert [sample.source for sample in kept] == ["raw/0.txt", "raw/1.txt", "raw/2.txt", "library/9.txt"]
    assert kept[0].about == ("raw", "train", "text/plain", "en")
    assert [len(sample.text) for sample in kept] == [40, 40, 40, looking.SAMPLE_CHARACTERS]


def test_what_was_dropped_is_sampled_by_reason_and_duplicates_are_counted(
    documents: Path, accounts: Path
) -> None:
    look = look_at(documents, accounts)
    assert {kind: [sample.source for sample in samples] for kind, samples in look.dropped.items()} == {
        ("duplicate", "equal text"): ["raw/b0.txt", "raw/b1.txt", "raw/b2.txt"],
        ("near duplicate", "nearly equal text"): ["raw/c.txt"],
        ("skipped", "unsupported format .bin"): ["raw/e.bin"],
    }
    assert look.duplicated == [("same as raw/a.txt", 5), ("like raw/d.txt", 1)]


def test_memory_does_not_grow_with_the_duplicates(
    documents: Path, accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "DUPLICATES_COUNTED", 4)
    rows = [account(f"raw/{n}", "duplicate", "equal text", f"same as {n % 3 or n}") for n in range(90)]
    pq.write_table(pa.Table.from_pylist(rows), accounts)
    assert look_at(documents, accounts).duplicated[:2] == [("same as 1", 30), ("same as 2", 30)]


def test_nothing_kept_is_a_look_too(tmp_path: Path, accounts: Path) -> None:
    write_documents(tmp_path, {split: [] for split in SPLITS})
    assert look_at(tmp_path, accounts).kept == []
