"""`bhasa chat`: talk with a model, one line at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import typer

from bhasa.tools import (
    MAX_NEW_TOKENS,
    SEED,
    TEMPERATURE,
    TOP_K,
    TOP_P,
    Device,
    MaxNewTokens,
    ModelFolder,
    Seed,
    Temperature,
    TopK,
    TopP,
    read_text,
    resolve_device,
)

if TYPE_CHECKING:
    from bhasa.inference.chat import ChatSession

HELP = (
    "/retry answers again, /reset starts anew, /help shows this, /quit or Ctrl-D leaves; Ctrl-C ends an "
    "answer. A message that begins with a slash is written with two: //etc."
)
COMMANDS = ("/retry", "/reset", "/help", "/quit")


def command(
    model: ModelFolder,
    max_new_tokens: MaxNewTokens = MAX_NEW_TOKENS,
    temperature: Temperature = TEMPERATURE,
    top_k: TopK = TOP_K,
    top_p: TopP = TOP_P,
    seed: Seed = SEED,
    device: Device = "auto",
) -> None:
    """Talk with a fine-tuned model; messages are read line by line from standard input."""
    from bhasa import bundle
    from bhasa.inference.chat import ChatSession
    from bhasa.inference.config import SamplingConfig

    sampling = SamplingConfig.parse(
        {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "seed": seed,
        },
        "options",
    )
    language_model = bundle.load(model, resolve_device(device))
    session = ChatSession(language_model, bundle.load_tokenizer(model), sampling)
    if sys.stdin.isatty():
        typer.echo(HELP)
    for line in _lines():
        if line == "/quit":
            break
        _answer(session, line)


def _lines() -> Iterator[str]:
    """What the user types, without blank lines, until the end of input."""
    prompt = "> " if sys.stdin.isatty() else ""
    while True:
        try:
            line = read_text(lambda: input(prompt), "standard input").strip()
        except EOFError:
            return
        if line:
            yield line


def _message(line: str) -> str:
    """What a line says to the model; raises `UserError` for a command that there is not."""
    from bhasa.errors import UserError

    if line.startswith("/") and not line.startswith("//"):
        raise UserError(
            f"no command {line.split()[0]}; there are: {', '.join(COMMANDS)}; "
            "to say a message that begins with a slash, begin it with two"
        )
    return line.removeprefix("/") if line.startswith("//") else line


def _answer(session: ChatSession, line: str) -> None:
    from bhasa.errors import UserError

    if line == "/reset":
        session.reset()
        return
    if line == "/help":
        typer.echo(HELP)
        return
    try:
        with closing(session.retry() if line == "/retry" else session.reply(_message(line))) as pieces:
            for piece in pieces:
                typer.echo(piece, nl=False)
    except KeyboardInterrupt:
        pass
    except UserError as error:
        typer.echo(error, nl=False)
    typer.echo()
