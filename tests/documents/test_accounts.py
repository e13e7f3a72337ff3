from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bhasa.documents import accounts
from bhasa.documents.accounts import SCHEMA, Account, Accounts, Kind
from bhasa.documents.records import Outcome

ROWS = [
    Account("raw/a.txt", Outcome.KEPT, "text/plain", 5),
    Account("raw/b.txt", Outcome.DUPLICATE, "text/plain", 7, "equal text", ("same as raw/a.txt",)),
    Account(
        "raw/\u2603.jsonl", Outcome.QUARANTINED, "application/jsonl", 9, "odd", ("line 1: x", "line 2: y")
    ),
]


def write(path: Path) -> Accounts:
    with Accounts(path) as written:
        for row in ROWS:
            written.add(0, row)
        written.add(1, ROWS[0])
    return written


@pytest.mark.parametrize("row_group", [1, 2, 4, 10])
def test_every_account_is_a_row_in_its_order(
    row_group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "ROW_GROUP", row_group)
    write(tmp_path / "accounts.parquet")
    table = pq.read_table(tmp_path / "accounts.parquet")
    assert table.schema == SCHEMA
    assert [Account(**row | {"details": tuple(row["details"])}) for row in table.to_pylist()] == [
        *ROWS,
        ROWS[0],
    ]


def test_equal_accounts_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_accounts_are_a_file_without_rows(tmp_path: Path) -> None:
    with Accounts(tmp_path / "accounts.parquet"):
        pass
    assert pq.read_table(tmp_path / "accounts.parquet").num_rows == 0


def test_files_and_bytes_are_counted_by_kind(tmp_path: Path) -> None:
    written = write(tmp_path / "accounts.parquet")
    kept = Kind(1, Outcome.KEPT, "text/plain", "")
    assert (written.count[kept], written.bytes[kept]) == (1, 5)
    assert written.count.total() == 4
    assert written.bytes.total() == 26
