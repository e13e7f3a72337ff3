from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer
from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import _compile_jinja_template

from bhasa.errors import UserError
from bhasa.tokens import chat
from bhasa.tokens.chat import Message
from bhasa.tokens.special import ASSISTANT, END_OF_TEXT, END_OF_TURN, SPECIAL_TOKENS, SYSTEM, USER

TALK: list[Message] = [
    {"role": "system", "content": "the model's state"},
    {"role": "user", "content": "the state reads?\n"},
    {"role": "assistant", "content": " a space  "},
    {"role": "user", "content": ""},
    {"role": "assistant", "content": "\u65e5\u672c\u8a9e"},
]


def test_a_conversation_has_a_special_token_for_each_turn_and_one_before_the_first(
    tokenizer: Tokenizer,
) -> None:
    text = tokenizer.decode(chat.render(tokenizer, TALK).ids, skip_special_tokens=False)
    assert text == (
        "<|endoftext|><|system|>the model's state<|end|><|user|>the state reads?\n<|end|>"
        "<|assistant|> a space  <|end|><|user|><|end|><|assistant|>\u65e5\u672c\u8a9e<|end|>"
    )


def test_what_is_learned_is_what_the_assistant_says_and_its_end(tokenizer: Tokenizer) -> None:
    ids, mask = chat.render(tokenizer, TALK)
    learned = [i for i, m in zip(ids, mask, strict=True) if m]
    assert (
        tokenizer.decode(learned, skip_special_tokens=False) == " a space  <|end|>\u65e5\u672c\u8a9e<|end|>"
    )
    assert mask[-1] == 1


roles = st.sampled_from(["system", "user", "assistant"])
contents = st.text() | st.sampled_from([*SPECIAL_TOKENS, f"a{SPECIAL_TOKENS[3]}{SPECIAL_TOKENS[2]}b"])
messages = st.lists(st.builds(lambda role, content: Message(role=role, content=content), roles, contents))


@given(messages)
@settings(deadline=None, max_examples=200)
def test_no_content_can_become_a_special_token(trained: Tokenizer, talk: list[Message]) -> None:
    ids, mask = chat.render(trained, talk)
    special_tokens = [i for i in ids if i < len(SPECIAL_TOKENS)]
    assert special_tokens == [END_OF_TEXT] + [
        i for m in talk for i in (chat.ROLE_TOKENS[m["role"]], END_OF_TURN)
    ]
    speakers = [chat.ROLE_TOKENS[m["role"]] for m in talk]
    turn = -1
    for i, counts in zip(ids, mask, strict=True):
        turn += i in (USER, ASSISTANT, SYSTEM)
        assert bool(counts) == (turn >= 0 and speakers[turn] == ASSISTANT and i != ASSISTANT)


@pytest.fixture(scope="module")
def trained(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))


def test_the_published_template_renders_the_same_tokens_and_mask(
    tokenizer_folder: Path, tokenizer: Tokenizer
) -> None:
    theirs = AutoTokenizer.from_pretrained(tokenizer_folder)
    result = theirs.apply_chat_template(
        TALK, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    assert (result["input_ids"], result["assistant_masks"]) == chat.render(tokenizer, TALK)


def test_the_published_template_asks_for_an_answer_as_a_session_does(
    tokenizer_folder: Path, tokenizer: Tokenizer
) -> None:
    theirs = AutoTokenizer.from_pretrained(tokenizer_folder)
    asked = theirs.apply_chat_template(TALK[1:4], add_generation_prompt=True, return_dict=False)
    first, answer, second = (message["content"] for message in TALK[1:4])
    session = [*chat.START, *chat.question(tokenizer, first)]
    session += [*chat.encode_content(tokenizer, answer), *chat.END]
    assert asked == session + chat.question(tokenizer, second)


def part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def test_text_parts_are_the_text_that_they_add_up_to(tokenizer_folder: Path, tokenizer: Tokenizer) -> None:
    theirs = AutoTokenizer.from_pretrained(tokenizer_folder)
    in_parts = [{**m, "content": [part(m["content"][:3]), part(m["content"][3:])]} for m in TALK]
    in_parts[3]["content"] = []
    result = theirs.apply_chat_template(in_parts, return_dict=True, return_assistant_tokens_mask=True)
    assert (result["input_ids"], result["assistant_masks"]) == chat.render(tokenizer, TALK)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"role": "tool", "content": ""}, "a role is one of system, user, assistant"),
        ({"role": "user", "content": None}, "a content is text or a list of text parts, never null"),
        ({"role": "user", "content": {"type": "text"}}, "a content is text or a list"),
        ({"role": "user", "content": 3}, "a content is text or a list"),
        (
            {"role": "user", "content": [{"type": "image", "url": "x"}]},
            r'a part of a content is \{"type": "text"',
        ),
        ({"role": "user", "content": [{"type": "text", "text": None}]}, "a part of a content is"),
        ({"role": "user", "content": ["bare"]}, "a part of a content is"),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, "no tool calls in this format"),
        ({"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}, "no tool calls in this format"),
    ],
)
@pytest.mark.parametrize("as_given", [True, False])
def test_the_published_template_says_what_it_does_not_render(
    message: dict[str, object], reason: str, as_given: bool, tokenizer_folder: Path
) -> None:
    render: Callable[[list[dict[str, object]]], object]
    if as_given:  # transformers leaves out what is null, other programs hand it on
        template = _compile_jinja_template(chat.CHAT_TEMPLATE)
        render = lambda messages: template.render(messages=messages, bos_token="")  # noqa: E731
    else:
        render = AutoTokenizer.from_pretrained(tokenizer_folder).apply_chat_template
    with pytest.raises(TemplateError, match=reason):
        render([message])


def test_text_that_is_no_unicode_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match=r"not Unicode text: 'caf.udce9'"):
        chat.question(tokenizer, b"caf\xe9".decode("utf-8", "surrogateescape"))
