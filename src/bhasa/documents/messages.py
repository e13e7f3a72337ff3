"""Messages in any of the usual chat formats, as messages of the three roles of `bhasa.dataset.ROLES`.

What becomes of what those roles do not know:

- `developer` is `system`, `human` is `user`, `gpt` and `model` are `assistant` (see `ROLE_OF`).
- A call of a tool is text of the assistant, `<tool_call>` with its name and arguments as JSON. What the tool
  answers is text of the user in `<tool_response>`, and tools on offer are text of the system in `<tools>`:
  the form of the chat templates of Hermes 2 Pro and Qwen 2.5.
- Reasoning (`reasoning_content`, `thinking`, parts of these types) and the `name` of a speaker are left out.
- Of a content in parts the texts are kept, a line each. With any other part, such as an image, the whole
  conversation is skipped: an answer to what the model does not see teaches it to make things up.
- A reply of `weight` 0 is there to be seen and not to be learnt from, which needs a loss mask of its own: the
  conversation is skipped.
- A message of the system without content is dropped. Messages of one role in a row are joined by a blank
  line. What follows the last reply is cut. An assistant may speak first, and a system message stand anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from bhasa.dataset import Role
from bhasa.documents.cleaning import clean
from bhasa.documents.records import Messages, Outcome, Refused, quarantined, skipped

ROLE_OF: dict[str, Role] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "ai"), "assistant"),
}
TOOL_ANSWERS = {"tool", "function", "observation", "ipython", "tool_response", "function_response"}
TOOL_CALLS = {"function_call", "tool_call", "tool_calls"}
PAIR = {"human", "assistant"}
SPEAKERS = ("role", "from")
CONTENTS = ("content", "value", "parts")
WEIGHTS = ("weight", "loss_weight", "train")


def first_of(row: Mapping[str, object], keys: Iterable[str]) -> object:
    """What the first of the keys that is there, and neither null nor blank, holds."""
    for key in keys:
        value = row.get(key)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return value
    return None


def is_message(value: object) -> bool:
    return isinstance(value, Mapping) and (isinstance(first_of(value, SPEAKERS), str) or bool(_pair(value)))


def read_messages(values: Iterable[object]) -> Messages:
    """In order, joined where one role speaks twice; raises `Refused`, whose part is the message."""
    messages: list[tuple[str, str]] = []
    for number, value in enumerate(values, start=1):
        try:
            for one in _pair(value) or [value]:
                messages += _read(one)
        except Refused as refused:
            part = f"message {number}" + (f", {refused.part}" if refused.part else "")
            raise Refused(refused.outcome, refused.reason, part) from None
    return joined(messages)


def joined(messages: Iterable[tuple[str, str]]) -> Messages:
    """Those of one role in a row as one."""
    return tuple(
        (role, "\n\n".join(text for _, text in group)) for role, group in groupby(messages, itemgetter(0))
    )


def offered_tools(tools: object) -> str:
    """Descriptions of tools, a line each; empty without any."""
    listed = tools if isinstance(tools, list) else [tools] if tools else []
    lines = [tool if isinstance(tool, str) else _json(tool) for tool in listed]
    text = "\n".join(line for line in lines if line.strip() not in {"", "[]"})
    return _tagged("tools", text) if text else ""


def tidy(text: str) -> str:
    """Cleaned as documents are, but without a line end."""
    return clean(text).removesuffix("\n")


def _pair(value: object) -> list[object]:
    """The two messages of `{"human": ..., "assistant": ...}`."""
    if not isinstance(value, Mapping) or not value.keys() >= PAIR:
        return []
    return [{"role": role, "content": value[role]} for role in ("human", "assistant")]


def _read(value: object) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        raise quarantined("a message that is not an object")
    speaker = str(first_of(value, SPEAKERS)).strip().lower()
    text = tidy(text_of(first_of(value, CONTENTS)))
    if speaker in TOOL_ANSWERS:
        yield "user", _tagged("tool_response", text)
        return
    if speaker in TOOL_CALLS:
        yield "assistant", _tagged("tool_call", text)
        return
    if speaker not in ROLE_OF:
        raise Refused(Outcome.QUARANTINED, "an unknown role", f"role {speaker[:40]!r}")
    if ROLE_OF[speaker] == "assistant" and first_of(value, WEIGHTS) == 0:
        raise skipped("a reply of weight 0, which is not to be learnt from")
    text = tidy("\n".join([text, *map(_tool_call, _calls(value))]))
    if text:
        yield ROLE_OF[speaker], text
    elif ROLE_OF[speaker] != "system":
        raise quarantined("a message without content")


def text_of(content: object) -> str:
    """Of a content that is a text, null, or a list of parts."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise quarantined("a message whose content is not text")
    return "\n".join(filter(None, map(_part, content)))


def _part(part: Any) -> str:
    match part:
        case str(text) | {"type": None | "text" | "input_text" | "output_text", "text": str(text)}:
            return text
        case {"type": "text", "value": str(text)}:
            return text
        case {"text": str(text)} if "type" not in part:
            return text
        case {"type": "tool_call", "value": str(call)}:
            return _tagged("tool_call", call)
        case {"type": "tool_use"}:
            return _tool_call({"name": part.get("name"), "arguments": part.get("input")})
        case {"type": "tool_result"}:
            return _tagged("tool_response", text_of(part.get("content")))
        case {"type": "thinking" | "redacted_thinking" | "reasoning"}:
            return ""
    raise skipped("a message with a part that is not text")


def _calls(message: Mapping[str, object]) -> list[object]:
    calls = message.get("tool_calls") or message.get("function_call") or []
    return calls if isinstance(calls, list) else [calls]


def _tool_call(call: object) -> str:
    function = call.get("function", call) if isinstance(call, Mapping) else call
    if isinstance(function, Mapping):
        arguments = function.get("arguments")
        function = {"name": function.get("name"), "arguments": _parsed(arguments)}
    return _tagged("tool_call", _json(function))


def _tagged(name: str, text: str) -> str:
    return f"<{name}>\n{text}\n</{name}>"


def _parsed(arguments: object) -> object:
    """Arguments are often JSON inside JSON."""
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
