from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bhasa.documents import accounts
from bhasa.documents.accounts import SCHEMA, Account, Accounts, Entry
from bhasa.documents.database import Database
from bhasa.documents.records import Outcome
from bhasa.documents.spool import Spool

ROWS = [
    Account(0, "raw/a.txt", "s", Outcome.QUARANTINED, "text/plain", 5, "odd"),
    Account(0, "raw/b.txt", "", Outcome.DUPLICATE, "text/plain", 7, "equal text", ("same as raw/a.txt",), 6),
    Account(1, "x/\u2603.jsonl", "t", Outcome.QUARANTINED, "application/jsonl", 9, "odd", ("1: x", "2: y")),
]
KIND = (Outcome.DUPLICATE, "text/plain", "equal text")
ROWS[1] = replace(ROWS[1], texts=Counter({KIND: 2}), sizes=Counter({KIND: 6}))


def fill(path: Path) -> Accounts:
    database = Database(path)
    Spool(database, str)
    filled = Accounts(database)
    for row in ROWS:
        filled.add(row)
    return filled


@pytest.mark.parametrize("row_group", [1, 2, 3, 10])
def test_every_account_is_a_row_in_its_order(
    row_group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "ROW_GROUP", row_group)
    fill(tmp_path / "database").write(tmp_path / "accounts.parquet")
    table = pq.read_table(tmp_path / "accounts.parquet")
    assert table.schema == SCHEMA
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (row.source, row.outcome, row.media_type, row.bytes, row.reason, [*row.details], row.text_bytes, 0)
        for row in ROWS
    ]


def test_equal_accounts_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        fill(tmp_path / f"{name}.database").write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_both_ledgers_are_sums_by_kind(tmp_path: Path) -> None:
    filled = fill(tmp_path / "database")
    assert filled.partitions() == [
        Entry(0, "duplicate", "text/plain", "equal text", 1, 7),
        Entry(0, "quarantined", "text/plain", "odd", 1, 5),
        Entry(1, "quarantined", "application/jsonl", "odd", 1, 9),
    ]
    assert filled.texts() == [Entry(0, "duplicate", "text/plain", "equal text", 2, 6)]
    assert (len(filled), filled.text_bytes()) == (3, 6)
    assert [name for name, _, _ in filled.known()] == [row.source for row in ROWS]
