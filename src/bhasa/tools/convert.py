"""`bhasa convert`: a model folder in another layout, bit for bit."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Layout(StrEnum):
    huggingface = "huggingface"
    official = "official"


def command(
    source: Annotated[Path, typer.Argument(help="Model folder: ours, Hugging Face's or state-spaces'.")],
    target: Annotated[Path, typer.Argument(help="Folder to write; it must not exist.")],
    to: Annotated[Layout, typer.Option(help="Layout of transformers, or of state-spaces/mamba.")],
) -> None:
    """Write a model folder in another layout; both hold the same tensors, to the bit."""
    from bhasa import bundle

    written = bundle.convert(source, target, to.value)
    mixer = ", ".join(sorted(set(written.config.layers)))
    typer.echo(f"{target}: {mixer}, {written.parameters:,} parameters in {written.dtype}, {to.value} layout")
