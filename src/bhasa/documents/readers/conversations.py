"""Chat data in JSON lines: one `{"messages": [{"role": ..., "content": ...}, ...]}` a line.

Each line is judged alone: a broken one is named with its number and the rest are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bhasa.dataset import ROLES
from bhasa.documents.cleaning import clean
from bhasa.documents.readers.plain import decode
from bhasa.documents.records import Conversation, Refused, quarantined


def read(content: bytes, name: str) -> Iterator[Conversation | Refused]:
    found = False
    # Not splitlines(): JSON strings may hold the other characters that it takes for line ends.
    for number, line in enumerate(decode(content)[0].split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield _conversation(line)
            found = True
        except ValueError as error:
            yield quarantined(str(error), f"line {number}")
    if not found:
        raise quarantined("no line is a conversation")


def _conversation(line: str) -> Conversation:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("not JSON") from None
    messages = value.get("messages") if isinstance(value, dict) else None
    if not isinstance(messages, list) or not messages:
        raise ValueError("no 'messages'")
    pairs = tuple(_message(message) for message in messages)
    _check_turns([role for role, _ in pairs])
    return Conversation(pairs)


def _message(message: Any) -> tuple[str, str]:
    if not isinstance(message, dict) or set(message) != {"role", "content"}:
        raise ValueError("a message needs 'role' and 'content' and nothing else")
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise ValueError(f"a role is one of {', '.join(ROLES)}")
    if not isinstance(content, str) or not clean(content):
        raise ValueError("a message without content")
    return role, clean(content).removesuffix("\n")


def _check_turns(roles: list[str]) -> None:
    turns = roles[1:] if roles[0] == "system" else roles
    if len(turns) % 2 or turns != ["user", "assistant"] * (len(turns) // 2) or not turns:
        raise ValueError("expected user and assistant in turn, after at most one system message")
