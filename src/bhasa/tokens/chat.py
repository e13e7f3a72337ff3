"""Conversations as tokens: `<|endoftext|>`, then per message its role's token, the content, `<|end|>`.

Special tokens are put in as ids and contents are encoded as plain text, so a content that spells out a
special token cannot end its turn or speak as another role. `CHAT_TEMPLATE` says the same in Jinja for other
programs; those parse special tokens out of the rendered string, so they lack that protection.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypedDict

from tokenizers import Tokenizer

from bhasa.dataset import ROLES, Role
from bhasa.errors import UserError
from bhasa.tokens.special import ASSISTANT, END_OF_TEXT, END_OF_TURN, SPECIAL_TOKENS, SYSTEM, USER


class Message(TypedDict):
    role: Role
    content: str


class Rendered(NamedTuple):
    """A conversation, token by token."""

    ids: list[int]
    mask: list[int]
    """1 where the assistant speaks, its `<|end|>` included: what a model learns to write."""


ROLE_TOKENS: Final[dict[Role, int]] = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
"""The special token before a message of each role."""

START: Final = (END_OF_TEXT,)
"""Before the first turn of a conversation."""

END: Final = (END_OF_TURN,)
"""After every content."""

CHAT_TEMPLATE = (
    "{% macro text_of(content) %}"
    "{% if content is string %}{{ content }}"
    "{% elif content is defined and content is sequence and content is not mapping %}"
    "{% for part in content %}"
    "{% if part is mapping and part['type'] == 'text' and part['text'] is string %}{{ part['text'] }}"
    '{% else %}{{ raise_exception(\'a part of a content is {"type": "text", "text": text}\') }}{% endif %}'
    "{% endfor %}"
    "{% else %}{{ raise_exception('a content is text or a list of text parts, never null') }}{% endif %}"
    "{% endmacro %}"
    "{{ bos_token }}"
    "{% for message in messages %}"
    f"{{% if message['role'] not in {list(ROLES)} %}}"
    f"{{{{ raise_exception('a role is one of {', '.join(ROLES)}') }}}}"
    "{% elif message['tool_calls'] %}{{ raise_exception('there are no tool calls in this format') }}"
    "{% endif %}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}"
    f"{{% generation %}}{{{{ text_of(message['content']) + '{SPECIAL_TOKENS[END_OF_TURN]}' }}}}"
    "{% endgeneration %}"
    f"{{% else %}}{{{{ text_of(message['content']) + '{SPECIAL_TOKENS[END_OF_TURN]}' }}}}{{% endif %}}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{SPECIAL_TOKENS[ASSISTANT]}{{% endif %}}"
)
"""The same in Jinja. Contents may be lists of text parts too, which are joined; anything else is refused."""


def require_special_tokens(tokenizer: Tokenizer, required: Sequence[int]) -> None:
    """Refuse a tokenizer of a model from elsewhere, whose ids of our special tokens mean something else."""
    for token in required:
        name = SPECIAL_TOKENS[token]
        if (found := tokenizer.token_to_id(name)) != token:
            raise UserError(
                f"tokenizer.json: {name}: found id {found}, expected {token}; the model is from "
                "elsewhere: use the folder that pretrain.init_from makes of it"
            )


def render(tokenizer: Tokenizer, messages: Sequence[Message]) -> Rendered:
    """A whole conversation."""
    ids, mask = list(START), [0]
    for message in messages:
        content = [*encode_content(tokenizer, message["content"]), END_OF_TURN]
        ids += [ROLE_TOKENS[message["role"]], *content]
        mask += [0] + [int(message["role"] == "assistant")] * len(content)
    return Rendered(ids, mask)


def question(tokenizer: Tokenizer, content: str) -> list[int]:
    """A turn of the user, up to where the assistant begins to write. The first one comes after `START`."""
    return [USER, *encode_content(tokenizer, content), END_OF_TURN, ASSISTANT]


def encode_content(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text in which nothing is a special token; `tokenizer` reads every text so afterwards."""
    tokenizer.encode_special_tokens = True
    try:
        return tokenizer.encode(text, add_special_tokens=False).ids
    except TypeError:  # half a surrogate pair: bytes from a terminal or file that were not UTF-8
        raise UserError(f"not Unicode text: {text[:60]!r}; write it in UTF-8") from None
