"""`bhasa generate`: continue a prompt."""

from __future__ import annotations

import sys
from typing import Annotated

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


def command(
    model: ModelFolder,
    prompt: Annotated[str, typer.Option(help="The text to continue; - reads it from standard input.")],
    max_new_tokens: MaxNewTokens = MAX_NEW_TOKENS,
    temperature: Temperature = TEMPERATURE,
    top_k: TopK = TOP_K,
    top_p: TopP = TOP_P,
    seed: Seed = SEED,
    device: Device = "auto",
) -> None:
    """Continue a text with a trained model, printing the continuation as it is written."""
    from bhasa import bundle
    from bhasa.inference import text
    from bhasa.inference.config import SamplingConfig
    from bhasa.inference.generate import generate

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
    prompt = read_text(sys.stdin.read if prompt == "-" else lambda: prompt, "--prompt")
    language_model = bundle.load(model, resolve_device(device))
    tokenizer = bundle.load_tokenizer(model)
    prompt_ids = text.document_ids(tokenizer, prompt)
    tokens = generate(language_model, prompt_ids, sampling, stop_ids=text.special_ids(tokenizer))
    for piece in text.stream(tokenizer, tokens):
        typer.echo(piece, nl=False)
    typer.echo()
