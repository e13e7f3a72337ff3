import pytest

from bhasa.documents.messages import offered_tools, read_messages
from bhasa.documents.records import Messages, Outcome, Refused


def read(*messages: object) -> Messages:
    return read_messages(messages)


def said(role: str, content: object, **more: object) -> dict[str, object]:
    return {"role": role, "content": content} | more


@pytest.mark.parametrize(
    ("role", "known_as"),
    [
        ("system", "system"),
        ("developer", "system"),
        ("user", "user"),
        ("human", "user"),
        ("Human", "user"),
        ("assistant", "assistant"),
        ("gpt", "assistant"),
        ("model", "assistant"),
    ],
)
def test_every_usual_role_is_one_of_three(role: str, known_as: str) -> None:
    assert read(said(role, "x")) == read({"from": role, "value": "x"}) == ((known_as, "x"),)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("one \r\n\n", "one"),
        ([{"type": "text", "text": "one"}, "two", {"text": "three"}], "one\ntwo\nthree"),
        ([{"type": "text", "value": "one", "text": None}, {"type": "text", "text": ""}], "one"),
        (
            [{"type": "reasoning", "value": "hm"}, {"type": "tool_call", "value": "{}"}],
            "<tool_call>\n{}\n</tool_call>",
        ),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "output_text", "text": "one"}], "one"),
        (
            [{"type": "tool_use", "name": "f", "input": {"x": "\u00e9"}}],
            '<tool_call>\n{"name": "f", "arguments": {"x": "\u00e9"}}\n</tool_call>',
        ),
        (
            [{"type": "tool_result", "content": [{"type": "text", "text": "42"}]}],
            "<tool_response>\n42\n</tool_response>",
        ),
    ],
)
def test_a_content_is_its_text(content: object, text: str) -> None:
    assert read(said("assistant", content)) == (("assistant", text),)


def test_a_turn_of_both_in_one_object() -> None:
    assert read({"human": "one", "assistant": "two"}) == (("user", "one"), ("assistant", "two"))


def test_only_a_reply_has_a_weight() -> None:
    assert read(said("user", "one", weight=0), said("system", "two", loss_weight=0.0))


def test_parts_of_gemini() -> None:
    assert read({"role": "model", "parts": [{"text": "one"}]}) == (("assistant", "one"),)


def test_calls_of_tools_and_their_answers_are_text() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}}
    answer = said("tool", "2", tool_call_id="1", name="add")
    assert read(said("user", "1 + 1?"), said("assistant", None, tool_calls=[call]), answer) == (
        ("user", "1 + 1?"),
        ("assistant", '<tool_call>\n{"name": "add", "arguments": {"x": 1}}\n</tool_call>'),
        ("user", "<tool_response>\n2\n</tool_response>"),
    )


def test_calls_of_tools_in_older_forms() -> None:
    call = '{"name": "add", "arguments": {"x": 1}}'
    text = f"<tool_call>\n{call}\n</tool_call>"
    function = {"name": "add", "arguments": '{"x": 1}'}
    assert read(said("assistant", "Adding.", function_call=function)) == (("assistant", f"Adding.\n{text}"),)
    assert read({"from": "function_call", "value": call}) == (("assistant", text),)
    assert read({"from": "observation", "value": "2"}) == (("user", "<tool_response>\n2\n</tool_response>"),)
    assert read(said("assistant", "", function_call={"name": "add", "arguments": "no JSON"})) == (
        ("assistant", '<tool_call>\n{"name": "add", "arguments": "no JSON"}\n</tool_call>'),
    )


@pytest.mark.parametrize(
    ("tools", "text"),
    [
        (None, ""),
        ([], ""),
        ("[]", ""),
        ('[{"name": "add"}]', '<tools>\n[{"name": "add"}]\n</tools>'),
        ([{"name": "add"}, {"name": "sub"}], '<tools>\n{"name": "add"}\n{"name": "sub"}\n</tools>'),
    ],
)
def test_tools_on_offer(tools: object, text: str) -> None:
    assert offered_tools(tools) == text


def test_reasoning_and_names_are_left_out() -> None:
    message = said("assistant", "four", reasoning_content="hm", thinking="hm", name="Ada", weight=1)
    assert read(message) == (("assistant", "four"),)


def test_an_empty_system_message_goes_and_two_of_one_role_are_joined() -> None:
    assert read(said("system", " "), said("user", "a"), said("user", "b"), said("assistant", "c")) == (
        ("user", "a\n\nb"),
        ("assistant", "c"),
    )


@pytest.mark.parametrize(
    ("message", "outcome", "reason", "part"),
    [
        ("hi", "quarantined", "a message that is not an object", "message 2"),
        (said("critic", "x"), "quarantined", "an unknown role", "message 2, role 'critic'"),
        (
            {"role": ["user"], "content": "x"},
            "quarantined",
            "an unknown role",
            "message 2, role \"['user']\"",
        ),
        (said("user", 5), "quarantined", "a message whose content is not text", "message 2"),
        (said("user", " \n "), "quarantined", "a message without content", "message 2"),
        (said("assistant", None, reasoning="hm"), "quarantined", "a message without content", "message 2"),
        (
            said("user", [{"type": "text", "text": "What is it?"}, {"type": "image_url"}]),
            "skipped",
            "a message with a part that is not text",
            "message 2",
        ),
        (
            said("user", [{"type": ["text"]}]),
            "skipped",
            "a message with a part that is not text",
            "message 2",
        ),
        (said("user", [5]), "skipped", "a message with a part that is not text", "message 2"),
        (
            said("assistant", "no", weight=0),
            "skipped",
            "a reply of weight 0, which is not to be learnt from",
            "message 2",
        ),
    ],
)
def test_what_cannot_be_read_is_named(message: object, outcome: str, reason: str, part: str) -> None:
    with pytest.raises(Refused) as caught:
        read(said("user", "hello"), message)
    assert (caught.value.outcome, caught.value.reason, caught.value.part) == (Outcome(outcome), reason, part)
