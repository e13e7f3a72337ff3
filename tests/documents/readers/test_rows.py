import datetime
from decimal import Decimal

import pytest

from bhasa.documents.readers import rows
from bhasa.documents.readers.rows import read_table, shown
from bhasa.documents.records import Conversation, Preference, Refused, Text


def texts(*table: list[object], sheet: str = "") -> list[tuple[str, str]]:
    found = read_table(["n", "word"], table, sheet)
    return [(record.part, record.text) for record in found if isinstance(record, Text)]


def test_a_table_is_a_line_for_each_row_under_the_names_of_its_columns() -> None:
    assert texts([1, "one\nline"], [2, None]) == [("rows 1-2", "n\tword\n1\tone line\n2\t")]
    assert texts([1, "one"], sheet="Words") == [("Words, rows 1-1", "Words\nn\tword\n1\tone")]
    assert texts(sheet="Empty") == [("Empty", "Empty\nn\tword")]


def test_a_long_table_is_cut_and_each_part_has_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_ROWS", 2)
    table = [[n, f"word{n}"] for n in range(1, 6)]
    assert texts(*table) == [
        ("rows 1-2", "n\tword\n1\tword1\n2\tword2"),
        ("rows 3-4", "n\tword\n3\tword3\n4\tword4"),
        ("rows 5-5", "n\tword\n5\tword5"),
    ]


def test_long_rows_are_cut_by_their_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_CHARACTERS", 10)
    assert [part for part, _ in texts([1, "x" * 11], [2, "y"], [3, "z"])] == ["rows 1-1", "rows 2-3"]


@pytest.mark.parametrize(
    ("names", "row", "kind"),
    [
        (["id", "prompt", "completion"], [1, "q", "a"], Conversation),
        (["question", "answer"], ["q", 4], Conversation),
        (
            ["messages"],
            [[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]],
            Conversation,
        ),
        (["prompt", "chosen", "rejected"], ["q", "good", "bad"], Preference),
        (["id", "text"], ["7", "a long text"], Text),
    ],
)
def test_columns_of_a_known_shape_give_records(names: list[str], row: list[object], kind: type) -> None:
    first, second = read_table(names, [row, row], "Data")
    assert [type(first), first.part, second.part] == [kind, "Data, row 1", "Data, row 2"]


def test_a_row_that_is_none_is_named() -> None:
    _, refused = read_table(["prompt", "completion"], [["q", "a"], ["q", ""]])
    assert isinstance(refused, Refused)
    assert (refused.part, refused.reason) == ("row 2", "no reply of the assistant")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (b"\x00", ""),
        (0.1 + 0.2, "0.3"),
        (1e21, "1e+21"),
        (7.0, "7"),
        (True, "True"),
        (Decimal("1.50"), "1.50"),
        (datetime.datetime(2024, 1, 31), "2024-01-31"),
        (datetime.datetime(2024, 1, 31, 9, 5), "2024-01-31 09:05:00"),
        (datetime.date(2024, 1, 31), "2024-01-31"),
        (datetime.time(9, 5), "09:05:00"),
        (["\u00e9", None, datetime.date(2024, 1, 31)], '["\u00e9", null, "2024-01-31"]'),
    ],
)
def test_a_cell_is_as_a_person_sees_it(value: object, text: str) -> None:
    assert shown(value) == text
