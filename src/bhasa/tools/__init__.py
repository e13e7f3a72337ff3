"""Commands for people, beside the pipeline. What several of them share is defined here."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bhasa.errors import UserError

MAX_NEW_TOKENS = 256
TEMPERATURE = 0.8
TOP_K = 50
TOP_P = 0.95
SEED = 0

ModelFolder = Annotated[Path, typer.Option("--model", help="Model folder, such as models/finetuned.")]
MaxNewTokens = Annotated[int, typer.Option(help="Write at most this many tokens.")]
Temperature = Annotated[
    float, typer.Option(help="Below 1 likelier tokens gain; 0 always takes the likeliest.")
]
TopK = Annotated[int, typer.Option(help="Draw from the k likeliest tokens; 0 keeps all.")]
TopP = Annotated[
    float, typer.Option(help="Draw from the likeliest tokens that hold this share; 1 keeps all.")
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same text.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or mps; auto is cuda where there is a GPU, else cpu.")]


def resolve_device(name: str) -> str:
    """The device that `--device` names; raises `UserError` if this machine has not got it."""
    from bhasa.hardware import available_devices

    available = available_devices()
    if name == "auto":
        return "cuda" if "cuda" in available else "cpu"
    if name not in available:
        raise UserError(f"--device: found '{name}'; allowed on this machine: auto, {', '.join(available)}")
    return name


def read_text(read: Callable[[], str], where: str) -> str:
    """What `read` returns, if it is text: bytes that are not UTF-8 come as an error or as lone surrogates."""
    try:
        text = read()
        text.encode()
    except UnicodeError:
        raise UserError(f"{where}: not UTF-8 text; convert it first, e.g. with iconv") from None
    return text
