import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.records import Conversation, Outcome, Preference, Refused, Text
from bhasa.documents.shapes import ANSWERS, CHOSEN, MESSAGES, QUESTIONS, REJECTED, TEXTS, record_of

U, A, S = "user", "assistant", "system"
Pairs = list[tuple[str, str]]


def said(role: str, content: str) -> dict[str, object]:
    return {"role": role, "content": content}


HISTORY = {"instruction": "c", "input": "", "output": "d", "system": "s", "history": [["a", "b"]]}
TALK = [said(U, "q"), said(A, "a")]


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"messages": TALK}, [(U, "q"), (A, "a")]),
        ({"messages": TALK, "prompt": "q", "prompt_id": "7"}, [(U, "q"), (A, "a")]),
        (
            {"messages": TALK, "tools": [{"name": "f"}]},
            [(S, '<tools>\n{"name": "f"}\n</tools>'), (U, "q"), (A, "a")],
        ),
        ({"messages": json.dumps(TALK)}, [(U, "q"), (A, "a")]),
        (
            {"contents": [{"role": "user", "parts": [{"text": "q"}]}, said("model", "a")]},
            [(U, "q"), (A, "a")],
        ),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
            [(U, "q"), (A, "a")],
        ),
        ({"conversations": TALK, "system": "s"}, [(S, "s"), (U, "q"), (A, "a")]),
        ({"messages": [*TALK, said(U, "thanks")]}, [(U, "q"), (A, "a")]),
        ({"messages": [said(A, "Hello."), *TALK]}, [(A, "Hello."), (U, "q"), (A, "a")]),
        ({"conversation": [{"human": "q", "assistant": "a"}], "system": "s"}, [(S, "s"), (U, "q"), (A, "a")]),
        ({"instruction": "do", "input": "this", "output": "done"}, [(U, "do\n\nthis"), (A, "done")]),
        ({"instruction": "do", "input": "", "output": "done", "text": "all"}, [(U, "do"), (A, "done")]),
        (HISTORY, [(S, "s"), (U, "a"), (A, "b"), (U, "c"), (A, "d")]),
        ({"prompt": "p", "completion": "c"}, [(U, "p"), (A, "c")]),
        ({"prompt": [said(U, "p")], "completion": [said(A, "c")]}, [(U, "p"), (A, "c")]),
        ({"prompt": "p", "response": "r", "label": True}, [(U, "p"), (A, "r")]),
        ({"query": "q", "response": "r"}, [(U, "q"), (A, "r")]),
        ({"input": "i", "output": "o"}, [(U, "i"), (A, "o")]),
        ({"question": "q", "answer": 42, "context": "c"}, [(U, "q\n\nc"), (A, "42")]),
        (
            {"question": "q", "context": "c", "answers": {"text": ["one", "two"], "answer_start": [0, 9]}},
            [(U, "q\n\nc"), (A, "one")],
        ),
    ],
)
def test_conversations(row: dict[str, object], messages: Pairs) -> None:
    assert record_of(row, "line 1") == Conversation(tuple(messages), part="line 1")


HH = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"prompt": "q", "chosen": "good", "rejected": "bad"}, [(U, "q")]),
        ({"instruction": "q", "input": "i", "chosen": "good", "rejected": "bad"}, [(U, "q\n\ni")]),
        ({"question": "q", "system": "s", "chosen": "good", "rejected": "bad"}, [(S, "s"), (U, "q")]),
        ({"prompt": [said(U, "q")], "chosen": [said(A, "good")], "rejected": [said(A, "bad")]}, [(U, "q")]),
        ({"messages": [said(U, "q")], "chosen": said(A, "good"), "rejected": said(A, "bad")}, [(U, "q")]),
        (
            {
                "prompt": "q",
                "chosen": [said(U, "q"), said(A, "good")],
                "rejected": [said(U, "q"), said(A, "bad")],
            },
            [(U, "q")],
        ),
        (
            {
                "system": "s",
                "chosen": [said(U, "q"), said(A, "good")],
                "rejected": [said(U, "q"), said(A, "bad")],
            },
            [(S, "s"), (U, "q")],
        ),
        ({"chosen": f"{HH} good", "rejected": f"{HH} bad"}, [(U, "a"), (A, "b"), (U, "c")]),
        ({"prompt": HH, "chosen": "good", "rejected": "bad"}, [(U, "a"), (A, "b"), (U, "c")]),
        (
            {
                "input": {"messages": [said(U, "q")]},
                "preferred_output": [said(A, "good")],
                "non_preferred_output": [said(A, "bad")],
            },
            [(U, "q")],
        ),
    ],
)
def test_preferences(row: dict[str, object], prompt: Pairs) -> None:
    assert record_of(row) == Preference(tuple(prompt), ((A, "good"),), ((A, "bad"),))


def test_rows_of_one_thread_are_of_one_group() -> None:
    first, second, other, alone = (
        record_of({"prompt": f"q{n}", "completion": "a"} | more)
        for n, more in enumerate([{"thread_id": 7}, {"thread_id": 7}, {"thread_id": "8"}, {}])
    )
    assert isinstance(first, Conversation)
    assert first.group_id == second.group_id != other.group_id
    assert alone.group_id == alone.id
    assert record_of({"text": "x", "conversation_id": "c"}) == Text("x", group="c")


def test_texts_keep_what_is_known_of_them() -> None:
    row = {"text": "a text", "title": "T", "url": None, "date": datetime.date(2024, 1, 31), "score": 0.5}
    assert record_of(row, "row 7") == Text("a text", {"title": "T", "date": "2024-01-31"}, part="row 7")
    assert record_of({"content": "a text"}) == Text("a text")


@pytest.mark.parametrize(
    ("row", "outcome", "reason", "part"),
    [
        (5, "quarantined", "not an object", "line 3"),
        ({}, "quarantined", "no conversation, preference or text", "line 3, keys: none"),
        ({"a": 1, "b": "x"}, "quarantined", "no conversation, preference or text", "line 3, keys: a, b"),
        (
            dict.fromkeys("abcdefghij"),
            "quarantined",
            "no conversation, preference or text",
            "line 3, keys: a, b, c, d, e, f, g, h, ...",
        ),
        ({"messages": []}, "quarantined", "no conversation, preference or text", "line 3, keys: messages"),
        ({"messages": [said(U, "q")]}, "quarantined", "no reply of the assistant", "line 3"),
        ({"messages": [said(A, "a"), said(U, "q")]}, "quarantined", "no reply of the assistant", "line 3"),
        ({"messages": [said(A, "a")]}, "quarantined", "no message of the user", "line 3"),
        ({"messages": [said("x", "a")]}, "quarantined", "an unknown role", "line 3, message 1, role 'x'"),
        ({"instruction": "do", "output": ""}, "quarantined", "no reply of the assistant", "line 3"),
        ({"question": "q", "answers": {"text": []}}, "quarantined", "no reply of the assistant", "line 3"),
        (
            {"prompt": "p", "completion": "c", "label": False},
            "skipped",
            "an answer that its row calls bad",
            "line 3",
        ),
        (
            {"messages": TALK, "images": ["a.png"]},
            "skipped",
            "a conversation about what is not text",
            "line 3",
        ),
        (
            {"prompt": "p", "chosen": "c", "rejected": "c"},
            "quarantined",
            "chosen and rejected are equal",
            "line 3",
        ),
        (
            {"chosen": "c", "rejected": "r"},
            "quarantined",
            "a preference without a prompt of the user",
            "line 3",
        ),
        (
            {"prompt": "p", "chosen": "c", "rejected": ""},
            "quarantined",
            "chosen or rejected is not an answer to the prompt",
            "line 3",
        ),
        (
            HISTORY | {"history": ["a"]},
            "quarantined",
            "a history that is not pairs of question and answer",
            "line 3",
        ),
    ],
)
def test_what_is_none_says_why(row: object, outcome: str, reason: str, part: str) -> None:
    refused = record_of(row, "line 3")
    assert isinstance(refused, Refused)
    assert (refused.outcome, refused.reason, refused.part) == (Outcome(outcome), reason, part)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "from", "value", "type", "text", "tool_calls", "function", "weight"]
            ),
            inner | st.sampled_from(["user", "assistant", "text", "tool"]),
            max_size=3,
        )
    ),
    max_leaves=8,
)
KEYS = (*MESSAGES, *QUESTIONS, *ANSWERS, *CHOSEN, *REJECTED, *TEXTS, "history", "system", "tools", "title")


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_any_row_is_a_record_or_refused(row: dict[str, object]) -> None:
    record = record_of(row, "line 1")
    assert record.part.startswith("line 1")
    if isinstance(record, Conversation):
        roles = [role for role, _ in record.messages]
        assert roles[-1] == A
        assert U in roles
        assert all(text.strip() for _, text in record.messages)


def test_a_row_nested_too_deeply_is_refused() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    refused = record_of({"messages": [said(U, "q"), {"role": A, "tool_calls": [deep]}]})
    assert isinstance(refused, Refused)
    assert refused.reason == "nested too deeply"
