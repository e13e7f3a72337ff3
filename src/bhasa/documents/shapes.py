"""Which record a row of a data set is: a conversation, a preference pair, a text, or none, and why not.

A row is a mapping of plain Python values, as a line of JSON or a row of a table is. The first shape that its
keys fit decides:

1. preference: `chosen` and `rejected`, each an answer, a message, messages, or a whole conversation
   (`"\\n\\nHuman: ...\\n\\nAssistant: ..."` too); the prompt is what both begin with, else as in 2 and 3.
2. conversation: `messages`, `conversations` and other names (`MESSAGES`), in any form that `messages` reads.
3. question and answer: `instruction`, `prompt`, `question`, `query` or `input` with `output`, `response`,
   `completion` or `answer`; `input` or `context` follows the question after a blank line, `history` (pairs)
   comes before it. Of several answers the first counts.
4. text: `text` or `content`, with title, author, date, address and language where they are given.

In 1 to 3 `system` or `system_prompt` is the first message and `tools` belong to it. A row that says of itself
that its answer is bad (`label: false`), or that holds an image, is skipped. Rows of one `thread_id` (see
`GROUPS`) stay in one split; no other rows are taken to belong together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile

from bhasa.documents.messages import (
    first_of,
    is_message,
    joined,
    offered_tools,
    read_messages,
    text_of,
    tidy,
)
from bhasa.documents.records import (
    Conversation,
    Messages,
    Outcome,
    Preference,
    Record,
    Refused,
    Text,
    quarantined,
    skipped,
)

Row = Mapping[str, object]

CHOSEN = ("chosen", "chosen_messages", "preferred_output")
REJECTED = ("rejected", "rejected_messages", "non_preferred_output")
MESSAGES = ("messages", "conversations", "conversation", "dialogue", "dialog", "contents")
QUESTIONS = ("instruction", "prompt", "question", "query", "input")
CONTEXTS = ("input", "context")
ANSWERS = ("output", "response", "completion", "answer", "answers")
SYSTEMS = ("system", "system_prompt", "system_message")
TOOLS = ("tools", "functions")
IMAGES = ("image", "images", "video", "videos", "audio", "audios")
TEXTS = ("text", "content")
GROUPS = ("thread_id", "conversation_id", "message_tree_id")
META = ("title", "author", "date", "url", "language")
TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):[ \n]?")
MAX_KEYS, MAX_NAME = 8, 40  # of a row that is none, in the report
MAX_META = 1000  # characters


def record_of(row: object, part: str = "") -> Record | Refused:
    """`part` says where the row was, such as `line 3`; what is refused says more behind it."""
    try:
        if not isinstance(row, Mapping):
            raise quarantined("not an object")
        return _record(row, part)
    except Refused as refused:
        where = ", ".join(filter(None, (part, refused.part)))
        return Refused(refused.outcome, refused.reason, where)
    except RecursionError:
        return quarantined("nested too deeply", part)


def are_records(rows: Sequence[object]) -> bool:
    """Whether the first rows of a file, which may be a table of anything, are records.

    They are when one is a conversation or a preference pair, or when their texts are most of what they say.
    """
    mappings = [row for row in rows if isinstance(row, Mapping)]
    if len(mappings) < len(rows):
        return False
    if any(map(has_chat, mappings)):
        return True
    texts = sum(len(plain_text(row) or "") for row in mappings)
    said = sum(len(value) for row in mappings for value in row.values() if isinstance(value, str))
    return 2 * texts > said


def has_messages(row: Row) -> bool:
    return bool(_messages(row))


def has_chat(row: Row) -> bool:
    """Whether the row is a conversation or a preference pair by its keys."""
    if _has(row, CHOSEN) and _has(row, REJECTED):
        return True
    return bool(_messages(row)) or (_has(row, QUESTIONS) and any(row.get(key) is not None for key in ANSWERS))


def plain_text(row: Row) -> str | None:
    """What the row says as a text."""
    return next((found for key in TEXTS if isinstance(found := row.get(key), str)), None)


def _record(row: Row, part: str) -> Record:
    if has_chat(row):
        if row.get("label") is False:
            raise skipped("an answer that its row calls bad")
        if any(row.get(key) for key in IMAGES):
            raise skipped("a conversation about what is not text")
        if _has(row, CHOSEN) and _has(row, REJECTED):
            return _preference(row, part)
        return _conversation(row, part)
    if (text := plain_text(row)) is not None:
        return Text(text, _meta(row), group=_group(row), part=part)
    keys = ", ".join(str(key)[:MAX_NAME] for key in list(row)[:MAX_KEYS]) + ", ..." * (len(row) > MAX_KEYS)
    raise Refused(Outcome.QUARANTINED, "no conversation, preference or text", f"keys: {keys or 'none'}")


def _conversation(row: Row, part: str) -> Conversation:
    messages = _prompt(row)
    if not _messages(row):
        messages = joined([*messages, *_said(_answer(row), "assistant")])
    roles = [role for role, _ in messages]
    if "user" not in roles:
        raise quarantined("no message of the user")
    if "assistant" not in roles[roles.index("user") :]:
        raise quarantined("no reply of the assistant")
    end = len(roles) - roles[::-1].index("assistant")
    return Conversation(messages[:end], part=part, group=_group(row))


def _preference(row: Row, part: str) -> Preference:
    prompt = _prompt(row)
    chosen, rejected = (_said(first_of(row, keys), "assistant") for keys in (CHOSEN, REJECTED))
    if chosen == rejected:
        raise quarantined("chosen and rejected are equal")
    if chosen[:1] and chosen[0][0] != "assistant":  # whole conversations
        length = _common_length(chosen, rejected)
        system = [message for message in prompt[:1] if message[0] == "system" != chosen[0][0]]
        prompt = (*system, *chosen[:length])
        chosen, rejected = chosen[length:], rejected[length:]
    if not prompt or prompt[-1][0] != "user":
        raise quarantined("a preference without a prompt of the user")
    for answer in (chosen, rejected):
        if not answer or answer[0][0] != "assistant" or answer[-1][0] != "assistant":
            raise quarantined("chosen or rejected is not an answer to the prompt")
    return Preference(prompt, chosen, rejected, part=part)


def _common_length(one: Messages, other: Messages) -> int:
    """Of what both begin with, up to the last message of the user."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return max((number for number, ((role, _), _) in enumerate(same, start=1) if role == "user"), default=0)


def _prompt(row: Row) -> Messages:
    """What comes before the answer: system, history, question; or all messages that there are."""
    system = [tidy(text_of(first_of(row, SYSTEMS))), tidy(offered_tools(first_of(row, TOOLS)))]
    before: list[tuple[str, str]] = [("system", text) for text in system if text]
    if found := _messages(row):
        return joined([*before, *read_messages(found)])
    history = row.get("history")
    for pair in history if isinstance(history, list) else []:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise quarantined("a history that is not pairs of question and answer")
        before += [*_said(pair[0], "user"), *_said(pair[1], "assistant")]
    key = next((key for key in QUESTIONS if _has(row, (key,))), "")
    question = _said(row.get(key), "user")
    context = first_of(row, [name for name in CONTEXTS if name != key])
    if isinstance(context, str) and tidy(context):
        question = (*question, ("user", tidy(context)))
    return joined([*before, *question])


def _messages(row: Row) -> list[object]:
    """The list of messages, also where a table holds it as JSON; empty without."""
    found = first_of(row, MESSAGES)
    if isinstance(found, str) and found.lstrip().startswith("["):
        try:
            found = json.loads(found)
        except ValueError:
            return []
    return found if isinstance(found, list) and any(map(is_message, found)) else []


def _answer(row: Row) -> object:
    found = first_of(row, ANSWERS)
    if isinstance(found, Mapping) and isinstance(found.get("text"), list):  # of SQuAD
        found = found["text"]
    if isinstance(found, list) and not any(map(is_message, found)):
        return next((one for one in found if isinstance(one, str)), "")
    return found


def _said(value: object, role: str) -> Messages:
    """A text of this role, a message, messages, or a conversation written in one text."""
    if value is None:
        return ()
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        spoken = TURN.split(value)  # before, who, what, who, what, ...
        if len(spoken) > 1 and not spoken[0].strip():
            role_of = {"Human": "user", "Assistant": "assistant"}
            turns = [(role_of[who], tidy(what)) for who, what in zip(spoken[1::2], spoken[2::2], strict=True)]
            return joined([turn for turn in turns if turn[1]])
        return ((role, tidy(value)),) if tidy(value) else ()
    if isinstance(value, Mapping):
        inner = value.get("messages")
        return read_messages(inner if isinstance(inner, list) else [value])
    if isinstance(value, list):
        return read_messages(value)
    raise quarantined("a question or an answer that is not text")


def _group(row: Row) -> str:
    found = first_of(row, GROUPS)
    return str(found) if isinstance(found, str | int) else ""


def _meta(row: Row) -> dict[str, str]:
    found = {key: row[key] for key in META if row.get(key) not in (None, "")}
    return {key: str(value)[:MAX_META] for key, value in found.items()}


def _has(row: Row, keys: Sequence[str]) -> bool:
    return any(isinstance(row.get(key), str | list | Mapping) for key in keys)
