"""`bhasa ui`: the runs in a browser, those of DVC's cache included."""

from __future__ import annotations

from typing import Annotated

import typer


def command(port: Annotated[int, typer.Option(help="Port of the page on this machine.")] = 5000) -> None:
    """Show and compare the runs in a browser; what DVC took from its cache is added first."""
    from bhasa.tracking import serve

    serve(port)
