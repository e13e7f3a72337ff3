import json

import pytest

from bhasa.documents.readers.json_file import read
from bhasa.documents.records import Conversation, Preference, Refused, Text

TALK = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
PAIR = {"prompt": "q", "chosen": "good", "rejected": "bad"}


def records(value: object, **form: int) -> list[object]:
    return list(read(json.dumps(value, **form).encode(), "file"))


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_of_rows_in_a_known_shape(indent: int) -> None:
    found = records([TALK, PAIR, {"text": "a text"}, {"messages": []}], indent=indent)
    assert [type(record) for record in found] == [Conversation, Preference, Text, Refused]
    assert [record.part for record in found] == [
        "record 1",
        "record 2",
        "record 3",
        "record 4, keys: messages",
    ]


def test_json_lines_under_this_name_and_a_single_conversation() -> None:
    lines = "\n".join(json.dumps(TALK) for _ in range(3))
    assert [type(record) for record in read(lines.encode(), "file")] == [Conversation] * 3
    assert [type(record) for record in records(TALK, indent=2)] == [Conversation]


def test_texts_are_records_where_they_are_most_of_what_is_said() -> None:
    assert [type(record) for record in records([{"text": "a long text", "id": "7"}])] == [Text]
    (found,) = records([{"name": "www.example.org", "type": "A", "content": "10.0.0.1"}])
    assert "www.example.org" in found.text


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "project", "text": "x", "n": NaN}',
        '{"input": "src", "output": "dist"}',
        '[{"a": 1}, {"a": 2}]',
        "[1, 2]",
        "[]",
        "{}",
        '"text"',
        "// a comment\n{}",
        '{"cut": [',
        '[{"text": "one"}, ["two"]]',
        "[" * 100_000,
        "1" * 5000,
        "",
    ],
)
def test_anything_else_is_the_text_that_it_is(text: str) -> None:
    assert list(read(text.encode(), "file")) == [Text(text, {"encoding": "utf-8"}, language="json")]
