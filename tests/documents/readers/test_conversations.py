import json

import pytest

from bhasa.documents.files import Refused
from bhasa.documents.readers.conversations import read

GOOD = {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]}


def line(*messages: tuple[str, object]) -> str:
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in messages]})


def test_each_line_is_a_conversation() -> None:
    talk = line(("system", "Be short."), ("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"))
    reading = read(f"{json.dumps(GOOD)}\r\n\n{talk}".encode())
    assert [c.messages[0] for c in reading.conversations] == [("user", "Hello"), ("system", "Be short.")]
    assert reading.problems == []


def test_other_line_ends_inside_a_string_do_not_cut_it() -> None:
    messages = json.loads(line(("user", "a\u2028b\x85c"), ("assistant", "d")))
    reading = read(json.dumps(messages, ensure_ascii=False).encode())
    assert reading.conversations[0].messages[0] == ("user", "a\nb\nc")


def test_equal_messages_have_equal_ids_and_others_do_not() -> None:
    first, second = read(f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}".encode()).conversations
    other = read(line(("user", "Hello"), ("assistant", "Hello")).encode()).conversations[0]
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
    reading = read(f"{json.dumps(GOOD)}\n{bad}\n{json.dumps(GOOD)}\n".encode())
    assert len(reading.conversations) == 2
    assert reading.problems == [f"line 2: {problem}"]


def test_many_broken_lines_are_counted_and_some_named() -> None:
    problems = read(json.dumps(GOOD).encode() + b"\n{" * 100).problems
    assert problems[:2] == ["line 2: not JSON", "line 3: not JSON"]
    assert problems[20:] == ["80 more broken lines"]


def test_a_file_without_any_conversation_is_quarantined() -> None:
    with pytest.raises(Refused, match="no line is a conversation"):
        read(b'{"text": "x"}\n')
