import datetime
import io
import zipfile
from collections.abc import Callable

import pandas as pd
import pytest
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from bhasa.documents.readers import spreadsheet
from bhasa.documents.readers.spreadsheet import read
from bhasa.documents.records import Conversation, Record, Refused, Text


def written(book: Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def book(*rows: list[object]) -> tuple[Workbook, Worksheet]:
    made = Workbook()
    sheet = made.active
    assert sheet is not None
    sheet.title = "Words"
    for row in rows:
        sheet.append(row)
    return made, sheet


def texts(content: bytes) -> list[tuple[str, str]]:
    return [(record.part, record.text) for record in read(content, "file") if isinstance(record, Text)]


def refusal(content: bytes) -> str:
    with pytest.raises(Refused) as caught:
        list(read(content, "file"))
    return caught.value.reason


def altered(content: bytes, member: str, change: Callable[[str], str]) -> bytes:
    """The file with one of its parts written anew."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            part = old.read(info).decode()
            new.writestr(info.filename, change(part) if info.filename == member else part)
    return stream.getvalue()


def test_cells_are_as_they_are_seen() -> None:
    made, sheet = book(
        ["n", "day", "share", "word"],
        [1, datetime.date(2024, 1, 31), 0.125, "one\ntwo"],
        [],
        [2.0, datetime.datetime(2024, 1, 31, 9, 5), 0.1 + 0.2, None],
    )
    sheet["C2"].number_format = "0.0%"
    assert texts(written(made)) == [
        (
            "Words, rows 1-2",
            "Words\nn\tday\tshare\tword\n1\t2024-01-31\t12.5%\tone two\n2\t2024-01-31 09:05:00\t0.3",
        )
    ]


def test_sheets_come_in_order_with_their_names_and_hidden_ones_are_accounted_for() -> None:
    made, _ = book(["first"])
    made.create_sheet("Secret").append(["unseen"])
    made["Secret"].sheet_state = "hidden"
    made.create_sheet("More").append(["second"])
    made.create_sheet("Empty")
    first, hidden, second = read(written(made), "file")
    assert isinstance(first, Text)
    assert isinstance(second, Text)
    assert isinstance(hidden, Refused)
    assert (first.text, second.text) == ("Words\nfirst", "More\nsecond")
    assert (hidden.part, hidden.reason) == ("sheet Secret", "a hidden sheet")


def test_what_pandas_writes() -> None:
    stream = io.BytesIO()
    rows = {"instruction": ["q", "r"], "output": ["a", "b"], "n": [1, None]}
    pd.DataFrame(rows).to_excel(stream, sheet_name="Chat", index=False)
    assert list(read(stream.getvalue(), "file")) == [
        Conversation((("user", "q"), ("assistant", "a")), part="Chat, row 1"),
        Conversation((("user", "r"), ("assistant", "b")), part="Chat, row 2"),
    ]


def test_a_formula_shows_what_was_computed_and_is_not_computed() -> None:
    made, sheet = book(["word"], ["one"])
    sheet["A3"] = '=CONCAT("t","wo")'
    content = written(made)
    assert texts(content) == [("Words, rows 1-1", "Words\nword\none")]
    before, after = ('"A3"><f>', "<v></v>"), ('"A3" t="str"><f>', "<v>two</v>")
    kept = altered(
        content,
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(before[0], after[0]).replace(before[1], after[1]),
    )
    assert texts(kept) == [("Words, rows 1-2", "Words\nword\none\ntwo")]


def test_a_style_that_is_missing_costs_only_the_style() -> None:
    content = written(book(["n"], [1])[0])
    odd = altered(content, "xl/worksheets/sheet1.xml", lambda xml: xml.replace('"A2"', '"A2" s="99"'))
    assert texts(odd) == texts(content)


def test_rows_and_columns_that_are_only_named_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    content = written(book(["word"], ["one"])[0])
    wide = altered(
        content, "xl/worksheets/sheet1.xml", lambda xml: xml.replace('ref="A1:A2"', 'ref="A1:XFD1048576"')
    )
    assert texts(wide) == texts(content)
    far = altered(content, "xl/worksheets/sheet1.xml", lambda xml: xml.replace('r="2"', 'r="999999999"'))
    monkeypatch.setattr(spreadsheet, "MAX_CELLS", 1000)
    assert refusal(far) == "Excel file with more cells than are allowed"


def test_what_unpacks_to_too_much_is_refused_before_it_is_parsed() -> None:
    bomb = altered(
        written(book(["word"])[0]),
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace("<sheetData>", "<sheetData>" + "<!---->" * 1_000_000),
    )
    assert len(bomb) < 30_000
    assert refusal(bomb) == "Excel file that unpacks to more than is allowed"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (spreadsheet.OLE + bytes(500), "Excel file with a password or of before 2007"),
        (b"", "broken Excel file (BadZipFile)"),
        (b"a,b\n1,2\n", "broken Excel file (BadZipFile)"),
    ],
)
def test_what_is_no_excel_file_is_refused(content: bytes, reason: str) -> None:
    assert refusal(content) == reason


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "lol">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 50}">' for before, name in zip("abcde", "bcdef", strict=True)
    )
    content = altered(
        written(book(["word"], ["one"])[0]),
        "xl/worksheets/sheet1.xml",
        lambda xml: f"{bomb}]>" + xml.replace(">one<", ">&f;<"),
    )
    assert refusal(content).startswith("broken Excel file (")


def test_a_file_damaged_anywhere_is_read_or_refused() -> None:
    content = written(book(["word"], *([n, f"word {n}"] for n in range(20)))[0])
    for place in range(0, len(content), 97):
        damaged: list[Record | Refused] = []
        try:
            damaged += read(content[:place] + b"\xff\x00" + content[place + 2 :], "file")
            damaged += read(content[:place], "file")
        except Refused:
            continue
