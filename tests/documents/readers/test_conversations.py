import json

import pytest

from bhasa.documents.readers.conversations import read
from bhasa.documents.records import Conversation, Refused

GOOD = {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]}


def line(*messages: tuple[str, object]) -> str:
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in messages]})


def conversations(content: bytes) -> list[Conversation]:
    records = list(read(content, "file"))
    assert not [record for record in records if isinstance(record, Refused)]
    return [record for record in records if isinstance(record, Conversation)]


def test_each_line_is_a_conversation() -> None:
    talk = line(("system", "Be short."), ("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"))
    found = conversations(f"{json.dumps(GOOD)}\r\n\n{talk}".encode())
    assert [c.messages[0] for c in found] == [("user", "Hello"), ("system", "Be short.")]


def test_other_line_ends_inside_a_string_do_not_cut_it() -> None:
    messages = json.loads(line(("user", "a\u2028b\x85c"), ("assistant", "d")))
    (found,) = conversations(json.dumps(messages, ensure_ascii=False).encode())
    assert found.messages[0] == ("user", "a\nb\nc")


def test_equal_messages_have_equal_ids_and_others_do_not() -> None:
    first, second = conversations(f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}".encode())
    (other,) = conversations(line(("user", "Hello"), ("assistant", "Hello")).encode())
    assert first.id == second.id != other.id


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "no 'messages'"),
        ('{"text": "x"}', "no 'messages'"),
        ('{"messages": []}', "no 'messages'"),
        ('{"messages": ["hi"]}', "a message needs 'role' and 'content' and nothing else"),
        ('{"messages": [{"role": "user"}]}', "a message needs 'role' and 'content' and nothing else"),
        (line(("bot", "x")), "a role is one of system, user, assistant"),
        ('{"messages": [{"role": ["user"], "content": "x"}]}', "a role is one of system, user, assistant"),
        (line(("user", 5)), "a message without content"),
        (line(("user", " \n ")), "a message without content"),
        (line(("user", "x")), "expected user and assistant in turn, after at most one system message"),
        (line(("system", "x")), "expected user and assistant in turn, after at most one system message"),
        (
            line(("assistant", "x"), ("user", "y")),
            "expected user and assistant in turn, after at most one system message",
        ),
    ],
)
def test_a_broken_line_is_named_and_the_rest_is_read(bad: str, problem: str) -> None:
    before, refused, after = read(f"{json.dumps(GOOD)}\n{bad}\n{json.dumps(GOOD)}\n".encode(), "file")
    assert isinstance(refused, Refused)
    assert (refused.part, refused.reason) == ("line 2", problem)
    assert before == after


def test_lines_are_read_one_after_the_other() -> None:
    records = read(f"{json.dumps(GOOD)}\n".encode() * 2, "file")
    assert isinstance(next(records), Conversation)
    assert isinstance(next(records), Conversation)
    assert next(records, None) is None


def test_a_file_without_a_conversation_is_quarantined_after_its_lines_are_named() -> None:
    records = read(b"{\n[1]\n", "file")
    lines = [next(records), next(records)]
    assert [(line.part, line.reason) for line in lines if isinstance(line, Refused)] == [
        ("line 1", "not JSON"),
        ("line 2", "no 'messages'"),
    ]
    with pytest.raises(Refused, match="no line is a conversation"):
        next(records)
