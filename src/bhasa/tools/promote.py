"""`bhasa promote`: which version of the registered model is the champion."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    version: Annotated[
        int | None, typer.Argument(help="Number of the version; the newest where none is given.")
    ] = None,
) -> None:
    """Make a version of the registered model the champion, which models:/bhasa@champion opens."""
    from bhasa.stages.export import REGISTERED_NAME
    from bhasa.tracking import promote

    typer.echo(promote(REGISTERED_NAME, version))
