import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.readers.delimited import read
from bhasa.documents.records import Conversation, Text

TABLE = [["code", "name", "price"], ["007", "bond, james", "1,50"], ["008", 'the "other"', "2,50"]]


def text_of(content: str) -> str:
    (record,) = read(content.encode(), "file")
    assert isinstance(record, Text)
    return record.text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_delimiter_and_line_end(delimiter: str, end: str) -> None:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator=end).writerows(TABLE)
    assert text_of(stream.getvalue()) == "\n".join("\t".join(row) for row in TABLE)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a,b\n\n1\n1,2,3\n", "a\tb\n1\n1\t2\t3"),  # rows of any length
        ('a,b\n1,"two\nlines"\n', "a\tb\n1\ttwo lines"),
        ('a,b\n1,"never closed\n2,x\n', "a\tb\n1\tnever closed 2,x "),
        ('a,b\n1,5" wide\n', 'a\tb\n1\t5" wide'),
        ("only\none\ncolumn\n", "only\none\ncolumn"),
        ("a,b\n", "a\tb"),
    ],
)
def test_what_is_out_of_shape_is_kept(content: str, text: str) -> None:
    assert text_of(content) == text


def test_a_cell_longer_than_the_csv_module_reads_by_itself() -> None:
    assert len(text_of(f"a,b\n1,{'x' * 200_000}\n")) > 200_000


def test_prompts_and_completions() -> None:
    assert list(read(b'prompt,completion\nq,"a\nb"\n', "file")) == [
        Conversation((("user", "q"), ("assistant", "a\nb")), part="row 1")
    ]


CELLS = st.text(alphabet="ab,;\t|\"'\n\r \u00e9", max_size=4)


@given(
    st.lists(st.lists(CELLS.map(lambda cell: f"x{cell}x"), min_size=2, max_size=2), min_size=2, max_size=5)
)
def test_every_cell_comes_out_once_and_in_order(table: list[list[str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream, delimiter="|", quoting=csv.QUOTE_ALL).writerows([["first", "second"], *table])
    cells = [cell for row in table for cell in row]
    shown = text_of(stream.getvalue()).split("\n", 1)[1]
    assert "".join(shown.split()) == "".join("".join(cells).split())
