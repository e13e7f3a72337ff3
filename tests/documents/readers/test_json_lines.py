import json

import pytest

from bhasa.documents.readers import json_lines
from bhasa.documents.readers.json_lines import read
from bhasa.documents.records import Conversation, Refused, Text

GOOD = {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]}
LINE = json.dumps(GOOD)


def line(*messages: tuple[str, object]) -> str:
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in messages]})


def conversations(content: bytes) -> list[Conversation]:
    records = list(read(content, "file"))
    assert not [record for record in records if isinstance(record, Refused)]
    return [record for record in records if isinstance(record, Conversation)]


def parts(content: str) -> list[tuple[str, str]]:
    """Of each record where it was, and why it was refused or its kind."""
    found = []
    try:
        for record in read(content.encode(), "file"):
            why = record.reason if isinstance(record, Refused) else type(record).__name__
            found.append((record.part, why))
    except Refused as whole:
        found.append((whole.part, whole.reason))
    return found


def test_each_line_is_a_conversation() -> None:
    talk = line(("system", "Be short."), ("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"))
    found = conversations(f"{LINE}\r\n\n{talk}".encode())
    assert [c.messages[0] for c in found] == [("user", "Hello"), ("system", "Be short.")]
    assert [c.part for c in found] == ["line 1", "line 3"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_all_line_ends_and_a_byte_order_mark(end: str, mark: str) -> None:
    assert len(conversations((mark + end.join([LINE] * 3)).encode())) == 3


def test_other_line_ends_inside_a_string_do_not_cut_it() -> None:
    messages = json.loads(line(("user", "a\u2028b\x85c"), ("assistant", "d")))
    (found,) = conversations(json.dumps(messages, ensure_ascii=False).encode())
    assert found.messages[0] == ("user", "a\nb\nc")


def test_json_printed_over_several_lines() -> None:
    printed = json.dumps(GOOD, indent=2)
    height = printed.count("\n") + 1
    assert parts(f"\n{printed}\n\n{printed}\n{{ broken") == [
        ("line 2", "Conversation"),
        (f"line {height + 3}", "Conversation"),
        (f"line {2 * height + 3}", "not JSON"),
    ]


def test_equal_messages_have_equal_ids_and_others_do_not() -> None:
    first, second = conversations(f"{LINE}\n{LINE}".encode())
    (other,) = conversations(line(("user", "Hello"), ("assistant", "Hello")).encode())
    assert first.id == second.id != other.id


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("{", "not JSON"),
        (f"{LINE} x", "not JSON"),
        (LINE[:-9], "not JSON"),
        ('{"text": ' + "1" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "JSON nested too deeply"),
        ('{"messages": ' + "[" * 100_000, "JSON nested too deeply"),
        ("[1]", "not an object"),
        ("NaN", "not an object"),
        (line(("user", "x")), "no reply of the assistant"),
    ],
)
def test_a_broken_line_is_named_and_the_rest_is_read(bad: str, problem: str) -> None:
    good = ("line 1", "Conversation")
    assert parts(f"{LINE}\n{bad}\n{LINE}\n") == [good, ("line 2", problem), ("line 3", "Conversation")]
    assert parts(f"{bad}\n{LINE}\n") == [("line 1", problem), ("line 2", "Conversation")]


@pytest.mark.parametrize(
    ("odd", "text"),
    [
        ('{"text": "first", "text": "last"}', "last"),
        ('{"text": "half \\ud800 a pair"}', "half \ud800 a pair"),
        ('{"text": "x", "score": NaN, "size": -Infinity, "big": 1e999}', "x"),
    ],
)
def test_odd_json_is_read_as_parsers_do(odd: str, text: str) -> None:
    assert list(read(odd.encode(), "file")) == [Text(text, part="line 1")]


def test_lines_are_read_one_after_the_other() -> None:
    records = read(f"{LINE}\n".encode() * 2, "file")
    assert isinstance(next(records), Conversation)
    assert isinstance(next(records), Conversation)
    assert next(records, None) is None


def test_a_long_file_of_anything_else_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_REFUSED", 5)
    assert len(parts("{}\n" * 100)) == 7
    assert len(parts(f"{LINE}\n" + "{}\n" * 100)) == 101


def test_a_file_without_a_record_is_quarantined_after_its_lines_are_named() -> None:
    assert parts('{\n[1]\n{"a": 1}\n') == [
        ("line 1", "not JSON"),
        ("line 2", "not an object"),
        ("line 3, keys: a", "no conversation, preference or text"),
        ("", "no line is a conversation, preference or text"),
    ]
