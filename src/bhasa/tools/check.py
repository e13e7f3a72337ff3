"""`bhasa check`: find what is wrong in params.yaml and its presets before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    params: Annotated[Path, typer.Option(help="The experiment to check.")] = Path("params.yaml"),
    pipeline: Annotated[Path, typer.Option(help="Folder of the presets.")] = Path("pipeline"),
) -> None:
    """Check every section of params.yaml, the presets it chooses, and that all fits together and here."""
    from bhasa.experiment import check
    from bhasa.ops.operations import missing_kernels

    check(params, pipeline)
    if (warning := missing_kernels()) is not None:
        typer.echo(warning, err=True)
    typer.echo(f"{params}: valid")
